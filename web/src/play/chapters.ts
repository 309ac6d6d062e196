// The playhead's chapters, in the program's order, each with the section of the guide to which the chapter belongs.

import type { ChapterName } from '../engine/protocol'

export interface Act {
  name: ChapterName
  title: string
  about: string
  section: number // of the guide
}

export const chapters: Act[] = [
  {
    name: 'data',
    title: 'Read and shuffle',
    about: 'The file becomes a list of documents, the list is shuffled, and every letter gets an id.',
    section: 1,
  },
  {
    name: 'tokens',
    title: 'Tokenize the word',
    about: 'Letters become token ids, with BOS at both ends, and then letters again.',
    section: 1,
  },
  {
    name: 'forward',
    title: 'Forward',
    about: 'Each token goes through the model, which outputs probabilities for the next token.',
    section: 4,
  },
  {
    name: 'loss',
    title: 'The loss',
    about: 'How surprised the model was by each next letter, and on average.',
    section: 6,
  },
  {
    name: 'backward',
    title: 'Backward',
    about: 'Starting from the loss, every number passes its gradient to its operands.',
    section: 7,
  },
  {
    name: 'adam',
    title: 'One Adam update',
    about: 'One parameter moves against its gradient, with a memory of its past gradients.',
    section: 7,
  },
  {
    name: 'sample',
    title: 'Sample a name',
    about: 'The model writes a name: it computes probabilities, and a die picks the next letter.',
    section: 9,
  },
]
export const END = 'end' // the big picture, after the last chapter

/** The chapter that plays a section's subject, and the line where that subject starts. */
export const placeOf: Record<number, { chapter: string; line: string }> = {
  0: { chapter: 'data', line: '' },
  1: { chapter: 'data', line: 'with open(path' },
  2: { chapter: 'backward', line: '' },
  3: { chapter: 'data', line: 'table = {"wte"' },
  4: { chapter: 'forward', line: 'x = [t + p for' },
  5: { chapter: 'forward', line: 'q = linear(x' },
  6: { chapter: 'loss', line: '' },
  7: { chapter: 'backward', line: 'self.grad = 1.0' },
  8: { chapter: 'adam', line: '' },
  9: { chapter: 'sample', line: '' },
}
