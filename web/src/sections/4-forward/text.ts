// The words of section 4. Figures of the model are filled in from the engine: {name}.
import { claim, texts, type Question, type Words } from '../../texts/texts'

const intro: Words = {
  both: ['From one letter to a guess at the next.'],
}

const stream: Words = {
  both: [
    'From beginning to end, {n_embd} numbers carry what is known about this letter. No stage replaces them: each one reads a copy, works something out, and adds it.',
  ],
  technical: [
    'These numbers are the *residual stream*: x + f(rmsnorm(x)). Because of the plain sum, the gradient reaches every [layer](term:layer) undiminished by the layers above it, which made deep networks trainable ([He et al. 2015](https://arxiv.org/abs/1512.03385)). A linear map costs as many multiplications as it has weights, so a token costs about two operations per [parameter](term:parameter), whatever the word.',
  ],
}

const adds: Question[] = [
  {
    asks: 'Why does every stage only add?',
    words: {
      both: [
        'Think of a document that is passed round a table. Everyone reads what is there, adds a remark in the margin, and passes it on. Nobody rubs anything out. If you disagree, you write the opposite beside it. So nothing that was known gets lost. Try: click a number after a merge, and find the plain sum of two others.',
      ],
    },
  },
]

const norm: Question = {
  asks: 'Why does no letter shout the others down?',
  words: {
    plain: [
      'Before a stage reads the numbers, they are turned to one volume, as a sound engineer does: loud or soft, everyone reaches the room at the same level. What counts is what is said.',
    ],
    technical: [
      'Before a branch reads the [stream](term:residual-stream), `rmsnorm` divides all {n_embd} numbers by their root mean square: the direction stays, the size goes. [RMSNorm](term:rmsnorm) ([Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467)) is LayerNorm without the mean, and here without a learned scale. The small constant under the root keeps a silent [vector](term:vector) from becoming a division by zero.',
    ],
  },
}

const norms: Question[] = [
  {
    asks: {
      plain: 'Why is only a copy turned to one volume?',
      technical: 'Why on the way into the branch, and not on the stream?',
    },
    words: {
      plain: [
        'Because what travels on is then a plain sum of everything that was added. Only the copy that a stage reads is turned to one volume. The first transformer changed the sum itself after every addition, and learning had to begin very carefully. Try: open a number that two stages were added to, and find the plain sum.',
      ],
      technical: [
        'Because the [stream](term:residual-stream) then stays a plain sum from end to end. The first transformer normalised the stream itself after each addition, and it needed a careful warm-up to train at all. With the norm inside the branch that is no longer necessary. Try: open a number of `resid_mid`, and find the plain sum.',
        'On pre-norm against post-norm: [Xiong et al. 2020](https://arxiv.org/abs/2002.04745).',
      ],
    },
  },
  {
    asks: {
      plain: 'Why once more, before the first stage?',
      technical: 'Why once more, straight after the embedding?',
    },
    words: {
      plain: [
        'What a stage adds has a size of its own. Beside it, the letter’s first numbers would be faint, as the figure shows. Turned to one volume at the start, the letter keeps a fixed weight in everything that follows.',
      ],
      technical: [
        claim(
          'A branch reads a normalised copy, so what it adds has a size of its own. Next to that, `emb` would be as faint as the rows of `wte` and `wpe` happen to be, as the figure shows. The first norm gives the letter a fixed weight in the stream. Try: compare the loudness of `emb` with what the later norms read, then do the same with random weights in section 8.',
          "all(3 * m.ask('forward', word='emma')['tensors'][f'pos{t}.emb_norm.mean_square']['data'][0] < m.ask('forward', word='emma')['tensors'][f'pos{t}.layer0.{norm}.mean_square']['data'][0] for m in (after('undo'), after('reset')) for t in range(5) for norm in ('attn_norm', 'mlp_norm'))",
        ),
        claim(
          'In the first layer the norm is then taken twice in a row. Is one of them idle? Its value nearly is: `attn_norm` repeats `emb_norm` up to the small constant. But the stream that goes past the branch is the normalised one, and so is the path of the gradient back to the [embeddings](term:embedding).',
          "all(abs(a - b) < 1e-3 for f in [ask('forward', word='emma')['tensors']] for t in range(5) for a, b in zip(f[f'pos{t}.emb_norm']['data'], f[f'pos{t}.layer0.attn_norm']['data']))",
        ),
      ],
    },
  },
]

