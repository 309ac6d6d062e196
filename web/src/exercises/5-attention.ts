import { best, notOpen, percent, predicted, three, type Asked, type Exercise } from './exercise'

const placed = ({ app }: Asked) => ({
  layer: Math.min(app.layer, app.model!.config.n_layer - 1),
  head: Math.min(app.head, app.model!.config.n_head - 1),
})

export const attention: Exercise[] = [
  {
    id: 'attention-at-position-0',
    title: 'Alone at position 0',
    kind: 'predict',
    hard: 1,
    stage: { section: 5, word: 'emma', position: 0, head: 0 },
    question: 'At position 0 nothing has been read but BOS. How much of its attention does BOS get there?',
    async options({ app, ask }) {
      const { weights } = await ask('attention', { word: app.word })
      const count = app.model!.symbols.length
      return [0, 1 / count, 0.5, weights[0][0][0][0]].map((x) => ({ value: String(x), text: percent(x) }))
    },
    hint: {
      plain: 'The shares of attention always add up to the whole. Between how many is it shared here?',
      technical: 'softmax of one number: e^z / e^z, whatever z is.',
    },
    async judge(asked) {
      const { weights } = await asked.ask('attention', { word: asked.app.word })
      const share = weights[0][0][0][0]
      return predicted(
        asked,
        String(share),
        'It gets {share}, in every head: a softmax over one score has no choice.',
        { share: percent(share) },
      )
    },
  },
  {
    id: 'who-listens-for-the-beginning',
    title: 'Who listens for the beginning?',
    kind: 'make it so',
    hard: 2,
    stage: { section: 5, word: 'olivia', position: 5, head: 0 },
    question: 'Of all positions but the first, choose the one at which head 0 looks most at BOS.',
    hint: {
      plain: 'The left column of the head’s matrix. The strongest cell, without the topmost.',
      technical: 'attn_weights.head0[0] over the positions from 1 on.',
    },
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
          says:
            'At position {at} it looks at BOS with {own}. ' +
            (at ? 'There is a stronger one.' : 'But at position 0 it has no choice.'),
          facts,
        }
      return { right: true, says: 'At position {at} {own} of head 0 goes to BOS: more than anywhere later.', facts }
    },
  },
  {
    id: 'the-strongest-look',
    title: 'The strongest look',
    kind: 'find the number',
    hard: 2,
    stage: { section: 5, word: 'emma', position: 3, head: 0 },
    question: 'Open the largest attention weight of all heads, leaving out position 0.',
    hint: {
      plain: 'Look over all the matrices for the fullest cell that is not in a top row.',
      technical: 'pos{t}.layer0.attn_weights.head{h}[s] with t ≥ 1; the tables behind the matrices have the digits.',
    },
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
        return { right: true, says: '`{path}` takes {share}.', facts: { path: most.path, share: percent(most.x) } }
      const own = all.find(({ path }) => path === app.number)
      if (!own) return notOpen(asked, 'An attention weight is asked for.')
      if (own.x < 0) return { right: false, says: 'At position 0 there is nothing to choose from: leave it out.' }
      return {
        right: false,
        says: '`{path}` takes {share}. There is a larger one.',
        facts: { path: own.path, share: percent(own.x) },
      }
    },
  },
  {
    id: 'break-causality',
    title: 'Break causality',
    kind: 'make it so',
    hard: 2,
    stage: { section: 5, word: 'emma', position: 0, head: 0 },
    question:
      'Let the first position, which has read nothing but BOS, give more than nine tenths of its attention to letters that are not written yet.',
    hint: {
      plain:
        'At the end of the section something keeps the future from the past, and it can be taken away. Then look for the right head; and is there more to look at in a longer word?',
      technical:
        'In the textbook’s view the mask has a switch. Of T scores that are all alike T − 1 are on the future, so that a long word, and a head that does not care for BOS, will do.',
    },
    async judge(asked) {
      const { app, ask, seen } = asked
      if (seen.mask) return { right: false, says: 'The mask is where it was: whatever comes later gets nothing.' }
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
          says: 'At the beginning of “{now}” {share} of head {head} goes to the future. More is asked for.',
          facts,
        }
      return {
        right: true,
        says: '{share} of head {head} goes to letters that are not written yet. The loss of “{now}” is {free} now instead of {bound}, and means nothing: the answers are in sight.',
        facts,
      }
    },
  },
  {
    id: 'a-letter-later',
    title: 'A letter later',
    kind: 'predict',
    hard: 2,
    stage: { section: 5, word: 'emma', position: 4 },
    question:
      'Suppose the last letter of `emma` became another one: `emmy`. In how many of the rows of attention, for the positions before it, would any number change?',
    async options({ ask }) {
      const { positions } = await ask('attention', { word: 'emma' })
      return [0, 1, positions - 1].map((n) => ({
        value: String(n),
        text: n === 0 ? 'in none' : n === 1 ? 'in the last of them' : `in all ${n}`,
      }))
    },
    hint: {
      plain: 'When a position is computed, what comes later is not there yet. Try it: change the word in the bar.',
      technical:
        'Keys and values are appended as they are computed; no row can read a later one. In the textbook’s way a mask does the same.',
    },
    async judge(asked) {
      const [a, b] = [await asked.ask('attention', { word: 'emma' }), await asked.ask('attention', { word: 'emmy' })]
      const rows = Array.from({ length: a.positions - 1 }, (_, t) => t)
      const changed = rows.filter((t) =>
        a.weights.some((heads, i) => heads.some((matrix, h) => matrix[t].some((x, s) => x !== b.weights[i][h][t][s]))),
      )
      return predicted(
        asked,
        String(changed.length),
        'Both words were computed: of {rows} earlier rows {changed} differ, in any head, to the last bit.',
        {
          rows: String(rows.length),
          changed: String(changed.length),
        },
      )
    },
  },
  {
    id: 'winner-takes-all',
    title: 'The winner takes it all',
    kind: 'make it so',
    hard: 1,
    stage: { section: 5, word: 'emma', position: 3, head: 3 },
    question: 'Stretch the scores of the row at hand until one position gets more than nine tenths of the attention.',
    hint: {
      plain:
        'There is a slider that multiplies all scores. Without a difference there is nothing to stretch, but with one…',
      technical:
        'softmax(c · z) tends to the maximum as c grows. That is why scores are divided by √d: so that they do not start there.',
    },
    async judge(asked) {
      const { app, ask, seen } = asked
      const { layer, head } = placed(asked)
      const { logits, labels } = await ask('attention', { word: app.word })
      const t = Math.min(app.position, labels.length - 1)
      const row = logits[layer][head][t].slice(0, t + 1).map(Number)
      const { probs } = await ask('softmax', { logits: row, scale: seen.scale })
      const s = best(probs, (p) => p)
      const facts = { scale: three(seen.scale), label: labels[s] === '·' ? 'BOS' : labels[s], share: percent(probs[s]) }
      if (!t) return { right: false, says: 'Position 0 has one score only. Choose a later one.' }
      if (probs[s] <= 0.9)
        return { right: false, says: 'With the scores times {scale}, the most goes to “{label}”: {share}.', facts }
      return { right: true, says: 'With the scores times {scale}, “{label}” gets {share}.', facts }
    },
  },
  {
    id: 'whose-value-is-taken',
    title: 'Ask, and be answered',
    kind: 'find the number',
    hard: 3,
    stage: { section: 5, word: 'emma', position: 3, head: 2 },
    question: 'Open a number of the query with which head {head} asks at position {position}.',
    async facts({ app }) {
      return { head: String(app.head), position: String(app.position) }
    },
    hint: {
      plain:
        'The query is one long list, and every head owns a stretch of it. The search box knows: type q and the head.',
      technical: 'Head h owns the components from h·head_dim on: `q head2` finds them.',
    },
    async judge(asked) {
      const { app, ask } = asked
      const { head, layer } = placed(asked)
      const size = app.model!.head_dim
      const [, t, i, j] = /^pos(\d+)\.layer(\d+)\.q\[(\d+)\]$/.exec(app.number)?.map(Number) ?? []
      if (t === undefined) return notOpen(asked, 'A component of q is asked for.')
      const facts = {
        path: app.number,
        owner: String(Math.floor(j / size)),
        head: String(head),
        position: String(app.position),
      }
      if (t !== app.position || i !== layer)
        return { right: false, says: '`{path}` is of another position than {position}.', facts }
      if (Math.floor(j / size) !== head) return { right: false, says: '`{path}` belongs to head {owner}.', facts }
      const { value } = await ask('number', { word: app.word, path: app.number })
      return {
        right: true,
        says: '`{path}` is {value}, and head {head} multiplies it with the same component of every key.',
        facts: { ...facts, value: three(value) },
      }
    },
  },
]
