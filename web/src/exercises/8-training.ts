import { onLine, three, type Exercise } from './exercise'

export const training: Exercise[] = [
  {
    id: 'know-nothing',
    title: 'Begin from nothing',
    kind: 'make it so',
    hard: 1,
    stage: { section: 8, word: 'emma' },
    question:
      'Give the model random weights, so that it knows nothing: the loss of `{word}` should be near {uniform_loss}.',
    hint: {
      plain: 'There is a button for it above the curve.',
      technical: 'At init_std 0.08 the logits are all near 0, and the softmax near 1/{vocab_size} each.',
    },
    async judge({ app, ask }) {
      const { mean, uniform } = await ask('loss', { word: app.word })
      const facts = { loss: three(mean), uniform: three(uniform), steps: String(app.model!.step) }
      if (app.model!.step)
        return { right: false, says: 'This model has made {steps} steps: the loss is {loss}.', facts }
      if (Math.abs(mean - uniform) > 0.3)
        return { right: false, says: 'The loss is {loss}, and knowing nothing costs {uniform}.', facts }
      return { right: true, says: 'Untrained, the loss is {loss}, and knowing nothing costs {uniform}.', facts }
    },
  },
  {
    id: 'learn-this-word',
    title: 'Below 2, by any means',
    kind: 'make it so',
    hard: 3,
    stage: { section: 8, word: 'emma' },
    question: 'Make the loss of `emma` fall below 2: by training, by changing weights, by other data; all is allowed.',
    hint: {
      plain:
        'A model that reads nothing but this word learns it quickly. You can give it a file of your own in section 1.',
      technical:
        'Overfit it: a text file with the one line. Or push weights of lm_head against their gradients in section 4.',
    },
    async judge({ app, ask }) {
      if (app.word !== 'emma')
        return { right: false, says: 'Another word is followed: “{now}”.', facts: { now: app.word } }
      const { mean } = await ask('loss', { word: 'emma' })
      if (mean >= 2) return { right: false, says: 'It costs {loss} nats a letter.', facts: { loss: three(mean) } }
      return {
        right: true,
        says: 'It costs {loss} nats a letter now. Ask the model for samples, to see what that has cost.',
        facts: { loss: three(mean) },
      }
    },
  },
  {
    id: 'the-first-good-day',
    title: 'Back to the first good day',
    kind: 'make it so',
    hard: 2,
    stage: { section: 8, word: 'emma', config: {}, step: 100 },
    question: 'This run has made 100 steps. Go back to the first step whose loss was below 2.5.',
    hint: {
      plain:
        'The thin line is the loss of each step. Where does it first dip below? The slider goes there, step by step with the arrow keys.',
      technical:
        'The loss of step n belongs to the document of step n, before the update; scrubbing gives the weights after it.',
    },
    async judge({ app, ask }) {
      const run = (await ask('runs', {})).runs.find(({ active }) => active)!
      const first = run.losses.findIndex((loss) => Number(loss) < 2.5) + 1
      if (run.first > 1 || !first)
        return {
          right: false,
          says: 'This run cannot be gone back in that far. Set the stage, so that the one of the exercise is trained.',
        }
      const own = run.losses[app.model!.step - 1]
      const facts = { step: String(app.model!.step), own: three(own ?? NaN) }
      if (app.model!.step === 0) return { right: false, says: 'This is the beginning: no step is made.' }
      if (app.model!.step !== first)
        return {
          right: false,
          says:
            'Step {step} had a loss of {own}. ' +
            (Number(own) < 2.5 ? 'There was an earlier one below 2.5.' : 'That is not below 2.5.'),
          facts,
        }
      return {
        right: true,
        says: 'Step {step} had a loss of {own}: the first below 2.5. The weights are what they were then, bit for bit.',
        facts,
      }
    },
  },
  {
    id: 'make-two-runs-part',
    title: 'Make two runs part',
    kind: 'make it so',
    hard: 3,
    stage: { section: 8, word: 'emma' },
    question: 'Make two runs of your own, of ten steps at least, that differ in one setting and in nothing else.',
    hint: {
      plain: 'Random weights, train 10. Then begin a new run with one setting changed, and train 10.',
      technical:
        'With another learning rate the first loss is the same and the first update is not. With another seed nothing is.',
    },
    async judge({ ask }) {
      const own = (await ask('runs', {})).runs.filter(({ id, losses }) => id !== 'published' && losses.length >= 10)
      if (own.length < 2)
        return {
          right: false,
          says: 'There are {count} runs of your own with ten steps or more.',
          facts: { count: String(own.length) },
        }
      const [a, b] = own.slice(-2)
      const { differs, first } = await ask('compare', { a: a.id, b: b.id })
      const facts = { count: String(differs.length), settings: differs.map(({ setting }) => setting).join(', ') }
      if (!first) return { right: false, says: 'The last two are equal, number for number, as far as both go.' }
      if (differs.length !== 1)
        return {
          right: false,
          says: 'The last two differ in {count} settings' + (differs.length ? ': {settings}.' : '.'),
          facts,
        }
      return {
        right: true,
        says: 'They differ in `{settings}`, and part at step {step}, at `{path}`: {a} and {b}.',
        facts: { ...facts, step: String(first.step), path: first.path, a: three(first.a), b: three(first.b) },
      }
    },
  },
  {
    id: 'the-whole-of-training',
    title: 'Surprise, then backward',
    kind: 'find the line',
    hard: 1,
    stage: { section: 8 },
    question: 'Which line of the training loop finds out what each parameter had to do with the surprise?',
    hint: {
      plain: 'It is the shortest line of the loop.',
      technical: 'One call, on the loss; every gradient is there when it returns.',
    },
    judge: onLine(['surprise.backward()'], 'one walk over the graph, for all {num_params} at once.'),
  },
]
