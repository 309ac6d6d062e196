// The titles of the playhead's chapters, and what happens in each.
import { texts } from '../texts/texts'

export default texts({
  data: {
    title: 'Read and shuffle',
    about: 'The program reads the documents from a file, shuffles them, and gives every letter an id.',
  },
  tokens: {
    title: 'Tokenize the word',
    about: 'The letters become numbers (token ids), with BOS at both ends, and then letters again.',
  },
  forward: {
    title: 'Forward',
    about: 'Each letter goes through the model, which gives every possible next letter a probability.',
  },
  loss: {
    title: 'The loss',
    about: 'How surprised the model was by each letter that came next, and how surprised it was on average.',
  },
  backward: {
    title: 'Backward',
    about:
      'Starting from the loss, each number passes its blame (its gradient) back to the numbers it was computed from.',
  },
  adam: {
    title: 'One Adam update',
    about: 'One weight moves against its gradient, guided by a memory of its past gradients.',
  },
  sample: {
    title: 'Sample a name',
    about: 'The model writes a name: it computes probabilities, and a die picks the next letter.',
  },
})
