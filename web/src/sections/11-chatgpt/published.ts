// Published figures for other models: facts from the literature, with their sources.

export const SIZES = [
  {
    name: 'GPT-2-small',
    title: 'GPT-2 small',
    sizes: { n_embd: 768, n_layer: 12, block_size: 1024, vocab_size: 50_257 }, // table 2, and the released code
    source: 'https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf',
    trained: null, // the paper does not say
  },
  {
    name: 'GPT-3',
    title: 'GPT-3',
    sizes: { n_embd: 12_288, n_layer: 96, block_size: 2048, vocab_size: 50_257 }, // table 2.1
    source: 'https://arxiv.org/abs/2005.14165',
    trained: { tokens: 300_000_000_000, flops: 3.14e23 }, // tables 2.1 and D.1
  },
] as const

/** The amounts of text that other models were trained on. */
export const READ: { name: string; amount: number; unit: 'bytes' | 'tokens'; source: string }[] = [
  {
    name: 'GPT-2, 2019',
    amount: 40e9,
    unit: 'bytes',
    source: 'https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf', // section 2.1
  },
  { name: 'GPT-3, 2020', amount: 300e9, unit: 'tokens', source: 'https://arxiv.org/abs/2005.14165' }, // table 2.1
  { name: 'Llama 3, 2024', amount: 15e12, unit: 'tokens', source: 'https://arxiv.org/abs/2407.21783' }, // section 1
]
