import { best, letter, notOpen, percent, predicted, three, type Exercise } from './exercise'

export const minute: Exercise[] = [
  {
    id: 'follow-a-made-up-name',
    title: 'Follow a name that nobody wrote',
    kind: 'make it so',
    hard: 1,
    stage: { section: 0, word: 'emma' },
    question: 'Choose one of the names that the model has just made up, so that the whole page follows it.',
    hint: {
      plain: 'The names are buttons. Whichever you press becomes the word in the bar at the top.',
      technical: 'The word is the page’s one input: every figure asks the session about it anew.',
    },
    async judge({ app, seen, ask }) {
      if (!seen.names.includes(app.word)) {
        return {
          right: false,
          says: '“{now}” is followed, and it is none of the names above.',
          facts: { now: app.word },
        }
      }
      const { mean } = await ask('loss', { word: app.word })
      return {
        right: true,
        says: 'The page follows “{now}” now, which the model gives a mean loss of {loss} nats.',
        facts: { now: app.word, loss: three(mean) },
      }
    },
  },
  {
    id: 'the-end-of-the-word',
    title: 'How surprised was it at the end?',
    kind: 'find the number',
    hard: 1,
    stage: { section: 0, word: 'emma', position: 4 },
    question: 'Open the number that says how surprised the model was that `{word}` ends where it ends.',
    hint: {
      plain: 'It stands in words under the map of the way. Numbers with a dotted line under them can be opened.',
      technical:
        'It is the loss of the last position, whose target is BOS: `pos{t}.loss` with t one less than the tokens.',
    },
    async judge(asked) {
      const { app, ask } = asked
      const { letters } = await ask('loss', { word: app.word })
      const path = `pos${letters.length - 1}.loss`
      if (app.number !== path) return notOpen(asked, 'Look for the loss of the last position.')
      return {
        right: true,
        says: 'The end had a probability of {prob}, and −log of that is {loss} nats.',
        facts: { prob: percent(letters.at(-1)!.prob), loss: three(letters.at(-1)!.loss) },
      }
    },
  },
  {
    id: 'what-comes-after-kay',
    title: 'What comes after “ka”?',
    kind: 'predict',
    hard: 2,
    stage: { section: 0, word: 'kayla', position: 2 },
    question: 'The model has read `k` and `a`. Which token does it hold for the likeliest to come next?',
    async options(asked) {
      const { tensors } = await asked.ask('forward', { word: 'kayla' })
      const probs = tensors['pos2.probs'].data
      const likely = probs
        .map((_, id) => id)
        .sort((a, b) => probs[b] - probs[a])
        .slice(0, 6)
      return likely.sort((a, b) => a - b).map((id) => ({ value: String(id), text: letter(asked, id) }))
    },
    hint: {
      plain: 'Think of names that begin with ka, and of what most of them go on with.',
      technical: 'These are the six likeliest, in the alphabet’s order. Section 6 shows them for the position after a.',
    },
    async judge(asked) {
      const { tensors } = await asked.ask('forward', { word: 'kayla' })
      const probs = tensors['pos2.probs'].data
      const id = best(probs, (p) => p)
      return predicted(asked, String(id), 'It gives “{letter}” {prob}.', {
        letter: letter(asked, id),
        prob: percent(probs[id]),
      })
    },
  },
]
