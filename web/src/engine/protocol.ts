// What the page can ask the session (lab/session.py), and what comes back: plain JSON, the same from the worker's
// Python, from the snapshot that the build computed, and from CPython in the tests.
//
// A number that is shown carries its path (docs/reference.md, names of numbers). Numbers come as JSON numbers in full
// precision; those that JSON lacks come as the strings "inf", "-inf" and "nan".

export type Num = number | 'inf' | '-inf' | 'nan'

/** A tensor, row after row. */
export interface Tensor {
  shape: number[]
  data: number[]
}

/** Every answer that depends on the model says of which state of the model it speaks: it counts up at each change. */
export interface OfModel {
  version: number
}

export interface Model extends OfModel {
  run: string // the id of the active run
  name: string // 'trained for 1000 steps', 'random', a file's name
  about: string // in a sentence or two: what it was trained on, what of it is not known
  step: number // updates made
  num_steps: number // planned; doubled each time that training goes on beyond it
  config: Config
  tokenizer: 'char' | 'byte'
  symbols: string[] // what each token id writes, or the digits of a byte that writes nothing alone; BOS writes ''
  bos: number
  num_params: number
  head_dim: number // the width of one attention head
  sqrt_head_dim: number // its square root, by which attention scores are divided
  uniform_loss: number // ln(vocab_size): the loss of a model that gives every token the same probability
  shapes: [string, number, number][] // name, rows, columns
  engine: string // 'native', 'scalar'
  note: string // why the engine is not the faster one, or ''
  changes: { path: string; before: number; after: number }[] // weights changed by hand
  program: Program | null // an edited one, which then makes every number; null: the reference
}

/** An edited program. */
export interface Program {
  name: string // 'edited: gpt, rmsnorm'
  changed: string[] // functions and methods that are not the reference's
  notes: string[] // what of it the figures do not follow, in words
}

export interface Config {
  n_embd: number
  n_head: number
  n_layer: number
  block_size: number
  activation: 'relu' | 'relu2'
  init_std: number
  zero_init: boolean
  bos_first: boolean
  learning_rate: number
  warmup_steps: number
  decay: 'linear' | 'cosine'
  beta1: number
  beta2: number
  eps_adam: number
  clip: number
  num_steps: number
  batch_size: number
  temperature: number
  seed: number
}

/** The program that makes the numbers: the reference, as it stands in the installed package, unless it was edited. */
export interface Source {
  name: string // '' for the reference
  lines: string[] // line 1 is lines[0]
  functions: { name: string; first: number; last: number }[] // methods as Value.backward
  parts: { title: string; first: number; last: number }[] // the file's own headings: "1. Data ...", "2. Autograd ..."
}

export interface Tokens extends OfModel {
  // of the text as typed; `known` false: the closed vocabulary has no such character
  characters: { char: string; id: number | null; known: boolean }[]
  ids: number[] // with BOS at both ends, unknown characters left out
  unknown: string[] // each once
  positions: number // how many are computed: at most block_size
  cut: number // characters beyond block_size that are not read
  meant: { word: string; dropped: string[] } | null // the nearest text that can be read; null if all of it can, or nothing
}

export interface DataSet extends OfModel {
  name: string
  num_docs: number
  num_chars: number // without the line ends
  letters: { char: string; id: number; count: number }[] // in the order of ids, BOS last (one a document)
  lengths: [number, number][] // [characters, documents], ascending
  unread: number // share of the characters beyond block_size
  first: string[] // the first 12 documents of the file
  shuffled: string[] // the first 12 after the shuffle with the run's seed
}

/** random.shuffle of a short list, swap by swap: Fisher and Yates from the end. */
export interface Shuffle {
  seed: number
  before: string[]
  swaps: { i: number; j: number; after: string[] }[]
}

export interface Expression {
  nodes: {
    id: number // in the order in which the program made them
    op: '' | '+' | '*' | '**' | 'log' | 'exp' | 'relu' // '' for a leaf
    exponent: number | null // of **
    name: string // the variable that holds it, or ''
    data: Num
    grad: Num
    operands: { id: number; local: Num }[] // local: d node / d operand
    constant: boolean
  }[]
  result: number // id
  order: number[] // ids as backward visits them; naive: a node passes on each time that it gets some, so ids repeat
  backward: { node: number; operand: number; local: Num; out: Num; before: Num; after: Num }[] // one += after another
  check: { name: string; grad: Num; difference: Num }[] // the gradient of each input beside its central difference
  right: boolean // whether grads are those of the true rules (accumulating, topological, once)
}

