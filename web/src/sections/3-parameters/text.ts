// The words of section 3. Figures of the model are filled in from the engine: {name}.
import { claim, texts, type Question, type Text, type Words } from '../../texts/texts'

const intro: Words = {
  both: ['Everything the model has learned is in these {num_params} numbers, its [parameters](term:parameter).'],
}

const means = {
  wte: {
    plain: 'a row for each letter: what the model knows of it',
    technical: 'token embeddings: a row for each token',
  },
  wpe: {
    plain: 'a row for each place in the word: first, second, third',
    technical: 'position embeddings: a row for each position',
  },
  attn_wq: { plain: 'works out what a letter looks for', technical: 'queries, head by head in its rows' },
  attn_wk: { plain: 'writes the label it is found by', technical: 'keys, head by head in its rows' },
  attn_wv: { plain: 'writes the message it passes on', technical: 'values, head by head in its rows' },
  attn_wo: { plain: 'merges what the heads bring back', technical: 'mixes the heads’ outputs: its columns' },
  mlp_fc1: {
    plain: 'a row for each of {four_n_embd} questions put to a letter',
    technical: 'widens: a row for each unit',
  },
  mlp_fc2: { plain: 'a column for each answer: what it adds', technical: 'narrows: a column for each unit' },
  lm_head: { plain: 'a row for each letter: when it comes next', technical: 'the logits: a row for each token' },
}

const matrices = {
  title: { plain: 'Every number the model has learned', technical: 'Every parameter' } as Text,
  label: 'The model’s matrices',
  stages: {
    embedding: { plain: 'look up', technical: 'embed' } as Text,
    attention: { plain: 'look back', technical: 'attention' } as Text,
    mlp: { plain: 'think', technical: 'MLP' } as Text,
    loss: { plain: 'score', technical: 'logits' } as Text,
  },
  layer: '{stage} {layer}',
  means: Object.fromEntries(
    Object.entries(means).map(([name, { plain, technical }]) => [name, { plain, technical, both: plain }]),
  ) as Record<string, Text>,
  detail: '{name}, {shape}: show in detail',
  by: ' by ',
  show: 'show',
  quantities: {
    value: { plain: 'the numbers', technical: 'value' } as Text,
    grad: 'gradient for “{word}”',
    m: { plain: 'average gradient', technical: 'm' } as Text,
    v: { plain: 'usual strength', technical: 'v' } as Text,
  },
  key: 'gray: below zero; color: above zero; pale: near zero',
  caption: {
    plain:
      'A letter passes these tables from top to bottom. Click a name to see its table in detail, or a cell to see its number.',
    technical:
      'In the order in which a token meets them. Click a name to see that matrix in detail, or a cell to open its number. Lines separate heads. The strength of a color is the square root of the size, so that small numbers still show.',
  } as Text,
}

const zoom = {
  words: {
    both: [
      'Each number carries three more, which only training uses: its [gradient](term:gradient), and two averages of past [gradients](term:gradient).',
    ],
  } as Words,
  title: { plain: 'One table, and one of its numbers', technical: 'A matrix and one of its numbers' } as Text,
  matrix: { plain: 'table', technical: 'matrix' } as Text,
  scroll: { plain: 'The {name}', technical: 'Matrix {name}' } as Text,
  rows: {
    tokens: { plain: 'Rows are letters.', technical: 'Rows: tokens.' } as Text,
    positions: { plain: 'Rows are places in the word.', technical: 'Rows: positions.' } as Text,
    heads: {
      plain: 'Each row makes one number. The lines separate the heads.',
      technical: 'Rows: what each head computes, head by head. Columns: what it reads.',
    } as Text,
    merge: {
      plain: 'Each row makes one number. The lines separate the heads.',
      technical: 'Rows: the residual stream. Columns: what each head wrote, head by head.',
    } as Text,
    units: { plain: 'Each row is a question.', technical: 'Rows: units. Columns: what they read.' } as Text,
    answers: { plain: 'Each column is an answer.', technical: 'Rows: the residual stream. Columns: units.' } as Text,
  },
  zeroRow: 'For “{word}”, one row has a gradient of exactly zero:',
  zeroRows: 'For “{word}”, this many rows have a gradient of exactly zero:',
  one: 'One parameter',
  value: 'value',
  grad: 'gradient for “{word}”',
  m: { plain: 'average of past gradients', technical: 'm, Adam’s running average of the gradient' } as Text,
  v: { plain: 'average of their squares', technical: 'v, Adam’s running average of the squared gradient' } as Text,
  history: { plain: '{path} during training', technical: '{path} during training' } as Text,
  step: 'step',
  curve: {
    plain: '',
    technical: 'The curve includes the current step and every earlier step with stored weights.',
  } as Text,
  noHistory: {
    plain: 'Train a model in section 8, and its path is drawn here.',
    technical:
      'No history: these weights came from a file. Train a model in section 8, and this figure draws each parameter’s path.',
  } as Text,
  noMoments: 'Adam’s averages are all zero: this model has not made a step yet.',
  first: {
    plain: 'Click a cell to see its number here.',
    technical:
      'No parameter is open, so this is the first component of the BOS embedding. Click any cell to open its parameter.',
  } as Text,
}

