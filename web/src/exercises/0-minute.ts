import { best, letter, notOpen, percent, predicted, three, type Exercise } from './exercise'
import text from './0-minute.text'

export const minute: Exercise[] = [
  {
    id: 'follow-a-made-up-name',
    title: text.follow.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 0, word: 'emma' },
    question: text.follow.question,
    hint: text.follow.hint,
    async judge({ app, seen, ask }) {
      if (!seen.names.includes(app.word)) {
        return {
          right: false,
          says: text.follow.wrong,
          facts: { now: app.word },
        }
      }
      const { mean } = await ask('loss', { word: app.word })
      return {
        right: true,
        says: text.follow.right,
        facts: { now: app.word, loss: three(mean) },
      }
    },
  },
  {
    id: 'the-end-of-the-word',
    title: text.end.title,
    kind: 'find the number',
    hard: 1,
    stage: { section: 0, word: 'emma', position: 4 },
    question: text.end.question,
    hint: text.end.hint,
    async judge(asked) {
      const { app, ask } = asked
      const { letters } = await ask('loss', { word: app.word })
      const path = `pos${letters.length - 1}.loss`
      if (app.number !== path) return notOpen(asked, text.end.look)
      return {
        right: true,
        says: text.end.right,
        facts: { prob: percent(letters.at(-1)!.prob), loss: three(letters.at(-1)!.loss) },
      }
    },
  },
  {
    id: 'what-comes-after-kay',
    title: text.kay.title,
    kind: 'predict',
    hard: 2,
    stage: { section: 0, word: 'kayla', position: 5 },
    question: text.kay.question,
    async options(asked) {
      const { tensors } = await asked.ask('forward', { word: 'kayla' })
      const probs = tensors['pos2.probs'].data
      const likely = probs
        .map((_, id) => id)
        .sort((a, b) => probs[b] - probs[a])
        .slice(0, 6)
      return likely.sort((a, b) => a - b).map((id) => ({ value: String(id), text: letter(asked, id) }))
    },
    hint: text.kay.hint,
    async judge(asked) {
      const { tensors } = await asked.ask('forward', { word: 'kayla' })
      const probs = tensors['pos2.probs'].data
      const id = best(probs, (p) => p)
      return predicted(asked, String(id), text.kay.right, {
        letter: letter(asked, id),
        prob: percent(probs[id]),
      })
    },
  },
]