export interface Parameters extends OfModel {
  tensors: Record<string, Tensor> // by name, in the file's order
  m: Record<string, number[]> // with `moments`, else empty
  v: Record<string, number[]>
}

export interface History extends OfModel {
  path: string
  steps: number[]
  values: number[]
  m: number // Adam's moments of it now
  v: number
}

/** The tokens whose rows of wte lie around that of one, the nearest first. */
export interface Nearest extends OfModel {
  symbol: string
  others: { symbol: string; id: number; distance: number }[] // Euclidean
}

/** What the reference's shapes() says of a model of other sizes. */
export interface Sizes {
  num_params: number
  shapes: [string, number, number][]
}

/** What such a model costs; no such model is made. */
export interface Budget {
  num_params: number
  flops_token: number // one token forward, after a full context; a multiplication and an addition count as two
  attention: number // the part of it that grows with the context
  flops_trained: number // one token forward and backward
  flops_run: number // `tokens` of them
  bytes_kept: number // the weights in 16 bits
  bytes_trained: number // weights, gradients and Adam's moments in 32 bits
  bytes_cache: number // keys and values of a full context in 16 bits
}

/** A text as this model's characters and as UTF-8 bytes. */
export interface Spelled extends OfModel {
  characters: { char: string; id: number | null; bytes: number[] }[] // id null: not in the vocabulary
  num_bytes: number
  unknown: number // characters that the vocabulary lacks
  vocab_size: { characters: number; bytes: number } // BOS included
  rows: { characters: number; bytes: number } // numbers in wte and lm_head
}

/** While the engines climb: each rung as far as it is. */
export interface Ladder {
  steps: number
  rungs: {
    engine: string
    precision: string
    step: number
    seconds: number // for its steps so far; the median, where there were several rounds
    rounds: number
    losses: number[]
    ratio: number | null // times as fast as the reference
    difference: number | null // the largest between its losses and the reference's
    why: string // it is not here, '' where it is
  }[]
  done: boolean
}

export interface Forward extends OfModel {
  word: string
  tokens: number[] // with BOS at both ends
  positions: number
  tensors: Record<string, Tensor> // every tensor of the table of names, `pos0.tok_emb` to `loss`
  before: Record<string, number[]> // of the tensors that differ since weights were changed by hand: as they were
}

/** One number opened. */
export interface Opened extends OfModel {
  path: string
  value: Num
  grad: Num // d loss / d number, of the word at hand
  meaning: string // from the table of names
  kind: string // 'parameter' | 'linear' | 'add' | 'rmsnorm' | 'softmax' | 'attention logit' | 'attention mix' | 'relu' | 'loss' | ...
  line: number // of the reference, where it is made; 0 for a parameter
  formula: string // in the reference's words: 'sum(wi * xi for wi, xi in zip(row, x))'
  // the sum in the program's order; a factor is a number with a path of its own
  terms: { factors: { path: string; value: Num }[]; value: Num; total: Num }[]
  after: { text: string; value: Num; operands: { path: string; value: Num }[] } | null // what is done with the sum: '/ 4 ** 0.5'
  recomputed: Num // the terms put together once more: equal to value
  operands: { path: string; value: Num; local: Num }[] // the graph: made from
  users: { path: string; value: Num; local: Num }[] // the graph: used by (at most 32)
  num_users: number
}

/** A piece of the graph around a number. */
export interface Neighbourhood extends OfModel {
  nodes: { path: string; op: string; value: Num; grad: Num; named: boolean }[]
  edges: { from: string; to: string; local: Num }[] // operand -> node made of it
  cut: boolean // whether more was left out
}

/** The chain rule at a number: what each user of it added to its gradient, in the order of backward. */
export interface Blame extends OfModel {
  path: string
  grad: Num
  start: boolean // the loss itself, where backward begins with 1
  shares: { path: string; grad: Num; local: Num; add: Num; total: Num }[] // add: local * the user's grad; total: so far
  up: string | null // the next number of a tensor on the way of the largest gradient, towards the loss
  down: string | null // and towards the parameters
}

