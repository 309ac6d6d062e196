// The everyday names of the program's matrices and tensors. {letter} is "letter 3" or "the start"; {head} is a number;
// {symbol} is a token, {other} another position's letter.
import { texts } from './texts'

export default texts({
  letter: 'letter {t}',
  start: 'the start',
  eachLetter: 'each letter',
  inLayer: '{name} (layer {layer})',
  quoted: '“{symbol}”',
  bos: 'the start and end mark',

  matrices: {
    wte: 'letter table',
    wpe: 'place table',
    lm_head: 'score table',
    attn_wq: 'search table',
    attn_wk: 'label table',
    attn_wv: 'message table',
    attn_wo: 'merging table',
    mlp_fc1: 'question table',
    mlp_fc2: 'answer table',
  },

  tensors: {
    tok_emb: '{letter} as numbers',
    pos_emb: 'the place of {letter} as numbers',
    emb: '{letter} with its place',
    'emb_norm.mean_square': 'how loud {letter} with its place is',
    'emb_norm.scale': 'the volume knob for {letter} with its place',
    emb_norm: '{letter} with its place, at normal volume',
    resid_pre: 'the notes of {letter}, before it looks back',
    'attn_norm.mean_square': 'how loud the notes of {letter} are, before it looks back',
    'attn_norm.scale': 'the volume knob for the notes of {letter}, before it looks back',
    attn_norm: 'the notes of {letter} at normal volume, to look back with',
    q: 'what {letter} looks for',
    k: 'the label on {letter}',
    v: 'the message of {letter}',
    attn_logits: 'how well head {head} finds each label fits {letter}',
    attn_weights: 'how much head {head} of {letter} looks at each letter',
    x_attn: 'what the heads of {letter} bring back',
    'x_attn.head': 'what head {head} of {letter} brings back',
    attn_out: 'what looking back adds to {letter}',
    resid_mid: 'the notes of {letter}, after it looked back',
    'mlp_norm.mean_square': 'how loud the notes of {letter} are, before it thinks',
    'mlp_norm.scale': 'the volume knob for the notes of {letter}, before it thinks',
    mlp_norm: 'the notes of {letter} at normal volume, to think with',
    mlp_pre: 'how {letter} scores on each question',
    mlp_act: 'the questions that {letter} answers yes to',
    mlp_out: 'what thinking adds to {letter}',
    resid_post: 'the notes of {letter}, after it thought',
    logits: 'the score of each letter to follow {letter}',
    probs: 'the chance of each letter to follow {letter}',
    'pos.loss': 'the surprise at what follows {letter}',
    loss: 'the average surprise at the word',
  },

  // one number of a tensor whose numbers have a meaning of their own
  elements: {
    attn_logits: 'how well head {head} finds the label of {other} fits {letter}',
    'attn_logits.own': 'how well head {head} finds the own label of {letter} fits it',
    attn_weights: 'how much head {head} of {letter} looks at {other}',
    'attn_weights.own': 'how much head {head} of {letter} looks at {letter} itself',
    mlp_pre: 'how {letter} scores on question {i}',
    mlp_act: 'the yes of {letter} to question {i}',
    logits: 'the score of {symbol} to follow {letter}',
    probs: 'the chance of {symbol} to follow {letter}',
  },
  symbolRow: 'the row of {symbol} in the {name}',
  placeRow: 'the row of place {i} in the {name}',
  row: 'row {i} of the {name}',
  number: 'number {i} of {name}',
  numbers: 'numbers {from} to {to} of {name}',

  // numbers on the way to another number
  inner: {
    term: 'one product in the sum for {name}',
    sum: 'a running total for {name}',
    total: 'the whole sum for {name}',
    inverse: 'one divided by the divisor for {name}',
    other: 'a step on the way to {name}',
  },

  // what stands before a path
  about: {
    grad: 'gradient of {name}',
    m: 'average gradient of {name}',
    v: 'usual strength of the gradient of {name}',
    delta: 'change of {name}',
    local: 'how fast {name} grows with {other}',
    step: '{name} after {step} steps',
  },
  both: '{everyday} ({name})',
})
