// The words of section 11. Figures of the model are filled in from the engine: {name}.
import { texts } from '../../texts/texts'

export default texts({
  intro: {
    both: ['In kind, yes. In size, no. The lists below say what changes on the way there, and what does not.'],
  },

  sizes: {
    title: { plain: 'How large is large?', technical: 'What larger models need' },
    label: 'What models of other sizes need',
    quantity: 'quantity',
    here: 'this model',
    params: { plain: 'numbers to learn', technical: 'parameters' },
    flops: { plain: 'sums to read a token', technical: 'operations per token, forward pass' },
    trained: { plain: 'sums to learn from it', technical: 'operations per token, training' },
    kept: { plain: 'memory to use it', technical: 'memory for 16-bit weights' },
    toTrain: 'to train',
    memory: { plain: 'memory to train it', technical: 'memory for training' },
    run: { plain: 'the whole training', technical: 'complete training run' },
    operations: { plain: 'sums', technical: 'operations' },
    published: 'published',
    inTraining: 'in section 8',
    unknown: 'not published',
    scale: { plain: 'numbers to learn', technical: 'parameters, on a logarithmic scale' },
    caption: {
      plain: 'This program’s own arithmetic, asked for the published sizes.',
      technical:
        'Computed from the published sizes, assuming this file’s matrices. A multiplication and an addition count as two operations; the number after e is the power of ten. Training keeps weights, gradients and Adam’s two moments, all in 32 bits. GPT-2’s authors count fewer parameters because GPT-2 uses one table as both `wte` and `lm_head`.',
    },
  },

  changes: {
    title: 'What changes at scale, and what does not',
    stage: 'stage',
    same: 'stays the same',
    other: 'changes',
    rows: [
      { stage: 'data', same: 'text, and the question what comes next', other: 'names become a good part of the web' },
      { stage: 'tokens', same: 'text becomes numbers', other: 'letters become pieces of words' },
      {
        stage: 'model',
        same: { plain: 'embed, look back, think, score', technical: 'embeddings, attention, MLP, residual stream' },
        other: {
          plain: 'more layers, and wider ones',
          technical: 'n_layer, n_embd; rotary positions, gated MLPs, experts',
        },
      },
      {
        stage: 'training',
        same: { plain: 'guess, measure the surprise, nudge', technical: 'forward, loss, backward, Adam' },
        other: 'months, on many machines',
      },
      {
        stage: { plain: 'manners', technical: 'post-training' },
        same: 'the same loop',
        other: 'conversations instead of documents',
      },
      {
        stage: { plain: 'answering', technical: 'serving' },
        same: 'one token, one throw of the die',
        other: 'many readers at once',
      },
    ],
  },

  read: {
    title: { plain: 'How much they have read', technical: 'How much text each model was trained on' },
    here: 'the training data here',
    characters: 'characters',
    published: '{unit}, published',
    units: { bytes: 'bytes of text', tokens: 'tokens' },
    caption: {
      plain: 'Each mark to the right is ten times as much.',
      technical:
        'A logarithmic scale: equal distances are equal ratios. A token of a large model spans a few characters.',
    },
  },

  pieces: {
    question: {
      asks: 'Why can a large model miscount the letters of a word?',
      words: {
        both: [
          'Because it does not see them. Its [tokens](term:token) are pieces of words: “the” is one token, a rare name is several. This small model reads letters, so it cannot miscount them that way.',
        ],
        technical: [
          'The usual algorithm is byte-pair encoding ([Sennrich et al. 2016](https://arxiv.org/abs/1508.07909)). Shorter sequences cost larger tables: two of vocab_size rows here, often one that serves as both. The rest of the program would not change by a line.',
        ],
      },
    },
    title: { plain: 'Letters or bytes?', technical: 'A word as characters and bytes' },
    text: 'text',
    label: 'Characters and bytes',
    characters: 'characters',
    ids: { plain: 'number in this model', technical: 'token ids' },
    bytes: 'bytes',
    hex: 'bytes in hex',
    none: 'none',
    counts: '{count} characters,',
    bytesUnit: 'bytes.',
    one: 'This model cannot read one of them; a byte-level model can read any text.',
    many: 'This model cannot read {count} of them; a byte-level model can read any text.',
    would: 'With bytes, there would be',
    instead: 'tokens instead of',
    tables: {
      plain: ', and the tables for letters would hold',
      technical: ', and the token tables, `wte` and `lm_head`, would hold',
    },
    weights: 'weights instead of',
    caption: {
      plain: 'Type an accent or an emoji. Large models start from bytes and glue the frequent ones together.',
      technical:
        'UTF-8 encodes a character as one to four bytes. Byte-pair encoding merges frequent neighbours into longer tokens; the merges are learned from data.',
    },
  },

  ladder: {
    question: {
      asks: 'Does anybody train a model number by number?',
      words: {
        plain: [
          'No. This program carries every brick by hand, with a note of where it came from. Real ones send the bricks up on a belt. The wall is the same wall.',
        ],
        technical: [
          'The reference makes an object for each number. The kernel is C, compiled to WebAssembly here, with forward, backward and Adam written by hand: it saves not arithmetic but what Python does around each operation. A GPU runs thousands of such units side by side, and a batch exists to keep them busy. 32-bit numbers trade digits for speed; large models are trained with 16 bits (bfloat16).',
        ],
      },
    },
    title: { plain: 'The same sums, faster', technical: 'The ladder, timed on your machine' },
    engines: {
      scalar: { plain: 'the program you read, number by number', technical: 'the reference, number by number' },
      native: { plain: 'the same in compiled code', technical: 'the kernel, identical bit for bit' },
      float32: { plain: 'the same with shorter numbers', technical: 'the kernel, in 32-bit arithmetic' },
    },
    stop: 'Stop',
    start: 'Train for {steps} steps with each engine',
    atStep: 'The reference is at step {step} of {steps}.',
    kernel: 'The kernel is training.',
    done: 'All engines start from the same weights and read the same names in the same order.',
    slow: 'The reference takes several seconds.',
    progress: 'Progress of the reference',
    perStep: 'ms per step',
    times: 'times as fast',
    loss: 'last loss',
    agree: 'all {steps} losses agree to',
    bit: 'the last bit',
    steps: '{count} steps',
    waiting: 'Waiting',
    caption: {
      plain: 'Timed on your machine while you watch. No other figure changes.',
      technical: 'The engines run on your machine, timed as you watch. The model in the other figures is not affected.',
    },
  },

  said: {
    title: 'Say something to the model',
    you: 'you say',
    again: 'Again',
    bos: { plain: 'Then the die fell on “end”.', technical: 'Then the die fell on BOS, which ends the name.' },
    full: 'Then the model ran out of positions.',
    caption: {
      plain: 'It takes your words for the beginning of a name: names are all it has read. Temperature {temperature}.',
      technical:
        'A base model continues a document. Sampled at temperature {temperature}. An assistant is the same model, trained further on conversations.',
    },
  },

  more: {
    question: {
      asks: 'Why do answers appear word by word?',
      words: {
        both: [
          'Because they are made that way: each token is one call of `gpt` and one throw of the die, as in section 9. It is not for show. What was said before is kept, so that it need not be read again.',
        ],
        technical: [
          'Reading the question is limited by arithmetic, since all positions go at once; writing the answer by memory, since every token needs every weight once. Hence [weights](term:weight) in 8 or 4 bits, grouped queries, and small models that guess ahead and are checked by the large one.',
        ],
      },
    },
    title: { plain: 'Why a long chat costs more', technical: 'One more token' },
    size: 'a model the size of',
    after: 'after this many tokens',
    costs: 'The next token costs',
    ofWhich: { plain: 'sums,', technical: 'operations,' },
    look: {
      plain: 'of which look back. Remembering what was said takes',
      technical: 'of which look back. The cached keys and values take',
    },
    besides: ', in addition to',
    weights: { plain: 'for the model itself.', technical: 'for the weights.' },
    caption: {
      plain: 'Blue is the share spent on looking back.',
      technical:
        'The blue part is attention. The costs are computed for the published sizes, regardless of the models’ own context limits.',
    },
  },

  units: { trillion: 'trillion', billion: 'billion', million: 'million', bytes: 'bytes' },

  questions: [
    {
      asks: 'Is it really the same thing?',
      words: {
        both: [
          'A paper boat and a container ship float for the same reason. If you have understood the boat, you have understood floating. To build the ship takes harbours, engines and many people. This section is the list of harbours.',
        ],
      },
    },
    {
      asks: 'Where does it learn about the world?',
      words: {
        both: [
          'From its text. A large model reads a good part of the public web, books and programs, cleaned of what is broken, repeated or harmful. To guess the next word of a cookery book you have to learn some cooking; to guess the next line of a proof, some mathematics. Names only teach what names are like.',
        ],
        technical: [
          'One pass or less over the data is usual at scale; this program starts over when it has read every document. How much data a model can use was measured: about twenty tokens per [parameter](term:parameter), if [training](term:training) is all you pay for ([Hoffmann et al. 2022](https://arxiv.org/abs/2203.15556), the GPT called Chinchilla).',
        ],
      },
    },
    {
      asks: 'What is different inside?',
      words: {
        both: ['More [layers](term:layer), and wider ones. Every part you have seen is in a large model too.'],
        technical: [
          'What Llama does otherwise: positions are rotated into queries and keys (rotary embeddings) instead of added from `wpe`; the MLP has a third matrix that gates (SwiGLU); several query [heads](term:head) share one key and value head (grouped queries); norms have learned scales, and there is one before `lm_head`. Mixtures of experts choose a few of many MLPs for each token. Each is an edit of a few lines.',
        ],
      },
    },
    {
      asks: 'Why does training take months?',
      words: {
        both: [
          'Because of how many tokens and how many [parameters](term:parameter) there are. Each token costs about six operations per parameter: two on the way forward, four on the way back. What is added keeps the loop going on many machines: batches of millions of tokens, a warm-up of the learning rate, clipped [gradients](term:gradient), checkpoints, and people who are called at night.',
        ],
        technical: [
          'Each machine has the model and a part of the batch, and gradients are added up. If a model does not fit on one machine, its matrices and layers are split too. None of this changes what is computed, up to the order of sums. The published total for GPT-3 is in table D.1 of its paper; the figure shows it beside this file’s arithmetic.',
        ],
      },
    },
    {
      asks: 'Then why does ChatGPT answer questions?',
      words: {
        both: [
          'Because [training](term:training) went on, with other documents: conversations that people wrote, then the model’s own answers, which people or programs rated. What you have trained is a *base model*: it continues. A large base model, greeted, would continue a web page.',
        ],
        technical: [
          'Supervised fine-tuning is the loop of section 8 with the [loss](term:loss) taken on the answer’s tokens only. Then comes learning from preferences ([Ouyang et al. 2022](https://arxiv.org/abs/2203.02155), InstructGPT), or from answers that can be checked. The weights move little compared with pre-training, and no part is added. A chat is one document, in which special tokens, like BOS, say who speaks.',
        ],
      },
    },
  ],

  outro: {
    both: [
      'Everything that makes it work is on this page. What makes it *good* is data, size and care. Why so simple a loop, made large, learns so much is a question that nobody has answered yet.',
      'To take along: [the program as a notebook](./microgpt.ipynb), and [lesson plans for teachers](./teachers.html) with links into this page.',
    ],
  },
})
