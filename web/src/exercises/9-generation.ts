import { best, letter, onLine, percent, type Asked, type Exercise } from './exercise'
import text from './9-generation.text'

/** The sample that the section shows. */
function sample({ ask, seen }: Asked) {
  const { temperature, top_k, index, prompt } = seen.generation
  return ask('generate', { seed: 42, index, temperature, ...(top_k ? { top_k } : {}), ...(prompt ? { prompt } : {}) })
}

export const generation: Exercise[] = [
  {
    id: 'a-sure-thing',
    title: text.sure.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 9 },
    question: text.sure.question,
    hint: text.sure.hint,
    async judge(asked) {
      const { temperature, top_k } = asked.seen.generation
      const { letters } = await asked.ask('generate', { seed: 42, index: 0, temperature })
      const id = best(letters[0].probs, (p) => p)
      const facts = { temperature: String(temperature), letter: letter(asked, id), prob: percent(letters[0].probs[id]) }
      if (top_k) return { right: false, says: text.sure.cheating }
      if (letters[0].probs[id] <= 0.9) return { right: false, says: text.sure.wrong, facts }
      return { right: true, says: text.sure.right, facts }
    },
  },
  {
    id: 'anything-goes',
    title: text.anything.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 9 },
    question: text.anything.question,
    hint: text.anything.hint,
    async judge(asked) {
      const { temperature } = asked.seen.generation
      const { letters } = await asked.ask('generate', { seed: 42, index: 0, temperature })
      const id = best(letters[0].probs, (p) => p)
      const facts = { temperature: String(temperature), letter: letter(asked, id), prob: percent(letters[0].probs[id]) }
      if (letters[0].probs[id] >= 0.1) return { right: false, says: text.anything.wrong, facts }
      return { right: true, says: text.anything.right, facts }
    },
  },
  {
    id: 'something-new',
    title: text.fresh.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 9 },
    question: text.fresh.question,
    hint: text.fresh.hint,
    async judge(asked) {
      const { text: name, in_data, nearest } = await sample(asked)
      const facts = { text: name, near: nearest[0]?.text ?? '', edits: String(nearest[0]?.distance ?? '') }
      if (!name.startsWith('z')) return { right: false, says: text.fresh.noZ, facts }
      if ([...name].length < 4) return { right: false, says: text.fresh.short, facts }
      if (in_data) return { right: false, says: text.fresh.known, facts }
      return { right: true, says: text.fresh.right, facts }
    },
  },
  {
    id: 'the-surest-throw',
    title: text.surest.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 9 },
    question: text.surest.question,
    hint: text.surest.hint,
    async judge(asked) {
      const { letters } = await sample(asked)
      const at = Math.min(asked.seen.generation.at, letters.length - 1)
      const own = letters[at]
      const surest = best(letters, ({ probs, token_id }) => probs[token_id])
      const facts = { letter: letter(asked, own.token_id), prob: percent(own.probs[own.token_id]) }
      if (at !== surest) return { right: false, says: text.surest.wrong, facts }
      return { right: true, says: text.surest.right, facts }
    },
  },
  {
    id: 'chance-in-one-line',
    title: text.line.title,
    kind: 'find the line',
    hard: 1,
    stage: { section: 9 },
    question: text.line.question,
    hint: text.line.hint,
    judge: onLine(['rng.choices'], text.line.right),
  },
]
