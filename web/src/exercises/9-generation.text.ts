// The words of section 9's exercises. Facts of the answer are filled in: {name}.
import { claim, texts } from '../texts/texts'

export default texts({
  sure: {
    title: 'A sure thing',
    question: claim(
      'Choose a temperature at which more than nine of ten names begin with the most likely first letter.',
      "[max(chances('', t).values()) > 0.9 for t in (0.1, 0.5)] == [True, False]",
    ),
    hint: {
      plain: 'The colder, the surer.',
      technical: '`logits / temperature`: the lower the temperature, the larger all differences. Leave top-k at “all”.',
    },
    cheating: 'With top-k it would be too easy: set it to “all”.',
    wrong: 'At temperature {temperature}, the most likely letter, “{letter}”, has {prob}.',
    right: 'At temperature {temperature}, “{letter}” has {prob}: nearly every name begins with it.',
  },
  anything: {
    title: 'Anything goes',
    question: claim(
      'Choose a temperature at which even the most likely first letter has less than one chance in ten.',
      "[max(chances('', t).values()) < 0.1 for t in (2, 0.5)] == [True, False]",
    ),
    hint: {
      plain: 'The hotter, the more alike all letters become.',
      technical: 'At temperature 1 the distribution is what the model learned; above 1 it is flatter.',
    },
    wrong: 'At temperature {temperature}, the most likely letter, “{letter}”, has {prob}.',
    right: 'At temperature {temperature}, even “{letter}” has only {prob}.',
  },
  fresh: {
    title: 'Something new',
    question: claim(
      'Make it write a name of at least four letters that begins with `z` and is not in the data.',
      "any(len(g['text']) > 3 and not known(g['text']) and not held_out(g['text']) for index in range(20) for g in [ask('generate', seed=42, index=index, temperature=0.5, prompt='z')])",
    ),
    hint: {
      plain: 'You may write the beginning yourself. If the name already exists, generate another.',
      technical: 'The prompt is read like any text; sampling starts after it.',
    },
    noZ: '“{text}” does not begin with z.',
    short: '“{text}” is too short.',
    known: '“{text}” is in the data: the model has found it again.',
    right: '“{text}” is not in the data. The nearest name is “{near}”; letters to change: {edits}.',
  },
  surest: {
    title: 'The surest throw',
    question: 'Step to the letter for which the die could hardly miss: the one with the widest stretch.',
    hint: {
      plain: 'Each letter’s chance stands below the die. Where is it largest?',
      technical: 'The largest `probs[token_id]`, BOS at the end included.',
    },
    wrong: '“{letter}” had {prob}. Another throw was surer.',
    right: '“{letter}” had {prob}: the model left little to chance.',
  },
  line: {
    title: 'Chance, in one line',
    question: 'Which line throws the die?',
    hint: {
      plain: 'It chooses one of many, by weight.',
      technical: 'The only call of `rng` while a name is generated.',
    },
    right: 'everything else is the same every time.',
  },
})
