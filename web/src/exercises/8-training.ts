import { onLine, three, type Exercise } from './exercise'
import text from './8-training.text'

export const training: Exercise[] = [
  {
    id: 'know-nothing',
    title: text.nothing.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 8, word: 'emma' },
    question: text.nothing.question,
    hint: text.nothing.hint,
    async judge({ app, ask }) {
      const { mean, uniform } = await ask('loss', { word: app.word })
      const facts = { loss: three(mean), uniform: three(uniform), steps: String(app.model!.step) }
      if (app.model!.step) return { right: false, says: text.nothing.trained, facts }
      if (Math.abs(mean - uniform) > 0.3) return { right: false, says: text.nothing.far, facts }
      return { right: true, says: text.nothing.right, facts }
    },
  },
  {
    id: 'learn-this-word',
    title: text.below.title,
    kind: 'make it so',
    hard: 3,
    stage: { section: 8, word: 'emma' },
    question: text.below.question,
    hint: text.below.hint,
    async judge({ app, ask }) {
      if (app.word !== 'emma') return { right: false, says: text.below.other, facts: { now: app.word } }
      const { mean } = await ask('loss', { word: 'emma' })
      const right = mean < 2
      return { right, says: right ? text.below.right : text.below.wrong, facts: { loss: three(mean) } }
    },
  },
  {
    id: 'the-first-good-day',
    title: text.day.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 8, word: 'emma', config: {}, step: 100 },
    question: text.day.question,
    hint: text.day.hint,
    async judge({ app, ask }) {
      const run = (await ask('runs', {})).runs.find(({ active }) => active)!
      const first = run.losses.findIndex((loss) => Number(loss) < 2.5) + 1
      if (run.first > 1 || !first) return { right: false, says: text.day.unreachable }
      const { step } = app.model!
      if (step === 0) return { right: false, says: text.day.begin }
      const own = run.losses[step - 1]
      const facts = { step: String(step), own: three(own ?? NaN) }
      if (step === first) return { right: true, says: text.day.right, facts }
      return { right: false, says: Number(own) < 2.5 ? text.day.later : text.day.above, facts }
    },
  },
  {
    id: 'make-two-runs-part',
    title: text.part.title,
    kind: 'make it so',
    hard: 3,
    stage: { section: 8, word: 'emma' },
    question: text.part.question,
    hint: text.part.hint,
    async judge({ ask }) {
      const own = (await ask('runs', {})).runs.filter(({ frozen, losses }) => !frozen && losses.length >= 10)
      if (own.length < 2) return { right: false, says: text.part.few, facts: { count: String(own.length) } }
      const [a, b] = own.slice(-2)
      const { differs, first } = await ask('compare', { a: a.id, b: b.id })
      const facts = { count: String(differs.length), settings: differs.map(({ setting }) => setting).join(', ') }
      if (!first) return { right: false, says: text.part.equal }
      if (differs.length !== 1) return { right: false, says: differs.length ? text.part.many : text.part.none, facts }
      const where = { step: String(first.step), path: first.path, a: three(first.a), b: three(first.b) }
      return { right: true, says: text.part.right, facts: { ...facts, ...where } }
    },
  },
  {
    id: 'the-whole-of-training',
    title: text.whole.title,
    kind: 'find the line',
    hard: 1,
    stage: { section: 8 },
    question: text.whole.question,
    hint: text.whole.hint,
    judge: onLine(['surprise.backward()'], text.whole.right),
  },
]