const questions: Question[] = [
  {
    asks: 'How can numbers know names?',
    words: {
      both: [
        claim(
          'There is no list of names in them, and no spelling rule. Think of a mixing desk with {num_params} sliders. The wiring behind it, the program, never changes. Before training, every slider stands at a random place near the middle, and the desk makes noise. After training it makes names. The only difference is where the sliders stand.',
          "all(abs(x) < 0.5 for t in after('reset').ask('parameters')['tensors'].values() for x in t['data']) and after('reset').loss('marina') > 3 > 2 > loss('marina')",
        ),
      ],
      technical: [
        'A parameter is a leaf of the graph: a `Value` that was not computed from anything, that remains when the graph of a document is thrown away, and that `adam` updates. Everything else on this page (queries, logits, probabilities) is computed afresh for each token and then forgotten.',
      ],
    },
  },
  {
    asks: 'What does a row mean?',
    words: {
      both: [
        claim(
          'That depends on the [matrix](term:matrix). In `wte` and `lm_head` a row is a token: one says what the token looks like going in, the other what the model looks for before it says that token. In `wpe` it is a position. Elsewhere a row is one unit, with no name but its number. Try: show the gradient, and look at `wte`. Only the rows of what the model reads are lit: your word’s letters, and the mark before them. A letter that does not occur had no part in the result, so nothing asks it to change.',
          "ask('gradients', word='emma')['zero_rows']['wte'] == [i for i in range(27) if i not in (0, 4, 12, model['bos'])]",
        ),
      ],
      technical: [
        'Each matrix is stored as `linear` wants it, (outputs, inputs): a row makes one output, as the weighted sum of all inputs. `attn_wq`, `attn_wk` and `attn_wv` are each one block of {n_embd} × {n_embd}, and head *h* simply owns {head_dim} of the rows. In `attn_wo` heads own columns instead, because it reads what they wrote. There are no biases, and `lm_head` is not tied to `wte`, though they have the same shape.',
      ],
    },
  },
]

const identity = {
  words: {
    both: ['A letter enters as {n_embd} numbers, plus those of its place.'],
    technical: [
      'A lookup is no computation: `wte[token_id]` and `wpe[pos_id]` are rows of two [parameters](term:parameter). Multiplying a one-hot [vector](term:vector) by the [matrix](term:matrix) would give the same row. Without `wpe`, the first layer’s attention would see the earlier letters as a set, without their order.',
    ],
  } as Words,
  title: { plain: 'How a letter becomes numbers', technical: 'A token’s row plus its position’s row' } as Text,
  player: 'The letters of the word, looked up one by one',
  begin: { plain: 'nothing looked up yet', technical: 'nothing looked up yet' } as Text,
  at: { plain: '{letter}, place {place}', technical: '{letter} at position {place}' } as Text,
  wte: { plain: 'letters', technical: 'wte' } as Text,
  wpe: { plain: 'places', technical: 'wpe' } as Text,
  idle: {
    tok: { plain: 'a letter', technical: 'tok_emb' } as Text,
    pos: { plain: 'its place', technical: 'pos_emb' } as Text,
    sum: { plain: 'together', technical: 'emb' } as Text,
  },
  tok: { plain: 'letter {letter}', technical: 'tok_emb: wte[{letter}]' } as Text,
  pos: { plain: 'place {place}', technical: 'pos_emb: wpe[{place}]' } as Text,
  sum: { plain: 'together', technical: 'emb' } as Text,
  number: { plain: '{i}:', technical: 'x[{i}]:' } as Text,
  rows: { plain: 'All rows as a table', technical: 'All rows as a table' } as Text,
  caption: {
    plain: '',
    technical:
      'emb = wte[token] + wpe[position], before the norm. Of a wide table, only the first columns are shown. Click a cell to open its number.',
  } as Text,
}

