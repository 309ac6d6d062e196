import { best, notOpen, onLine, percent, predicted, three, type Asked, type Exercise } from './exercise'
import text from './6-surprise.text'

export const surprise: Exercise[] = [
  {
    id: 'a-word-it-expects',
    title: text.expects.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 6, word: 'emma' },
    question: text.expects.question,
    hint: text.expects.hint,
    async judge({ app, ask }) {
      const { mean } = await ask('loss', { word: app.word })
      const facts = { now: app.word, loss: three(mean) }
      if ([...app.word].length < 3) return { right: false, says: text.expects.short, facts }
      if (mean >= 2) return { right: false, says: text.expects.loss, facts }
      return { right: true, says: text.expects.loss, facts }
    },
  },
  {
    id: 'worse-than-knowing-nothing',
    title: text.worse.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 6, word: 'emma' },
    question: text.worse.question,
    hint: text.worse.hint,
    async judge({ app, ask }) {
      const { mean, uniform } = await ask('loss', { word: app.word })
      const facts = { now: app.word, loss: three(mean), uniform: three(uniform) }
      if (mean <= uniform) return { right: false, says: text.worse.below, facts }
      return {
        right: true,
        says: text.worse.above,
        facts,
      }
    },
  },
  {
    id: 'the-greatest-surprise',
    title: text.greatest.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 6, word: 'olivia', position: 0 },
    question: text.greatest.question,
    hint: text.greatest.hint,
    async judge({ app, ask }) {
      const { letters } = await ask('loss', { word: app.word })
      const most = letters[best(letters, ({ loss }) => loss)]
      const own = letters[Math.min(app.position, letters.length - 1)]
      const facts = { target: own.target, loss: three(own.loss), prob: percent(own.prob) }
      if (own.position !== most.position) return { right: false, says: text.greatest.other, facts }
      return { right: true, says: text.greatest.most, facts }
    },
  },
  {
    id: 'the-number-training-makes-small',
    title: text.number.title,
    kind: 'find the number',
    hard: 1,
    stage: { section: 6, word: 'emma' },
    question: text.number.question,
    hint: text.number.hint,
    async judge(asked) {
      const { app, ask } = asked
      if (app.number !== 'loss') return notOpen(asked, text.number.short)
      const { value, grad } = await ask('number', { word: app.word, path: 'loss' })
      return {
        right: true,
        says: text.number.right,
        facts: { now: app.word, value: three(value), grad: three(grad) },
      }
    },
  },
  {
    id: 'backwards',
    title: text.backwards.title,
    kind: 'predict',
    hard: 2,
    stage: { section: 6, word: 'emma' },
    question: text.backwards.question,
    facts: turned,
    options: async () => [
      { value: 'less', text: text.backwards.less },
      { value: 'same', text: text.backwards.same },
      { value: 'more', text: text.backwards.more },
    ],
    hint: text.backwards.hint,
    async judge(asked) {
      const { one, other } = await turned(asked)
      const [a, b] = [await asked.ask('loss', { word: one }), await asked.ask('loss', { word: other })]
      const answer = b.mean > a.mean ? 'more' : b.mean < a.mean ? 'less' : 'same'
      return predicted(asked, answer, text.backwards.truth, { one, other, a: three(a.mean), b: three(b.mean) })
    },
  },
  {
    id: 'surprise-in-the-program',
    title: text.line.title,
    kind: 'find the line',
    hard: 1,
    stage: { section: 6 },
    question: text.line.question,
    hint: text.line.hint,
    judge: onLine(['losses.append(-probs[target_id].log())'], text.line.why),
  },
]

/** Return a word, and its letters backwards: a pair that the engine found, or the page's word. */
async function turned({ app, ask }: Asked): Promise<{ one: string; other: string }> {
  const [found] = (await ask('examples', {})).backwards
  const one = found?.word ?? app.word
  return { one, other: [...one].reverse().join('') }
}