const gate: Words = {
  plain: [
    'To think, the model asks {four_n_embd} questions about what it has read. Each gets a score. Below zero the answer is no, and nothing passes. Above zero it is yes, and the score passes on.',
  ],
  technical: [
    'The [MLP](term:mlp) has {four_n_embd} units. Each takes a weighted sum of what it reads, and passes it on only if it is above zero. Without that bend, two [matrices](term:matrix) in a row would be no more than one. The activation is {activation}. Its local gradient is exactly 0 on the closed side: a unit that is closed for every document gets a zero gradient for its row of `mlp_fc1` and its column of `mlp_fc2`, and can only wake by chance, when what it reads changes.',
  ],
}

const dead: Question[] = [
  {
    asks: { plain: 'What if a question never gets a yes?', technical: 'What is a dead unit?' },
    words: {
      both: [
        claim(
          'Then it is *dead*. Nothing passes through a closed gate, no blame comes back through it either, and so it never learns. Whether a unit is dead depends on the documents it is tried with; the figure says how many those were. Try: the exercise “Find the dead” shows a model that lost units to strides that were far too long.',
          "[len(after('reset', config={'learning_rate': rate}, val_fraction=0).after('train', steps=100).ask('gate', word='emma', layer=0)['dead']) > 1 for rate in (0.15, 0.01)] == [True, False]",
        ),
      ],
    },
  },
]

const ripple: Question = {
  asks: 'What happens if one number changes?',
  words: {
    plain: [
      'Some numbers are a pebble dropped at the source: everything downstream moves. Others touch one letter or one place, and nothing before it. The past cannot notice what comes later.',
    ],
    technical: [
      'Nothing is approximated: the whole program runs again. A row of `wpe` reaches its own position and, through keys and values, the later ones, so the dots form a triangle. A row of `wte` reaches the positions where its token is read. A row of `mlp_fc1` whose gate stays closed changes `mlp_pre` and nothing else.',
    ],
  },
}

