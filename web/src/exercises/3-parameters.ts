import { view } from '../sections/3-parameters/view.svelte'
import { letter, notOpen, predicted, three, type Exercise } from './exercise'
import { put } from './kept.svelte'

export const parameters: Exercise[] = [
  {
    id: 'a-letter-that-is-not-there',
    title: 'A letter that is not there',
    kind: 'find the number',
    hard: 1,
    stage: { section: 3, word: 'emma' },
    question: 'Open a number of `wte` that the loss of `{word}` does not depend on at all.',
    hint: {
      plain: 'Each row of wte is a letter. Take a letter that the word does not have.',
      technical: 'The rows of tokens that are not read have a gradient of exactly 0: show gradients to see them empty.',
    },
    async judge(asked) {
      const { app, ask } = asked
      const [, row] = /^wte\[(\d+)\]\[\d+\]$/.exec(app.number) ?? []
      if (row === undefined) return notOpen(asked, 'A number of wte is asked for.')
      const { zero_rows } = await ask('gradients', { word: app.word })
      const facts = { letter: letter(asked, Number(row)), path: app.number, rows: String(zero_rows.wte.length) }
      if (!zero_rows.wte.includes(Number(row)))
        return { right: false, says: '`{path}` is of the row of “{letter}”, which the word reads.', facts }
      return {
        right: true,
        says: '`{path}` belongs to “{letter}”, which the word does not have. The gradient of {rows} rows of wte is exactly 0.',
        facts,
      }
    },
  },
  {
    id: 'the-largest-matrix',
    title: 'The largest matrix',
    kind: 'make it so',
    hard: 1,
    stage: { section: 3, set: () => put(view, { matrix: 'wte' }) },
    question: 'Bring a matrix closer that has as many numbers as any.',
    hint: {
      plain: 'Look at the areas: every matrix is drawn in proportion. Press its name.',
      technical: 'The MLP is four times as wide as the stream: 4·n_embd² numbers each way.',
    },
    async judge({ app }) {
      const sizes = Object.fromEntries((app.model?.shapes ?? []).map(([name, rows, columns]) => [name, rows * columns]))
      const most = Math.max(...Object.values(sizes))
      const facts = { name: view.matrix, size: String(sizes[view.matrix] ?? 0), most: String(most) }
      if (sizes[view.matrix] !== most)
        return { right: false, says: '`{name}` has {size} numbers. There is a larger one.', facts }
      return {
        right: true,
        says: '`{name}` has {size} of the {num_params} numbers: most of a GPT’s knowledge sits in its MLPs.',
        facts,
      }
    },
  },
  {
    id: 'the-nearest-letter',
    title: 'Letters that are alike',
    kind: 'predict',
    hard: 2,
    stage: { section: 3 },
    question:
      'A row of wte is the place of a letter in a space of {n_embd} dimensions. Which of these letters has come to lie nearest to `a`?',
    async options({ ask }) {
      const { others } = await ask('nearest', { symbol: 'a' })
      const near = others.filter(({ symbol }) => symbol)
      return [...near.slice(0, 3), ...near.slice(-3)]
        .map(({ symbol }) => ({ value: symbol, text: symbol }))
        .sort((x, y) => (x.value < y.value ? -1 : 1))
    },
    hint: {
      plain: 'Letters that stand in the same places of names come to lie near one another. What is a?',
      technical: 'Euclidean distance of the rows. Training had only one reason to move them: what follows.',
    },
    async judge(asked) {
      const { others } = await asked.ask('nearest', { symbol: 'a' })
      const near = others.filter(({ symbol }) => symbol)
      return predicted(
        asked,
        near[0].symbol,
        'Nearest to “a” is “{near}”, at a distance of {distance}; farthest is “{far}”, at {most}.',
        {
          near: near[0].symbol,
          distance: three(near[0].distance),
          far: near.at(-1)!.symbol,
          most: three(near.at(-1)!.distance),
        },
      )
    },
  },
  {
    id: 'twice-as-deep',
    title: 'Twice as deep',
    kind: 'predict',
    hard: 3,
    stage: { section: 3 },
    question:
      'This model has {num_params} parameters in {n_layer} layer. How many would it have with one layer more, and all else the same?',
    async options({ app, ask }) {
      const { n_embd, n_layer, block_size } = app.model!.config
      const vocab_size = app.model!.symbols.length
      const count = async (layers: number, width: number) =>
        (await ask('sizes', { n_embd: width, n_layer: layers, block_size, vocab_size })).num_params
      const counts = [2 * app.model!.num_params, await count(n_layer + 1, n_embd), await count(n_layer, 2 * n_embd)]
      return counts.sort((a, b) => a - b).map((n) => ({ value: String(n), text: n.toLocaleString('en') }))
    },
    hint: {
      plain: 'The embeddings are there once, however deep it is: it does not double.',
      technical: 'A layer has 12·n_embd² parameters here: four squares of attention, and twice 4·n_embd² of the MLP.',
    },
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
      return predicted(
        asked,
        String(size.num_params),
        'It would have {count}: a layer is {more} numbers, and the embeddings are not needed twice.',
        facts,
      )
    },
  },
]