const likeness = {
  question: {
    asks: 'Which letters are alike?',
    words: {
      plain: ['Letters that the model treats alike have similar rows. On this map they stand close together.'],
      technical: [
        'Two rows of `wte` are alike if they point in the same direction: the [norm](term:rmsnorm) that follows takes the length away. The cosine of the angle between them is 1 in the same direction, 0 at a right angle, and −1 in opposite ones.',
      ],
    },
  } as Question,
  title: { plain: 'A map of the letters', technical: 'The rows of wte by likeness' } as Text,
  map: { plain: 'The map', technical: 'The first two principal components of wte' } as Text,
  when: { plain: 'the model', technical: 'weights' } as Text,
  now: { plain: 'now', technical: 'now' } as Text,
  before: { plain: 'before training', technical: 'before training' } as Text,
  bos: { plain: 'start and end', technical: 'BOS' } as Text,
  like: { plain: 'Most like “{letter}”', technical: 'Nearest to “{letter}”, by cosine' } as Text,
  likeBos: { plain: 'Most like the start and end mark', technical: 'Nearest to BOS, by cosine' } as Text,
  equal: 'All rows are the same, so there is nothing that tells two of them apart.',
  held: {
    plain: 'A flat map cannot show everything. This one shows {held} of the differences between the letters.',
    technical: 'Centered rows, along their first two principal components: {held} of the variance. One bar for each.',
  } as Text,
  all: { plain: 'The map shows all of the differences.', technical: 'The plane holds all of the variance.' } as Text,
  hidden: {
    plain:
      'So beware: “{one}” and “{other}” are {shown} apart on the map, and really {distance}. The average is {typical}.',
    technical:
      'It hides most of the distance between “{one}” and “{other}”: {shown} of {distance} is left. The mean distance of two rows is {typical}.',
  } as Text,
  vowels: {
    plain:
      'Nobody said which letters are vowels. Yet for each vowel, the four letters most like it are the other vowels.',
    technical:
      'For each vowel, the four letters with the largest cosine are the other vowels. The only thing that training asked for was the next token.',
  } as Text,
  some: 'The map has the {count} most frequent of {vocab_size}.',
  table: { plain: 'All places as a table', technical: 'All coordinates as a table' } as Text,
  shares: { plain: 'How much each direction shows', technical: 'Share of the variance along each component' } as Text,
  letter: { plain: 'letter', technical: 'token' } as Text,
  across: { plain: 'to the right', technical: 'component 1' } as Text,
  up: { plain: 'up', technical: 'component 2' } as Text,
  caption: {
    plain: 'Click a letter: the lines lead to the five most like it.',
    technical:
      'Click a token: lines lead to its five nearest by cosine, in all {n_embd} dimensions; on the map they may look far. The sign of a component is arbitrary: its largest coordinate is positive.',
  } as Text,
}

const shares = {
  words: {
    plain: ['Looking back makes it a transformer. But it has twice as many numbers for thinking.'],
    technical: [
      claim(
        'Attention makes it a transformer. But the MLP has twice as many numbers. Per [layer](term:layer), attention has 4 · n_embd² parameters and the MLP 8 · n_embd²: a third and two thirds, at any width. The tables of tokens and positions grow only in proportion to n_embd, so they weigh much here and next to nothing in a large model, whose parameter count is therefore close to 12 · n_layer · n_embd².',
        "sum(r * c for name, r, c in model['shapes'] if name in ('wte', 'wpe', 'lm_head')) > 0.2 * model['num_params'] and (2 * 50257 + 2048) * 12288 < 0.01 * ask('sizes', n_embd=12288, n_layer=96, block_size=2048, vocab_size=50257)['num_params']",
      ),
    ],
  } as Words,
  title: { plain: 'Where the numbers are', technical: 'Where the parameters are' } as Text,
  bar: { plain: 'Each table’s share of the numbers', technical: 'Each matrix’s share of the parameters' } as Text,
  table: { plain: 'Tables and their sizes', technical: 'Matrices and their sizes' } as Text,
  matrix: { plain: 'table', technical: 'matrix' } as Text,
  shape: 'rows × columns',
  count: { plain: 'numbers', technical: 'parameters' } as Text,
  share: 'share',
  total: 'total',
}

const ladder = {
  question: {
    asks: 'How much larger is a famous model?',
    words: { both: ['A famous model differs from this one in size.'] },
  } as Question,
  title: { plain: 'How large the famous ones are', technical: 'The ladder' } as Text,
  here: 'this model',
  cheques: 'read cheques',
  sizes: { plain: '', technical: '{layers} layers, {width} wide' } as Text,
  published: 'published',
  computed: { plain: 'by this program’s own count', technical: 'computed by shapes()' } as Text,
  ticks: { thousand: 'thousand', million: 'million', billion: 'billion', trillion: 'trillion' },
  caption: {
    plain: 'Each equal step to the right multiplies the size.',
    technical: 'The scale is logarithmic: equal distances are equal ratios.',
  } as Text,
}

const ladderQuestions: Question[] = [
  {
    asks: 'How can I picture the difference?',
    words: {
      both: [
        claim(
          'If each parameter of this model were a grain of rice, you could hold the model in your hands. GPT-3 would be a few thousand tonnes of rice. The recipe would still be the page of Python in the source panel.',
          "50 < 0.02 * model['num_params'] < 500 and 2e9 < 0.02 * ask('sizes', n_embd=12288, n_layer=96, block_size=2048, vocab_size=50257)['num_params'] < 9e9",
        ),
      ],
      technical: [
        claim(
          'The same function, `shapes`, counts the parameters of a model of any size. Its counts differ a little from those published, for known reasons: the GPTs have biases and learned scales in their norms, and share one table between `wte` and `lm_head` where this file has two. At the width of GPT-3 that hardly shows.',
          "abs(ask('sizes', n_embd=12288, n_layer=96, block_size=2048, vocab_size=50257)['num_params'] / 175e9 - 1) < 0.01",
        ),
      ],
    },
  },
]

export default texts({ intro, matrices, identity, likeness, zoom, questions, shares, ladder, ladderQuestions })
