// The words of section 1. Facts about the model and its data are filled in: {name}.
import { claim, texts } from '../../texts/texts'

export default texts({
  lead: {
    both: [
      'The model learns from a list of [documents](term:document), letter by letter. This is the list, and its alphabet.',
    ],
  },
  documents: {
    title: { plain: 'The list and its alphabet', technical: 'Documents and vocabulary' },
    order: 'order',
    file: { plain: 'as in the file', technical: 'file order' },
    read: { plain: 'shuffled', technical: 'training order' },
    rest: 'and {rest} more',
    list: 'The first documents',
    alphabet: {
      plain: 'Its alphabet: {vocab_size} symbols, each with a number',
      technical: 'The vocabulary: {vocab_size} tokens with their ids',
    },
    symbol: { plain: 'Show “{char}”, number {id}, in the list', technical: 'Show “{char}”, id {id}, in the documents' },
    bos: { plain: 'end', technical: 'BOS' },
    occurs: { plain: '“{char}” has the number {id} and occurs', technical: '“{char}” has id {id} and occurs' },
    occursBos: {
      plain: 'The mark at both ends of a line has the number {id}; lines:',
      technical: 'BOS, which begins and ends each document, has id {id}; documents:',
    },
    times: 'times.',
  },
  tickets: {
    plain: [
      'Think of a cloakroom: each letter hands itself in and gets a ticket. The ticket says nothing about the letter. That `a` and `e` are both vowels is something the model has to find out. One extra ticket, number {bos}, marks both ends of every document, like the silence before and after a word.',
    ],
    technical: [
      'Ids are places in the sorted set of characters. [BOS](term:bos) comes last and stands at both ends of every document, so n letters give n + 1 predictions: the first from BOS alone, the last of BOS as the end.',
    ],
  },
  tokenizer: {
    title: 'Type anything',
    field: 'text',
    tokens: { plain: 'Letters and their numbers', technical: 'Tokens' },
    bos: { plain: 'start', technical: 'BOS' },
    end: { plain: 'end', technical: 'BOS' },
    player: { plain: 'From letters to numbers', technical: 'From text to token ids' },
    typed: { plain: 'as you typed it', technical: 'the text' },
    ends: { plain: 'a mark at both ends', technical: 'BOS at both ends' },
    turned: '“{char}” → {id}',
    unknown: {
      plain:
        'The model has no number for {chars}: nothing in the list contains it. Such characters are crossed out here and left out everywhere else.',
      technical:
        'There is no token for {chars}, because the training data does not contain it: the program would stop with a KeyError. Such characters are crossed out here and left out below.',
    },
    cut: {
      plain: 'The model reads at most {block_size} symbols in a row, so it ignores the last ones. Ignored here:',
      technical: 'Characters past the block size ({block_size}) are ignored. Ignored here:',
    },
    use: 'Use “{text}” in every figure',
  },
  shuffle: {
    title: 'The shuffle',
    words: {
      plain: [
        'A file in alphabetical order would teach one letter at a time. So the program shuffles it first, as you would shuffle cards: from the last to the first, swap each card with one of those before it, or leave it.',
      ],
      technical: [
        '`random.shuffle` is the Fisher–Yates shuffle from the end, so every order is equally likely. The [seed](term:seed) fixes the whole stream of random numbers: the order, the initial weights and the samples.',
      ],
    },
    seed: 'seed',
    second: 'second seed',
    deck: 'the deck',
    other: 'the second deck',
    same: 'The same seed makes the same deck: every card takes the same way.',
    differs: 'Another seed makes another deck.',
    chance: 'The seeds differ, and yet the decks end in the same order.',
    only: 'There is only one document, so there is nothing to shuffle.',
    swaps: 'Swaps in the shuffle',
    begin: 'in file order',
    swap: 'swap {at} of {count}',
    places: { plain: 'places', technical: 'indices' },
    stays: { plain: 'stays:', technical: 'with itself: index' },
  },
  statistics: {
    title: { plain: 'Which letters are common?', technical: 'Characters and lengths' },
    letters: { plain: 'how often each letter occurs', technical: 'occurrences of each character' },
    lengths: { plain: 'how many lines have this many letters', technical: 'documents by length in characters' },
    caption: {
      plain: 'If you had to guess a letter without seeing anything, these counts would be the best you could do.',
      technical:
        '{name}: {num_docs} documents, {num_chars} characters. These counts are the best predictor without context: the model must do better.',
    },
  },
  own: {
    title: 'Your own text',
    choose: 'Choose a text file',
    reading: 'Reading…',
    back: 'Return to the names',
    sizes: {
      plain: 'The alphabet now has {vocab_size} symbols, and the model {num_params} numbers.',
      technical: 'The model now has {vocab_size} tokens and {num_params} parameters.',
    },
  },
  questions: [
    {
      asks: 'Are these words, or pieces of words?',
      words: {
        both: [
          claim(
            'Neither: each [token](term:token) is one character. You may have heard that a token is about four letters long. That is true of large models, whose [tokenizers](term:tokenizer) join letters that often appear together (section 11). Try: type a capital letter above. A model that has read only small letters has no token for it.',
            "ask('tokens', text='Emma')['unknown'] == ['E']",
          ),
        ],
      },
    },
    {
      asks: 'Can I use my own words?',
      words: {
        both: [
          'Yes. To follow a word through the page, type it into the box at the top; it may contain any letters that the model knows. To train on your own text, choose a file with one document per line. It is read in this page and sent nowhere. The model then starts over, because another alphabet needs other rows in its tables.',
          'Try: a list of towns, dishes, plants or rhymes, a few hundred lines at least. Train on it in section 8, and see in section 9 what the model makes up.',
        ],
      },
    },
    {
      asks: 'What if a letter is missing from the alphabet?',
      words: {
        plain: [
          'Then the model cannot read it at all: it has no ticket, and there is no row of numbers for it to look up.',
        ],
        technical: [
          'The [vocabulary](term:vocabulary) is closed: the {num_letters} characters of the data, and BOS. A character outside it has no row in `wte`. GPT-2 avoids the problem: it works on bytes, and joins frequent pairs into longer tokens. Nothing else in the program would change, only the number of rows.',
        ],
      },
    },
    {
      asks: 'Why does the same seed give the same order?',
      words: {
        plain: [
          'The computer’s “chance” is a long, fixed list of numbers that only looks random. The [seed](term:seed) says where to start reading, so the same seed always gives the same shuffle.',
        ],
        technical: [
          'The numbers come from a Mersenne Twister, whose state the seed determines completely. The same seed gives the same order, initial weights and samples on every machine, which is how this page reproduces the program’s results.',
        ],
      },
    },
  ],
})