export default texts({
  intro,
  stream,
  adds,
  norm,
  norms,
  gate,
  dead,
  ripple,

  position: { plain: 'letter', technical: 'position' },
  layer: 'layer',

  beats: {
    title: { plain: 'From a letter to a guess', technical: 'One position, beat by beat' },
    player: 'The steps of the forward pass',
    at: '{n} of {all}: {name}',
    inLayer: '{name}, layer {layer}',
    embed: {
      name: { plain: 'look up', technical: 'embed' },
      says: {
        plain: 'The letter becomes {n_embd} numbers, and so does its place in the word. They are added.',
        technical: 'emb = wte[token] + wpe[position], then rmsnorm.',
        both: 'The letter becomes {n_embd} numbers, and so does its place: emb = wte[token] + wpe[position], then the norm.',
      },
    },
    attend: {
      name: { plain: 'look back', technical: 'attention', both: 'look back (attention)' },
      says: {
        plain: 'Each head looks at the letters so far, the brighter the more, and brings something back.',
        technical: 'Each head blends the values so far by its attention weights; attn_wo maps the result.',
        both: 'Each head looks at the letters so far, the brighter the more, and brings back a blend of their values.',
      },
    },
    merge: {
      name: { plain: 'merge', technical: 'add', both: 'merge' },
      says: {
        plain: 'What was found is added to what was known.',
        technical: 'resid_mid = resid_pre + attn_out.',
        both: 'What was found is added to what was known: resid_mid = resid_pre + attn_out.',
      },
    },
    think: {
      name: { plain: 'think', technical: 'MLP', both: 'think (MLP)' },
      says: {
        plain: 'The letter answers {four_n_embd} questions about what it now knows. Filled squares are a yes.',
        technical: 'mlp_out = mlp_fc2 · activation(mlp_fc1 · rmsnorm(resid_mid)).',
        both: 'The MLP asks {four_n_embd} questions about what is now known. Filled squares are open units.',
      },
    },
    conclude: {
      name: { plain: 'merge', technical: 'add', both: 'merge' },
      says: {
        plain: 'The conclusions are added, too.',
        technical: 'resid_post = resid_mid + mlp_out.',
        both: 'The conclusions are added, too: resid_post = resid_mid + mlp_out.',
      },
    },
    score: {
      name: 'score',
      says: {
        plain: 'Every letter gets a score for coming next, and the scores become chances.',
        technical: 'logits = lm_head · x; probs = softmax(logits).',
        both: 'Every letter gets a score (logits = lm_head · x), and softmax makes chances of the scores.',
      },
    },
    letter: { plain: 'the letter', technical: 'tok_emb' },
    place: { plain: 'its place', technical: 'pos_emb' },
    together: { plain: 'together', technical: 'emb_norm' },
    head: { plain: 'head {h}', technical: 'head {h}' },
    reads: { plain: 'a copy', technical: 'rmsnorm of a copy' },
    found: { plain: 'brought back', technical: 'attn_out' },
    afterLook: { plain: 'known now', technical: 'resid_mid' },
    questions: { plain: 'questions', technical: 'mlp_act' },
    answers: { plain: 'conclusions', technical: 'mlp_out' },
    afterThought: { plain: 'known now', technical: 'resid_post' },
    number: { plain: 'its number {i}:', technical: 'x[{i}]:' },
    scores: { plain: 'scores', technical: 'logits' },
    shares: { plain: 'chances', technical: 'probs' },
    early: { plain: 'if it had to answer here', technical: 'the stream, read out by lm_head here' },
    caption: {
      plain:
        'Each strip holds {n_embd} numbers. They go straight on along the thick line; each box works on a copy, and what it finds is added.',
      technical:
        'The thick line is the residual stream: each block reads a copy, and its result is added. One call of gpt() takes a token and its position, and returns a score for each of the {vocab_size} tokens. Each strip is a vector: colored above zero, gray below. Click a cell to open it. The guess beside each beat is what lm_head and softmax make of the residual stream at that point; only the last one is the model’s.',
    },
  },

  walk: {
    title: {
      plain: 'Everything about one letter',
      technical: 'One position, line by line',
      both: 'Every number of one position',
    },
    player: 'The program at position {t}',
    at: 'step {n} of {all}',
    start: 'nothing computed yet',
    made: 'in {function}, line {line}:',
    begin: 'Press play, or step through the statements.',
    recording: 'Recording the program…',
    attention: 'attention',
    mlp: 'MLP',
    inLayer: '{name}, layer {layer}',
    layerLabel: '{name}, layer {layer}',
    plus: 'plus',
    head: 'head {h}',
    logits: 'logits',
    weights: 'weights',
    out: 'out',
    sideBySide: 'the heads, side by side',
    next: 'The next token is “{letter}”; the loss here is',
    nats: 'nats.',
    scores: 'Scores for the next token',
    caption:
      'Each strip is a vector with one cell per value: colored above zero, gray below. In the residual stream, which is all gray, an empty square is below zero. Click a cell to open it. A circle with a plus marks an addition to the stream.',
  },

  loudness: {
    title: {
      plain: 'How loud each letter is before the volume is set',
      technical: 'Magnitude of the residual stream before each norm',
      both: 'How loud the residual stream is before each norm',
    },
    bars: 'Mean square of {stage} at each position',
    stages: {
      emb: { plain: 'before the first step', technical: 'emb' },
      resid_pre: { plain: 'before it looks back', technical: '{layer}resid_pre' },
      resid_mid: { plain: 'before it thinks', technical: '{layer}resid_mid' },
    },
    caption: {
      plain: 'One bar for each letter of “{word}”. Afterwards every bar would be 1.',
      technical:
        'Each bar shows the mean square at one position of “{word}”. After a norm, the mean square is 1, apart from the effect of a small constant.',
    },
  },

  gates: {
    title: { plain: 'Open or closed: which questions get a yes', technical: 'Open or closed: the MLP’s gates' },
    plot: 'Each unit’s input and output at position {t}',
    in: { plain: 'score', technical: 'in: mlp_pre' },
    out: { plain: 'what passes', technical: 'out: mlp_act' },
    closed: { plain: 'no', technical: 'closed' },
    reading: { plain: 'Question {unit}: score', technical: 'unit {unit}: in' },
    passes: { plain: 'passes', technical: 'out' },
    isDead: {
      plain: 'It is dead: it gets no yes in any of {documents} training names.',
      technical: 'It is dead: it stays closed for all {documents} training documents tested.',
    },
    isOpen: { plain: 'Yes.', technical: 'It is open here.' },
    isClosed: { plain: 'No.', technical: 'It is closed here.' },
    board: 'Gates: use the arrow keys to choose a unit and a position. Unit {unit}, position {t}: {state}',
    open: 'open',
    shut: 'closed',
    off: { plain: 'ignore question {unit}', technical: 'switch unit {unit} off' },
    without: { plain: 'without question {unit}', technical: 'without unit {unit}' },
    caption: {
      plain: 'A column is a question, a row a letter; filled is a yes.',
      technical: 'Each column is a unit and each row a position; filled cells are open.',
    },
    ofUnits: {
      plain: 'of {units} questions get a yes at letter {t}.',
      technical: 'of {units} units are open at position {t}.',
    },
    noDead: { plain: 'None is dead.', technical: 'No unit is dead.' },
    oneDead: {
      plain: 'is dead (gray).',
      technical: 'is dead: outlined with dashes in the plot and gray in the grid.',
    },
    someDead: {
      plain: 'are dead (gray).',
      technical: 'are dead: outlined with dashes in the plot and gray in the grid.',
    },
    tested: { plain: '', technical: 'The test used {documents} training documents.' },
  },

  change: {
    title: { plain: 'Change one number', technical: 'Change a weight' },
    matrix: { plain: 'table', technical: 'matrix' },
    row: 'row',
    column: 'column',
    zero: 'set to 0',
    flip: 'flip the sign',
    undo: 'undo',
    back: 'put it back',
    was: { plain: 'It was', technical: 'The weight was' },
    preview: {
      plain:
        'This number has the largest effect on the guess, so it has been pushed here. The model itself is unchanged until you move the slider.',
      technical:
        'Of the steepest weights of each matrix, this one changes the guess most when it is pushed, so the figure pushes it. The model itself is unchanged until you move the slider.',
    },
    pushedFrom: { plain: 'It was', technical: 'The weight is' },
    how: { plain: 'with that number pushed', technical: 'with {path} pushed' },
    scroll: 'Effects of the change',
    tensor: { plain: 'step', technical: 'tensor' },
    position: 'position {t}',
    largest: 'largest change',
    before: 'before',
    now: 'now',
    changed: 'changed',
    unchanged: 'unchanged',
    rows: {
      emb_norm: 'look up',
      x_attn: 'look back',
      resid_mid: 'merge',
      mlp_act: 'think',
      resid_post: 'merge again',
      probs: 'chances',
    },
    inLayer: '{name} (layer {layer})',
    caption: {
      plain: 'A dot is a change at that letter; the larger the dot, the larger the change.',
      technical:
        'Each dot is a tensor that changed: the larger the dot, the larger the change relative to the tensor’s values. Rings in the figures mark values changed by hand.',
    },
    none: {
      plain: 'Nothing is changed yet: move the slider.',
      technical:
        'No weight is changed. Move the slider, or open any parameter elsewhere on the page to change it here.',
    },
  },
})
