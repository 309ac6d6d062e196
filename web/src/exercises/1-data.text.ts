// The words of section 1's exercises. Facts of the answer are filled in: {name}.
import { claim, texts } from '../texts/texts'

export default texts({
  unknown: {
    title: 'A letter it does not know',
    question: 'Type something for which the tokenizer has no token.',
    hint: {
      plain: 'Its alphabet consists of the letters in the list. Which characters does no line contain?',
      technical: claim(
        'The vocabulary is the set of the training text’s characters: no capitals, no digits, no umlauts.',
        "ask('tokens', text='aA1ä')['unknown'] == ['A', '1', 'ä']",
      ),
    },
    wrong: 'Everything in “{text}” has a token.',
    right: 'There is no token for “{char}”: the vocabulary is closed, and the program would stop with a KeyError.',
  },
  long: {
    title: 'Longer than it can read',
    question: 'Type a text whose end the model does not read.',
    hint: {
      plain: 'It can read {block_size} symbols in a row, no more.',
      technical: '`block_size` is {block_size}: `wpe` has one row per position, and none beyond.',
    },
    wrong: 'It reads all {count} characters.',
    right: 'Of {count} characters, it ignores the last {cut}: it computes {positions} positions.',
  },
  rarest: {
    title: 'The rarest letter',
    question: 'Follow a word that begins with the rarest letter in the data.',
    hint: {
      plain: 'It has the shortest bar. Type a word that begins with it into the box at the top.',
      technical: 'All characters of all documents count, not only the first ones.',
    },
    wrong: '“{now}” begins with “{first}”, which occurs {count} times. There is a rarer letter.',
    right: '“{first}” occurs {count} times in the data; no letter is rarer.',
  },
  first: {
    title: 'A shuffle that leaves the first card',
    question: 'Find a seed with which the first card of the shuffle is first again at the end.',
    hint: {
      plain: claim(
        'Try one seed after another. With eight cards, about one seed in eight works.',
        "5 < sum(s['swaps'][-1]['after'][0] == s['before'][0] for seed in range(100) for s in [ask('shuffle', seed=seed, count=8)]) < 20",
      ),
      technical: 'Fisher–Yates makes every order equally likely, so each card is equally likely to come first.',
    },
    wrong: 'With seed {seed}, “{first}” comes first, not “{before}”.',
    right: 'With seed {seed}, “{before}” is first before and after. The same seed will always give this order.',
  },
  bos: {
    title: 'The silence at both ends',
    question: 'Which line of the program puts BOS at both ends of a document?',
    hint: {
      plain: 'Look where letters become numbers: in the tokenizer’s `encode`.',
      technical: 'A list with a starred generator in the middle.',
    },
    right: 'it puts BOS before the first letter and after the last.',
  },
})
