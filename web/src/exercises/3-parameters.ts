import { view } from '../sections/3-parameters/view.svelte'
import text from './3-parameters.text'
import { letter, notOpen, predicted, three, type Exercise } from './exercise'
import { put } from './kept.svelte'

export const parameters: Exercise[] = [
  {
    id: 'a-letter-that-is-not-there',
    title: text.absent.title,
    kind: 'find the number',
    hard: 1,
    stage: { section: 3, word: 'emma' },
    question: text.absent.question,
    hint: text.absent.hint,
    async judge(asked) {
      const { app, ask } = asked
      const [, row] = /^wte\[(\d+)\]\[\d+\]$/.exec(app.number) ?? []
      if (row === undefined) return notOpen(asked, text.absent.which)
      const { zero_rows } = await ask('gradients', { word: app.word })
      const facts = { letter: letter(asked, Number(row)), path: app.number, rows: String(zero_rows.wte.length) }
      if (!zero_rows.wte.includes(Number(row))) return { right: false, says: text.absent.isRead, facts }
      return {
        right: true,
        says: text.absent.right,
        facts,
      }
    },
  },
  {
    id: 'the-largest-matrix',
    title: text.largest.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 3, set: () => put(view, { matrix: 'wte' }) },
    question: text.largest.question,
    hint: text.largest.hint,
    async judge({ app }) {
      const sizes = Object.fromEntries((app.model?.shapes ?? []).map(([name, rows, columns]) => [name, rows * columns]))
      const most = Math.max(...Object.values(sizes))
      const facts = { name: view.matrix, size: String(sizes[view.matrix] ?? 0), most: String(most) }
      if (sizes[view.matrix] !== most) return { right: false, says: text.largest.smaller, facts }
      return {
        right: true,
        says: text.largest.right,
        facts,
      }
    },
  },
  {
    id: 'the-nearest-letter',
    title: text.nearest.title,
    kind: 'predict',
    hard: 2,
    stage: { section: 3 },
    question: text.nearest.question,
    async options({ ask }) {
      const { others } = await ask('nearest', { symbol: 'a' })
      const near = others.filter(({ symbol }) => symbol)
      return [...near.slice(0, 3), ...near.slice(-3)]
        .map(({ symbol }) => ({ value: symbol, text: symbol }))
        .sort((x, y) => (x.value < y.value ? -1 : 1))
    },
    hint: text.nearest.hint,
    async judge(asked) {
      const { others } = await asked.ask('nearest', { symbol: 'a' })
      const near = others.filter(({ symbol }) => symbol)
      return predicted(asked, near[0].symbol, text.nearest.truth, {
        near: near[0].symbol,
        cosine: three(near[0].cosine),
        far: near.at(-1)!.symbol,
        least: three(near.at(-1)!.cosine),
      })
    },
  },
  {
    id: 'twice-as-deep',
    title: text.deeper.title,
    kind: 'predict',
    hard: 3,
    stage: { section: 3 },
    question: text.deeper.question,
    async options({ app, ask }) {
      const { n_embd, n_layer, block_size } = app.model!.config
      const vocab_size = app.model!.symbols.length
      const count = async (layers: number, width: number) =>
        (await ask('sizes', { n_embd: width, n_layer: layers, block_size, vocab_size })).num_params
      const counts = [2 * app.model!.num_params, await count(n_layer + 1, n_embd), await count(n_layer, 2 * n_embd)]
      return counts.sort((a, b) => a - b).map((n) => ({ value: String(n), text: n.toLocaleString('en') }))
    },
    hint: text.deeper.hint,
    async judge(asked) {
      const { app, ask } = asked
      const { n_embd, n_layer, block_size } = app.model!.config
      const size = await ask('sizes', {
        n_embd,
        n_layer: n_layer + 1,
        block_size,
        vocab_size: app.model!.symbols.length,
      })
      const facts = {
        count: size.num_params.toLocaleString('en'),
        more: (size.num_params - app.model!.num_params).toLocaleString('en'),
      }
      return predicted(asked, String(size.num_params), text.deeper.truth, facts)
    },
  },
]
