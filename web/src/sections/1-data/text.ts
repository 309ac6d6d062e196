// The words of section 1. Figures of the model and the data are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'A language model has never met a language. It has met a list of documents, and all that it will ever know is which character follows which in them. Here there are {num_docs} documents, a line each: first names, unless you bring a text of your own below.',
  ],
}

export const tokenizer: Words = {
  both: [
    'The model computes with numbers, so each character gets one: its place in the sorted alphabet of the data.',
    '*Are these words, or pieces of words?* Neither: these are characters. What is said of tokens elsewhere, that one is about four letters long, holds for large models, whose tokenizers join what often stands together (section 11). Try: type a capital letter below, and see that to this model it is no letter at all.',
  ],
  plain: [
    'Think of a cloakroom. Each letter hands itself in and gets a ticket. The ticket says nothing about the letter: that `a` and `e` are both vowels is something the model has to find out by itself. One more ticket, number {bos}, is called *BOS* and stands at both ends of every name, like the silence before and after a word.',
  ],
  technical: [
    'The vocabulary is closed: {vocab_size} token ids, the {num_letters} characters of the data and BOS. A character that is not among them has no row in `wte` and cannot be read at all. GPT-2 avoids this by working on bytes and by joining frequent pairs into longer tokens; nothing else in the program would change, only the number of rows.',
    'A document of n letters makes n + 1 predictions: every letter is predicted from those before it, the first from BOS alone, and BOS once more as the end.',
  ],
}

export const statistics: Words = {
  both: [
    'Before any training there is already something to know. If you had to guess a letter without seeing anything, these counts are the best you could do; a model is worth what it knows beyond them.',
  ],
}

export const shuffle: Words = {
  both: [
    'A file has an order of its own, for instance that of the alphabet. The program reads it in a random one, so that no stretch of training sees only one kind of document.',
  ],
  plain: [
    'It is the way you would shuffle cards by hand without ever cheating: go from the last card to the first, and swap each with one drawn from those that are not settled yet, itself included.',
  ],
  technical: [
    '`random.shuffle` is the Fisher–Yates shuffle from the end. The draws come from a Mersenne Twister, which the seed sets completely: with the same seed it is the same order, the same initial weights and the same samples on every machine. That is what lets this page repeat the program to the last digit.',
  ],
}

export const own: Words = {
  both: [
    '*Can I use my own words?* To follow one through the page, write it into the box at the top: any word will do whose letters the model knows. To train on your own, bring a file with one document a line. It is read here, in this page, and goes nowhere; the model starts anew, since another alphabet means other rows in its tables.',
    'Try: a list of towns, dishes, plants or rhymes, some hundred lines at least. Then train on it in section 8, and see in section 9 what it makes up.',
  ],
}
