import { best, notOpen, onLine, percent, predicted, three, type Exercise } from './exercise'

export const surprise: Exercise[] = [
  {
    id: 'a-word-it-expects',
    title: 'A word it expects',
    kind: 'make it so',
    hard: 1,
    stage: { section: 6, word: 'emma' },
    question: 'Find a word of at least three letters whose loss is below 2 nats, and follow it.',
    hint: {
      plain: 'The most ordinary name you can think of. Many end in a.',
      technical: 'Below 2 nats is a perplexity below e²: at each letter as unsure as among seven.',
    },
    async judge({ app, ask }) {
      const { mean } = await ask('loss', { word: app.word })
      const facts = { now: app.word, loss: three(mean) }
      if ([...app.word].length < 3) return { right: false, says: '“{now}” has fewer than three letters.', facts }
      if (mean >= 2) return { right: false, says: 'The loss of “{now}” is {loss}.', facts }
      return { right: true, says: 'The loss of “{now}” is {loss}.', facts }
    },
  },
  {
    id: 'worse-than-knowing-nothing',
    title: 'Worse than knowing nothing',
    kind: 'make it so',
    hard: 1,
    stage: { section: 6, word: 'emma' },
    question: 'Follow a word that surprises the model more than if it knew nothing: with a loss above {uniform_loss}.',
    hint: {
      plain: 'It need not be a name. What would never be in a list of names?',
      technical:
        '−log p is unbounded: a model that is sure, and wrong, does worse than one that gives every token the same.',
    },
    async judge({ app, ask }) {
      const { mean, uniform } = await ask('loss', { word: app.word })
      const facts = { now: app.word, loss: three(mean), uniform: three(uniform) }
      if (mean <= uniform)
        return { right: false, says: 'The loss of “{now}” is {loss}, and knowing nothing costs {uniform}.', facts }
      return {
        right: true,
        says: 'The loss of “{now}” is {loss}, above the {uniform} of knowing nothing: it was sure of something else.',
        facts,
      }
    },
  },
  {
    id: 'the-greatest-surprise',
    title: 'The greatest surprise',
    kind: 'make it so',
    hard: 1,
    stage: { section: 6, word: 'olivia', position: 0 },
    question: 'Choose the letter of `{word}` that surprised the model most.',
    hint: {
      plain: 'The highest bar. The letters are buttons.',
      technical:
        'The letter at which −log p of the target is largest; its position is the one that reads the letter before.',
    },
    async judge({ app, ask }) {
      const { letters } = await ask('loss', { word: app.word })
      const most = letters[best(letters, ({ loss }) => loss)]
      const own = letters[Math.min(app.position, letters.length - 1)]
      const facts = { target: own.target, loss: three(own.loss), prob: percent(own.prob) }
      if (own.position !== most.position)
        return { right: false, says: '“{target}” costs {loss} nats. There is one that costs more.', facts }
      return { right: true, says: '“{target}” had {prob}, which costs {loss} nats.', facts }
    },
  },
  {
    id: 'the-number-training-makes-small',
    title: 'The one number that training makes small',
    kind: 'find the number',
    hard: 1,
    stage: { section: 6, word: 'emma' },
    question: 'Open the number that backward starts from.',
    hint: {
      plain: 'It is the mean of all the bars.',
      technical: 'Its path is simply `loss`, and its gradient is 1.',
    },
    async judge(asked) {
      const { app, ask } = asked
      if (app.number !== 'loss') return notOpen(asked, 'Its name is short.')
      const { value, grad } = await ask('number', { word: app.word, path: 'loss' })
      return {
        right: true,
        says: 'The loss of “{now}” is {value}, and its own gradient is {grad}: it answers to itself one for one.',
        facts: { now: app.word, value: three(value), grad: three(grad) },
      }
    },
  },
  {
    id: 'backwards',
    title: 'The same letters, backwards',
    kind: 'predict',
    hard: 2,
    stage: { section: 6, word: 'emma' },
    question: 'Is `maria` written backwards as surprising to the model as `maria`?',
    options: async () => [
      { value: 'less', text: 'less' },
      { value: 'same', text: 'the same: the letters are the same' },
      { value: 'more', text: 'more' },
    ],
    hint: {
      plain: 'Does the model count letters, or does it know which follows which?',
      technical: 'The loss is a sum of conditional surprises, and the conditions are others.',
    },
    async judge(asked) {
      const [a, b] = [await asked.ask('loss', { word: 'maria' }), await asked.ask('loss', { word: 'airam' })]
      const answer = b.mean > a.mean ? 'more' : b.mean < a.mean ? 'less' : 'same'
      return predicted(asked, answer, '`maria` costs {a} nats a letter, `airam` {b}.', {
        a: three(a.mean),
        b: three(b.mean),
      })
    },
  },
  {
    id: 'surprise-in-the-program',
    title: 'Surprise, in a line',
    kind: 'find the line',
    hard: 1,
    stage: { section: 6 },
    question: 'Which line turns the probability of what came next into surprise?',
    hint: {
      plain: 'Surprise is the logarithm of how unlikely it was.',
      technical: '−log p of the target, one for each position.',
    },
    judge: onLine(
      ['losses.append(-probs[target_id].log())'],
      'certain costs nothing, impossible costs infinitely much.',
    ),
  },
]