/** A gradient beside the central difference. */
export interface Nudge extends OfModel {
  path: string
  value: Num
  grad: Num
  way: 'reference' | 'replay' // a parameter: the program ran anew; else: the recorded operations, from the number on
  remade: number // numbers that were made anew
  eps: number
  above: number // the loss with the number eps higher
  below: number
  difference: number // (above - below) / (2 eps)
}

/** Numbers that fit what is typed; a tensor or a row that needs an index has a shape, and no value. */
export interface Found extends OfModel {
  query: string
  found: { path: string; shape: number[]; meaning: string; value: Num | null }[]
  why: string // why there are none
}

export interface Attention extends OfModel {
  positions: number
  labels: string[] // the token read at each position; BOS is '·'
  // [layer][head] -> rows of the textbook's matrix, T x T, from q, k and a mask; masked cells are '-inf' and 0
  logits: Num[][][][]
  weights: number[][][][]
  sums: number[][][] // [layer][head] -> the sum of each row of weights, added up from the left
  difference: number // the largest between the textbook's numbers and the program's growing lists
  own: boolean // an edited program is no longer the textbook's: the matrices hold what its lists do
}

/** Attention that looks at the whole word, and what that does to the loss: computed by the program's own gpt(). */
export interface Unmasked extends OfModel {
  positions: number
  labels: string[]
  logits: number[][][][] // [layer][head] -> T x T, nothing masked
  weights: number[][][][]
  future: number[][][] // [layer][head] -> of each row, how much lies on later positions
  masked: Omit<Loss, 'version'> // the program's own
  unmasked: Omit<Loss, 'version'>
}

export interface Loss extends OfModel {
  letters: { position: number; read: string; target: string; target_id: number; prob: number; loss: number }[]
  mean: number // the program's loss
  perplexity: Num // exp(mean): as unsure as among that many equally likely tokens
  uniform: number // ln(vocab_size)
}

export interface Gradients extends OfModel {
  loss: number
  grads: Record<string, number[]>
  zero_rows: Record<string, number[]> // rows whose gradient is exactly 0, by tensor
  norms: { name: string; norm: number }[] // of d loss / d tensor, loss first: the relay, in the order of backward
}

/** What an update tells of each parameter. */
export type Moved = 'grad' | 'm' | 'v' | 'm_hat' | 'v_hat' | 'delta'

/** One step of Adam on the word at hand, not kept. */
export interface Update extends OfModel {
  step: number // that it would be, as Adam counts: 1 where its memory is empty
  learning_rate: number
  fresh: boolean // m and v were empty before: asked for, or the model has none yet
  loss_before: number
  loss_after: number
  tensors: Record<string, Partial<Record<Moved, number[]>>> // what was asked for, else all of it
}

/** Of one parameter. delta is after - before. */
export interface AdamStep extends OfModel {
  path: string
  step: number
  learning_rate: number
  fresh: boolean
  beta1: number
  beta2: number
  eps_adam: number
  grad: number
  m_before: number
  m: number
  v_before: number
  v: number
  m_hat: number
  v_hat: number
  before: number
  after: number
  delta: number
  plain: number // what plain descent would do: -learning_rate * grad
}

/** The learning rates of the plan, some steps of it; steps: how many were made before. */
export interface Schedule extends OfModel {
  steps: number[]
  rates: number[]
}

/** The loss of the word over two parameters, the others as they are. */
export interface Surface extends OfModel {
  x: { path: string; values: number[] }
  y: { path: string; values: number[] }
  loss: number[] // rows of y, columns of x
  hikers: { name: 'SGD' | 'Adam'; learning_rate: number; path: { x: number; y: number; loss: number }[] }[]
}

/** The graph behind the loss of the word: how large, and how deep. */
export interface Graph extends OfModel {
  nodes: number
  operations: number // those that are no leaves
  depth: number // operations in the longest chain from a leaf to the loss
  limit: number // how deep Python lets calls be nested
}

export interface Gate extends OfModel {
  // of every position and unit: mlp_pre > 0
  open: boolean[][]
  dead: number[] // units of layer `layer` open for none of `documents` training documents
  documents: number
  layer: number
}

