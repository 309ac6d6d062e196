import { best, letter, onLine, percent, type Asked, type Exercise } from './exercise'

/** The sample that the section shows. */
function sample({ ask, seen }: Asked) {
  const { temperature, top_k, index, prompt } = seen.generation
  return ask('generate', { seed: 42, index, temperature, ...(top_k ? { top_k } : {}), ...(prompt ? { prompt } : {}) })
}

export const generation: Exercise[] = [
  {
    id: 'a-sure-thing',
    title: 'A sure thing',
    kind: 'make it so',
    hard: 1,
    stage: { section: 9 },
    question: 'Choose a temperature at which the likeliest first letter is taken in more than nine of ten names.',
    hint: {
      plain: 'The colder, the surer.',
      technical:
        'logits / temperature: at 0.1 all differences are tenfold. Keep top-k at all, which would be cheating.',
    },
    async judge(asked) {
      const { temperature, top_k } = asked.seen.generation
      const { letters } = await asked.ask('generate', { seed: 42, index: 0, temperature })
      const id = best(letters[0].probs, (p) => p)
      const facts = { temperature: String(temperature), letter: letter(asked, id), prob: percent(letters[0].probs[id]) }
      if (top_k) return { right: false, says: 'With top-k it is easy: set it to all.' }
      if (letters[0].probs[id] <= 0.9)
        return { right: false, says: 'At {temperature} the likeliest, “{letter}”, has {prob}.', facts }
      return { right: true, says: 'At {temperature} “{letter}” has {prob}: nearly every name begins with it.', facts }
    },
  },
  {
    id: 'anything-goes',
    title: 'Anything goes',
    kind: 'make it so',
    hard: 1,
    stage: { section: 9 },
    question: 'Choose a temperature at which even the likeliest first letter has less than one in ten.',
    hint: {
      plain: 'The hotter, the more alike all letters become.',
      technical: 'At temperature 1 it is what the model says; above that, flatter.',
    },
    async judge(asked) {
      const { temperature } = asked.seen.generation
      const { letters } = await asked.ask('generate', { seed: 42, index: 0, temperature })
      const id = best(letters[0].probs, (p) => p)
      const facts = { temperature: String(temperature), letter: letter(asked, id), prob: percent(letters[0].probs[id]) }
      if (letters[0].probs[id] >= 0.1)
        return { right: false, says: 'At {temperature} the likeliest, “{letter}”, has {prob}.', facts }
      return { right: true, says: 'At {temperature} not even “{letter}” has more than {prob}.', facts }
    },
  },
  {
    id: 'something-new',
    title: 'Something new',
    kind: 'make it so',
    hard: 1,
    stage: { section: 9 },
    question: 'Have it write a name of at least four letters that begins with `z` and is in no list.',
    hint: {
      plain: 'You may write the beginning yourself. If what comes is an old name, ask for another.',
      technical: 'The prompt is read like any text; sampling starts after it.',
    },
    async judge(asked) {
      const { text, in_data, nearest } = await sample(asked)
      const facts = { text, near: nearest[0]?.text ?? '', edits: String(nearest[0]?.distance ?? '') }
      if (!text.startsWith('z')) return { right: false, says: '“{text}” does not begin with z.', facts }
      if ([...text].length < 4) return { right: false, says: '“{text}” is too short.', facts }
      if (in_data) return { right: false, says: '“{text}” is in the data: the model has found it again.', facts }
      return { right: true, says: '“{text}” is in no list. Nearest is “{near}”, {edits} edits away.', facts }
    },
  },
  {
    id: 'the-lucky-throw',
    title: 'The luckiest throw',
    kind: 'make it so',
    hard: 2,
    stage: { section: 9 },
    question: 'Step to the letter of the sample for which the die had to fall on the narrowest stretch.',
    hint: {
      plain: 'Each letter has a probability of its own beside the die. Where was it smallest?',
      technical: 'The smallest probs[token_id] of the letters, BOS at the end included.',
    },
    async judge(asked) {
      const { letters } = await sample(asked)
      const at = Math.min(asked.seen.generation.at, letters.length - 1)
      const own = letters[at]
      const least = best(letters, ({ probs, token_id }) => -probs[token_id])
      const facts = { letter: letter(asked, own.token_id), prob: percent(own.probs[own.token_id]) }
      if (at !== least) return { right: false, says: '“{letter}” had {prob}. There was a luckier throw.', facts }
      return { right: true, says: '“{letter}” had {prob}, and came all the same.', facts }
    },
  },
  {
    id: 'chance-in-one-line',
    title: 'Chance, in a line',
    kind: 'find the line',
    hard: 1,
    stage: { section: 9 },
    question: 'Which line throws the die?',
    hint: { plain: 'It chooses one of many, by weight.', technical: 'The only call of rng while a name is written.' },
    judge: onLine(['rng.choices'], 'all else is the same every time.'),
  },
]
