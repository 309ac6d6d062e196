// Published models and their sizes, each with its source. vocab_size and block_size are those of the released code.

export interface Published {
  name: string
  year: number
  count: number
  source: string
  sizes?: { n_embd: number; n_layer: number; block_size: number; vocab_size: number }
}

export const published: Published[] = [
  {
    name: 'LeNet-5',
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
