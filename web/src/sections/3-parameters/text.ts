// The words of section 3, and what is published about other models. Figures of the model are filled in: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'Everything the model has ever learned is in {num_params} numbers. There is no list of names in them and no rule of spelling: only matrices, {num_matrices} of them, which stay the same for every word, and which training nudges a little at a time.',
  ],
  plain: [
    'Think of a mixing desk with {num_params} sliders. The wiring behind it, which is the program, never changes. Before training every slider stands at a random place near the middle and the desk makes noise; afterwards it makes names. All that lies between is where the sliders stand.',
  ],
  technical: [
    'A parameter is a leaf of the graph: a `Value` that was made of nothing, that stays when the graph of a document is thrown away, and that `adam` writes to. Whatever else appears on this page (queries, logits, probabilities) is an *activation*, computed anew for each token and then forgotten.',
  ],
}

export const matrices: Words = {
  both: [
    'Here they all are, a cell for each number, in the order in which a token meets them. Pick a matrix to see it closer below. The picture can show the numbers themselves, what the word *{word}* would have them do, or what Adam remembers about each.',
  ],
  technical: [
    'Each matrix is stored as `linear` wants it, (outputs, inputs): a row makes one output, as the weighted sum of all the inputs. Cells are drawn to one scale over all matrices, by the square root of the size, so that small numbers still show.',
  ],
}

export const rows: Words = {
  both: [
    'What a row means depends on the matrix. In `wte` and `lm_head` it is a token: one row says what the token looks like going in, the other what the model looks for before it says that token. In `wpe` it is a position. Elsewhere a row is one unit, with no name but its number.',
  ],
  plain: [
    'Look at the gradient of `wte` for your word: only the rows of its own letters are lit. A letter that does not occur had no part in the result, so nobody asks it to change.',
  ],
  technical: [
    'The head structure is not in the matrices: `attn_wq`, `attn_wk` and `attn_wv` are each one block of {n_embd} × {n_embd}, and head *h* simply owns {head_dim} of the rows. The thin lines show where one head ends. In `attn_wo` heads own columns instead, as it reads what they wrote. There are no biases, and `lm_head` is not tied to `wte`, though they have the same shape.',
  ],
}

export const one: Words = {
  both: [
    'Behind each parameter stand three more numbers, which exist only for training: its gradient, and two running averages that Adam keeps, *m* of the gradient and *v* of its square.',
  ],
}

export const where: Words = {
  both: [
    'Where do the parameters sit? Not where most explanations spend their time: attention is what makes a transformer, but the MLP is what fills it.',
  ],
  technical: [
    'Per layer attention has 4 · n_embd² parameters and the MLP 8 · n_embd²: a third and two thirds, whatever the width. The tables of tokens and positions grow only in proportion to n_embd, so that they weigh much here and next to nothing in a large model. A parameter count is therefore close to 12 · n_layer · n_embd².',
  ],
}

export const ladder: Words = {
  both: [
    'The step from here to a famous model is one of size. The same function, `shapes`, says how many numbers a model of any size has; below it is asked for theirs, beside what their authors published.',
  ],
  plain: [
    'If each parameter of this model were a grain of rice, you could hold the model in your hands. GPT-3 in the same grains would be a few thousand tonnes of rice. The recipe would still be the page of Python on the right.',
  ],
  technical: [
    'The counts differ a little, and for known reasons: the GPTs have biases and learned scales in their norms, and use one table for `wte` and `lm_head` where this file has two. At the width of GPT-3 that hardly shows.',
  ],
}

export const noHistory =
  'No history: the weights came as they are, and a file says only where they ended, not how they got there. Train a model in section 8, and the way of every parameter is drawn here.'
export const noMoments =
  'Adam’s averages are all zero: no step has been made with this model here, and none came with it.'

/** Published sizes: facts of the literature, with where they stand. vocab_size and block_size as in the released code. */
export const published: {
  name: string
  year: number
  count: number
  source: string
  sizes?: { n_embd: number; n_layer: number; block_size: number; vocab_size: number }
}[] = [
  {
    name: 'LeNet-5, which read cheques',
    year: 1998,
    count: 60_000,
    source: 'https://doi.org/10.1109/5.726791', // "Gradient-based learning applied to document recognition", section II.B
  },
  {
    name: 'GPT',
    year: 2018,
    count: 117_000_000, // its own paper gives none: table 2 of GPT-2's
    source: 'https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf',
    sizes: { n_embd: 768, n_layer: 12, block_size: 512, vocab_size: 40_478 },
  },
  {
    name: 'GPT-2',
    year: 2019,
    count: 1_542_000_000, // table 2
    source: 'https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf',
    sizes: { n_embd: 1600, n_layer: 48, block_size: 1024, vocab_size: 50_257 },
  },
  {
    name: 'GPT-3',
    year: 2020,
    count: 175_000_000_000, // table 2.1
    source: 'https://arxiv.org/abs/2005.14165',
    sizes: { n_embd: 12_288, n_layer: 96, block_size: 2048, vocab_size: 50_257 },
  },
]