export interface Run {
  id: string
  name: string
  config: Config
  data: string
  step: number // where it stands
  first: number // the earliest step that it can be scrubbed to
  program: string // '' for the reference, 'edited: gpt'
  branch: { run: string; step: number } | null // where it comes from
  losses: Num[] // of each step made, 'nan' where the file of an opened run does not tell
  validations: { step: number; loss: number }[]
  active: boolean
}

export interface Runs extends OfModel {
  runs: Run[]
}

/** While training: an event for each stretch of steps. */
export interface Trained extends OfModel {
  run: string
  step: number
  losses: number[] // of the steps since the last event
  document: string // of the last step
  learning_rate: number
  steps_per_second: number
  done: boolean
}

export interface Comparison extends OfModel {
  a: string
  b: string
  differs: { setting: string; a: string | number; b: string | number }[]
  first: { step: number; tensor: string; path: string; a: number; b: number } | null // where they part, null: nowhere
  documents: { step: number; a: string; b: string } | null // the first step whose documents differ
}

export interface Letter {
  position: number
  probs: number[] // by token id, after temperature and top-k: what the die is thrown over
  logits: number[]
  die: number // random(), 0 to 1
  token_id: number
  char: string // '' is BOS: the end
}

export interface Generated extends OfModel {
  text: string
  letters: Letter[]
  ended: 'bos' | 'block_size'
  in_data: boolean
  nearest: { text: string; distance: number }[] // by edits; empty for a stream, and for more than 50,000 documents
}

export interface Samples extends OfModel {
  texts: string[]
  new: number // how many are not in the data
}

/** One execution, line by line. */
export interface Play extends OfModel {
  events: { line: number; function: string; depth: number; owner: string; paths: string[] }[]
}

/** A variable of the running program: a number, a tensor or a part of one by its path, or what is plain. */
export type Told =
  | { path: string; value: Num; grad: Num } // one number, as it was at that moment
  | { path: string } // 'pos3.layer0.q', 'pos3.layer0.q[4:8]', 'wte[4]', 'layer0.attn_wq'
  | { paths: string[]; values: Num[] } // numbers that no tensor holds
  | { value: string | number | boolean | null | (string | number | boolean | null)[] }
  | { list: Told[] }
  | { table: Record<string, Told> }
  | { text: string }

/** An arrival at a statement: what its function knows then, and what the statement changes; places in `told`. */
export interface PlayEvent {
  line: number
  function: string
  depth: number
  owner: string
  known: Record<string, number>
  changed: Record<string, number>
  first?: string[] // data: the list's first documents after it
  swap?: { i: number; j: number; turn: number; of: number } // data: an exchange within the shuffle
  printed?: string // data
  letter?: number // tokens: of the word, that is looked up
  die?: number // sample: what the line throws
  text?: string // sample: what is written so far
}

export interface Chapter extends OfModel {
  chapter: string
  events: PlayEvent[] // none for backward, whose steps are asked for one at a time
  told: Told[]
  tensors: Record<string, Tensor> // that the execution made, parameters aside
  facts: {
    num_docs?: number
    before?: string[] | number // documents; the parameter
    after?: string[] | number
    ids?: number[]
    symbols?: string[]
    tokens?: number[]
    token_ids?: number[]
    text?: string
    temperature?: number
    steps?: number // backward: +=, one after another
    operations?: number // that have a turn
    nodes?: number
    tensors_met?: [number, string][] // the step at which the first number of a tensor comes to its turn
    numbers_met?: number[] // at which another number of a tensor does
    path?: string // adam
    index?: number
    count?: number
    grad?: number
    learning_rate?: number
    plain?: number
  }
}

interface Passing {
  path: string
  op: string
  value: Num
  grad: Num // of the operands as it is after the step, of others complete
}

interface Giver extends Passing {
  step: number
  local: Num
  add: Num
  after: Num
}

/** One += of backward(). */
export interface PassedOn extends OfModel {
  step: number
  line: number
  node: Passing // whose turn it is
  operand: Passing // that is given something
  other: (Passing & { local: Num }) | null // the second operand of the two
  local: Num
  add: Num // local * node.grad
  before: Num
  after: Num
  givers: Giver[] // to the operand, over all of backward
  num_givers: number
  above: Giver[] // to the node, before its turn
  num_above: number
  final: Num
}

