import { say } from '../texts/say'
import text from './5-attention.text'
import { best, notOpen, percent, predicted, three, type Asked, type Exercise } from './exercise'

const placed = ({ app }: Asked) => ({
  layer: Math.min(app.layer, app.model!.config.n_layer - 1),
  head: Math.min(app.head, app.model!.config.n_head - 1),
})

export const attention: Exercise[] = [
  {
    id: 'attention-at-position-0',
    title: text.alone.title,
    kind: 'predict',
    hard: 1,
    stage: { section: 5, word: 'emma', position: 0, head: 0 },
    question: text.alone.question,
    async options({ app, ask }) {
      const { weights } = await ask('attention', { word: app.word })
      const count = app.model!.symbols.length
      return [0, 1 / count, 0.5, weights[0][0][0][0]].map((x) => ({ value: String(x), text: percent(x) }))
    },
    hint: text.alone.hint,
    async judge(asked) {
      const { weights } = await asked.ask('attention', { word: asked.app.word })
      const share = weights[0][0][0][0]
      return predicted(asked, String(share), text.alone.truth, { share: percent(share) })
    },
  },
  {
    id: 'who-listens-for-the-beginning',
    title: text.beginning.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 5, word: 'olivia', position: 5, head: 0 },
    question: text.beginning.question,
    hint: text.beginning.hint,
    async judge(asked) {
      const { app, ask } = asked
      const { weights } = await ask('attention', { word: app.word })
      const rows = weights[placed(asked).layer][0]
      const t = 1 + best(rows.slice(1), (row) => row[0])
      const at = Math.min(app.position, rows.length - 1)
      const facts = { at: String(at), own: percent(rows[at][0]), most: percent(rows[t][0]) }
      if (at !== t)
        return {
          right: false,
          says: at ? text.beginning.less : text.beginning.first,
          facts,
        }
      return { right: true, says: text.beginning.right, facts }
    },
  },
  {
    id: 'the-strongest-look',
    title: text.strongest.title,
    kind: 'find the number',
    hard: 2,
    stage: { section: 5, word: 'emma', position: 3, head: 0 },
    question: text.strongest.question,
    hint: text.strongest.hint,
    async judge(asked) {
      const { app, ask } = asked
      const { weights } = await ask('attention', { word: app.word })
      const all = weights.flatMap((heads, i) =>
        heads.flatMap((rows, h) =>
          rows.flatMap((row, t) =>
            row.map((x, s) => ({ x: s <= t && t ? x : -1, path: `pos${t}.layer${i}.attn_weights.head${h}[${s}]` })),
          ),
        ),
      )
      const most = all[best(all, ({ x }) => x)]
      if (app.number === most.path)
        return { right: true, says: text.strongest.right, facts: { path: most.path, share: percent(most.x) } }
      const own = all.find(({ path }) => path === app.number)
      if (!own) return notOpen(asked, text.strongest.wanted)
      if (own.x < 0) return { right: false, says: text.strongest.first }
      return {
        right: false,
        says: text.strongest.less,
        facts: { path: own.path, share: percent(own.x) },
      }
    },
  },
  {
    id: 'break-causality',
    title: text.causality.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 5, word: 'emma', position: 0, head: 0 },
    question: text.causality.question,
    hint: text.causality.hint,
    async judge(asked) {
      const { app, ask, seen } = asked
      if (seen.mask) return { right: false, says: text.causality.masked }
      const { layer, head } = placed(asked)
      const { future, masked, unmasked } = await ask('unmasked', { word: app.word })
      const share = future[layer][head][0]
      const facts = {
        head: String(head),
        now: app.word,
        share: percent(share),
        bound: three(masked.mean),
        free: three(unmasked.mean),
      }
      if (share <= 0.9)
        return {
          right: false,
          says: text.causality.less,
          facts,
        }
      return {
        right: true,
        says: text.causality.right,
        facts,
      }
    },
  },
  {
    id: 'a-letter-later',
    title: text.later.title,
    kind: 'predict',
    hard: 2,
    stage: { section: 5, word: 'emma', position: 4 },
    question: text.later.question,
    async options({ ask }) {
      const { positions } = await ask('attention', { word: 'emma' })
      return [0, 1, positions - 1].map((n) => ({
        value: String(n),
        text: n === 0 ? text.later.none : n === 1 ? text.later.last : say(text.later.all, { n }),
      }))
    },
    hint: text.later.hint,
    async judge(asked) {
      const [a, b] = [await asked.ask('attention', { word: 'emma' }), await asked.ask('attention', { word: 'emmy' })]
      const rows = Array.from({ length: a.positions - 1 }, (_, t) => t)
      const changed = rows.filter((t) =>
        a.weights.some((heads, i) => heads.some((matrix, h) => matrix[t].some((x, s) => x !== b.weights[i][h][t][s]))),
      )
      return predicted(asked, String(changed.length), text.later.truth, {
        rows: String(rows.length),
        changed: String(changed.length),
      })
    },
  },
  {
    id: 'winner-takes-all',
    title: text.winner.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 5, word: 'emma', position: 3, head: 1 },
    question: text.winner.question,
    hint: text.winner.hint,
    async judge(asked) {
      const { app, ask, seen } = asked
      const { layer, head } = placed(asked)
      const { logits, labels } = await ask('attention', { word: app.word })
      const t = Math.min(app.position, labels.length - 1)
      const row = logits[layer][head][t].slice(0, t + 1).map(Number)
      const [probs] = (await ask('softmax', { logits: row, scales: [seen.scale] })).probs
      const s = best(probs, (p) => p)
      const facts = { scale: three(seen.scale), label: labels[s] === '·' ? 'BOS' : labels[s], share: percent(probs[s]) }
      if (!t) return { right: false, says: text.winner.first }
      if (probs[s] <= 0.9) return { right: false, says: text.winner.less, facts }
      return { right: true, says: text.winner.right, facts }
    },
  },
  {
    id: 'whose-value-is-taken',
    title: text.query.title,
    kind: 'find the number',
    hard: 3,
    stage: { section: 5, word: 'emma', position: 3, head: 2 },
    question: text.query.question,
    async facts({ app }) {
      return { head: String(app.head), position: String(app.position) }
    },
    hint: text.query.hint,
    async judge(asked) {
      const { app, ask } = asked
      const { head, layer } = placed(asked)
      const size = app.model!.head_dim
      const [, t, i, j] = /^pos(\d+)\.layer(\d+)\.q\[(\d+)\]$/.exec(app.number)?.map(Number) ?? []
      if (t === undefined) return notOpen(asked, text.query.wanted)
      const facts = {
        path: app.number,
        owner: String(Math.floor(j / size)),
        head: String(head),
        position: String(app.position),
      }
      if (t !== app.position || i !== layer) return { right: false, says: text.query.position, facts }
      if (Math.floor(j / size) !== head) return { right: false, says: text.query.owner, facts }
      const { value } = await ask('number', { word: app.word, path: app.number })
      return {
        right: true,
        says: text.query.right,
        facts: { ...facts, value: three(value) },
      }
    },
  },
]
