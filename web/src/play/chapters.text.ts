// The titles of the playhead's chapters, and what happens in each.
import { texts } from '../texts/texts'

export default texts({
  data: {
    title: 'Read and shuffle',
    about: {
      plain: 'The program reads the texts from a file, shuffles them, and gives every letter a number.',
      technical: 'The program reads the documents from a file, shuffles them, and gives every letter an id.',
    },
  },
  tokens: {
    title: { plain: 'From letters to numbers', technical: 'Tokenize the word' },
    about: {
      plain: 'The letters become numbers, with a mark at both ends, and then letters again.',
      technical: 'The letters become numbers (token ids), with BOS at both ends, and then letters again.',
    },
  },
  forward: {
    title: { plain: 'From a letter to a guess', technical: 'Forward' },
    about: 'Each letter goes through the model, which gives every possible next letter a probability.',
  },
  loss: {
    title: 'The loss',
    about: 'How surprised the model was by each letter that came next, and how surprised it was on average.',
  },
  backward: {
    title: { plain: 'Passing the blame back', technical: 'Backward' },
    about: {
      plain: 'Starting from the loss, each number passes its blame back to the numbers it was computed from.',
      technical:
        'Starting from the loss, each number passes its blame (its gradient) back to the numbers it was computed from.',
    },
  },
  adam: {
    title: { plain: 'One weight learns', technical: 'One Adam update' },
    about: {
      plain: 'One weight moves against the blame, guided by a memory of past blame.',
      technical: 'One weight moves against its gradient, guided by a memory of its past gradients.',
    },
  },
  sample: {
    title: 'Sample a name',
    about: 'The model writes a name: it computes probabilities, and a die picks the next letter.',
  },
})