// method -> [parameters, answer]. Methods that change the model count up its version.
export interface Methods {
  hello: [{}, { version: string; python: string; model: Model }]
  source: [{}, Source]
  model: [{}, Model]
  edit: [{ source: string }, Model] // changes: a new run of the edited program over the same text
  variants: [{}, { changes: { name: string; title: string; about: string }[] }]
  vary: [{ name: string; source: string }, { source: string }] // the program with one of these changes

  tokens: [{ text: string }, Tokens]
  data: [{}, DataSet]
  spelled: [{ text: string }, Spelled]
  shuffle: [{ seed: number; count: number }, Shuffle]
  load_data: [{ name: string; base64: string; documents?: 'lines' | 'stream' }, Model] // changes: a new run over it, untrained; a text of one line is taken as a stream

  expression: [
    {
      source: string
      inputs: Record<string, number>
      accumulate?: boolean
      order?: 'topological' | 'naive'
      times?: 1 | 2
    },
    Expression,
  ]

  parameters: [{ moments?: boolean }, Parameters]
  nearest: [{ symbol: string }, Nearest]
  history: [{ path: string }, History]
  gradients: [{ word: string }, Gradients]
  sizes: [{ n_embd: number; n_layer: number; block_size: number; vocab_size: number }, Sizes] // of a model that is not made

  budget: [{ n_embd: number; n_layer: number; block_size: number; vocab_size: number; tokens?: number }, Budget]

  forward: [{ word: string }, Forward]
  number: [{ word: string; path: string }, Opened]
  neighbourhood: [{ word: string; path: string; up?: number; down?: number; limit?: number }, Neighbourhood]
  blame: [{ word: string; path: string }, Blame]
  nudge: [{ word: string; path: string; eps?: number }, Nudge] // eps: the steadiest, unless given
  find: [{ word: string; query: string; position?: number; limit?: number }, Found]
  play: [{ word: string }, Play]
  chapter: [{ name: string; word: string; path?: string; seed?: number; index?: number; temperature?: number }, Chapter]
  passed_on: [{ word: string; step: number }, PassedOn]
  change: [{ path: string; value: number }, Model] // changes
  undo: [{}, Model] // changes: all weights changed by hand

  attention: [{ word: string }, Attention]
  unmasked: [{ word: string }, Unmasked]
  // mean losses of the first documents that training reads; lower: of how many it is lower without the mask
  unmasked_documents: [
    { count: number },
    { documents: number; masked: number; unmasked: number; lower: number } & OfModel,
  ]
  softmax: [{ logits: number[]; scale: number }, { probs: number[] }]
  loss: [{ word: string }, Loss]
  // learning_rate: the schedule's of the next step, unless given; fresh: Adam's m and v empty, as at the first step
  update: [{ word: string; what?: Moved[]; learning_rate?: number; fresh?: boolean }, Update]
  adam: [{ word: string; path: string; learning_rate?: number; fresh?: boolean }, AdamStep]
  schedule: [{}, Schedule]
  // learning_rate: of both hikers, the config's unless given
  surface: [
    { word: string; x: string; y: string; size: number; reach: number; steps: number; learning_rate?: number },
    Surface,
  ]
  graph: [{ word: string }, Graph]
  gate: [{ word: string; layer: number }, Gate]

  reset: [{ config?: Partial<Config>; name?: string; val_fraction?: number }, Model] // changes: a new random model, as a new run
  pretrained: [{}, Model] // changes
  scrub: [{ step: number }, Model] // changes: the run's weights after that step, exactly
  runs: [{}, Runs]
  choose: [{ run: string }, Model] // changes
  compare: [{ a: string; b: string }, Comparison]
  evaluate: [{}, { loss: number; documents: number; held_out: boolean } & OfModel]
  open_run: [{ name: string; checkpoint: string; metrics: string }, Model] // base64 safetensors, JSON lines; changes
  export_model: [{}, { base64: string; name: string }]

  generate: [{ seed: number; index: number; temperature: number; top_k?: number; prompt?: string }, Generated]
  samples: [{ seed: number; count: number; temperature: number; top_k?: number; run?: string }, Samples] // run: the active one, unless given

  save: [{}, { state: string }] // all that `restore` needs after the worker was stopped
  restore: [{ state: string }, Model]
}

// Long work: many events, and it may be stopped between two of them
export interface Streams {
  train: [{ steps: number; per_event?: number }, Trained]
  ladder: [{ steps: number }, Ladder] // changes nothing
}

export type Method = keyof Methods
