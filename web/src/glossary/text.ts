// The glossary: each term in everyday words and in technical words. A text opens a term where it uses the term's word:
// [loss](term:loss).
import { texts } from '../texts/texts'

export interface Term {
  name: string
  plain: string
  technical: string
}

const glossary: { title: string; about: string; close: string; unknown: Term; terms: Record<string, Term> } = texts({
  title: 'Glossary',
  about: 'The words of this page. In the text, a dotted line marks a word that opens its explanation.',
  close: 'Close',
  unknown: { name: '…', plain: 'This word has no explanation.', technical: 'This word has no explanation.' },
  terms: {
    adam: {
      name: 'Adam',
      plain:
        'The rule that moves each weight. It remembers which way a weight was pushed recently, and takes smaller steps where the pushes disagree.',
      technical:
        'An optimizer: it divides a running mean of the gradient by the root of a running mean of its square, so hardly any step is longer than the learning rate.',
    },
    attention: {
      name: 'attention',
      plain:
        'The part that looks back. At each letter, it decides which earlier letters matter now and fetches their messages.',
      technical:
        'For each position: softmax of the query’s dot products with all keys so far, used as the weights of a mean of the values.',
    },
    autograd: {
      name: 'autograd',
      plain: 'Bookkeeping: each number remembers what it was computed from, so that blame can be passed back later.',
      technical:
        'Automatic differentiation: the program records a graph of operations and applies the chain rule along it in reverse.',
    },
    backward: {
      name: 'backward pass',
      plain: 'Going back through the computation from the loss, to find out how much each number was to blame.',
      technical:
        'One traversal of the graph in reverse topological order that computes the gradient of the loss with respect to every node.',
    },
    'block-size': {
      name: 'block size',
      plain: 'The longest text that the model can read at once: {block_size} positions here.',
      technical:
        'The number of rows of `wpe`, {block_size} here. There is no embedding for a later position. Also called the context length.',
    },
    bos: {
      name: 'BOS',
      plain:
        'A special mark that stands before and after each text. It tells the model “begin”, and the model uses it to say “done”.',
      technical:
        'Short for “beginning of sequence”: token {bos} here, and the only token without a letter. Predicting it ends the document.',
    },
    'chain-rule': {
      name: 'chain rule',
      plain: 'If you push one gear, the next turns by some factor, and so on. The factors along the way multiply.',
      technical:
        'dL/dx is the sum, over everything computed from x, of its own gradient times its local gradient with respect to x.',
    },
    document: {
      name: 'document',
      plain: 'One text that the model learns from. In the bundled data, each document is one name.',
      technical:
        'A line of the data. The program frames it with BOS, truncates it to the block size, and trains on one document a step.',
    },
    'dot-product': {
      name: 'dot product',
      plain: 'A score for how well two lists of numbers match: multiply them pair by pair, then add up.',
      technical:
        'Σ aᵢ·bᵢ. It is large if the vectors point the same way, 0 if they are orthogonal, and negative if they oppose each other.',
    },
    embedding: {
      name: 'embedding',
      plain: 'The list of {n_embd} numbers that stands for a letter (or a place in the word) inside the model.',
      technical:
        'A row of a table: `wte[token_id]` and `wpe[pos_id]`, added up. The rows are learned like all other parameters.',
    },
    forward: {
      name: 'forward pass',
      plain: 'One trip through the model: a letter goes in, and a guess about the next one comes out.',
      technical:
        'The computation from a token id to logits: embedding, then each layer’s attention and MLP, then `lm_head`.',
    },
    gpt: {
      name: 'GPT',
      plain: 'A program that reads a text and guesses what comes next, one piece at a time.',
      technical: 'Generative pre-trained transformer: a decoder-only transformer trained to predict the next token.',
    },
    gradient: {
      name: 'gradient',
      plain: 'How much the loss would change, and in which direction, if this one number were nudged up a little.',
      technical:
        'The partial derivative of the loss with respect to a number. For all the weights together: the direction of steepest ascent.',
    },
    graph: {
      name: 'graph',
      plain: 'A map of the computation: each number is a dot, with lines to the numbers it came from.',
      technical: 'The directed acyclic graph whose nodes are Values and whose edges lead from operands to results.',
    },
    head: {
      name: 'head',
      plain:
        'One of {n_head} lookouts that work side by side. Each looks back in its own way and reports what it found.',
      technical:
        'Attention on a slice of {head_dim} of the {n_embd} dimensions, with its own weights. The heads’ outputs are concatenated, then mixed by `attn_wo`.',
    },
    'held-out': {
      name: 'held-out',
      plain:
        'Texts kept aside and never trained on. They show whether the model learned a pattern or only its homework.',
      technical: 'The validation split: documents excluded from training, on which the loss estimates generalization.',
    },
    hyperparameter: {
      name: 'hyperparameter',
      plain: 'A setting that a person chooses before training starts, such as the size of the model.',
      technical:
        'A value that gradient descent does not learn: `n_embd`, `n_layer`, the learning rate, the number of steps.',
    },
    key: {
      name: 'key',
      plain:
        'The label on an earlier letter. If it fits what a later letter looks for, the message behind it is fetched.',
      technical: '`attn_wk` times the normalized stream. Its dot product with a query is the score of that position.',
    },
    'kv-cache': {
      name: 'KV cache',
      plain:
        'The labels and messages of all letters read so far. Later letters look at them; nothing is computed twice.',
      technical:
        'The lists of keys and values, to which each position appends its own. A position sees only what is in them, so no mask is needed.',
    },
    layer: {
      name: 'layer',
      plain: 'One round of looking back and thinking. Large models repeat it many times.',
      technical:
        'A block of attention and MLP, each behind an RMSNorm and a residual connection. This model has {n_layer}.',
    },
    'learning-rate': {
      name: 'learning rate',
      plain: 'How big the steps are when the weights change. Too small takes forever; too big jumps past the goal.',
      technical: 'The factor of an update: at most {learning_rate} here, and decayed to 0 at the end of training.',
    },
    logit: {
      name: 'logit',
      plain: 'A raw score for one possible next letter. Only the differences between the scores matter.',
      technical:
        'An unnormalized log-probability: row i of `lm_head` times the final vector. Softmax turns logits into probabilities.',
    },
    loss: {
      name: 'loss',
      plain:
        'How surprised the model is by what really comes next, on average. Lower is better; 0 would mean it was sure and right every time.',
      technical:
        'The mean of −log p(next token) over the positions, in nats per token. Guessing uniformly gives log({vocab_size}) = {uniform_loss}.',
    },
    mask: {
      name: 'mask',
      plain: 'A blindfold that keeps a letter from peeking at the letters after it.',
      technical:
        'In the textbook form, −∞ is added to the scores of later positions before softmax. This program reads token by token, so it needs none.',
    },
    matrix: {
      name: 'matrix',
      plain: 'A table of numbers. Multiplying by it mixes one list of numbers into another.',
      technical: 'A linear map: output i is the dot product of row i with the input.',
    },
    mlp: {
      name: 'MLP',
      plain:
        'The part that thinks: a layer of small detectors. Each one fires if it sees its pattern, and then adds its bit.',
      technical:
        'Multi-layer perceptron: `mlp_fc1` to {four_n_embd} dimensions, ReLU, `mlp_fc2` back to {n_embd}; it treats each position on its own.',
    },
    moment: {
      name: 'moments',
      plain: 'Adam’s two memories for each weight: which way it was pushed lately, and how hard.',
      technical:
        'Exponential moving averages of the gradient (m) and its square (v), with β₁ = {beta1} and β₂ = {beta2}.',
    },
    nat: {
      name: 'nat',
      plain:
        'The unit of surprise. At 1 nat the right letter was given a chance of about 1 in 2.7; each further nat makes it that much rarer.',
      technical: 'Information measured with the natural logarithm; 1 nat is 1 / ln 2 ≈ 1.44 bits.',
    },
    overfitting: {
      name: 'overfitting',
      plain: 'Learning the homework by heart instead of the pattern behind it.',
      technical: 'The training loss keeps falling while the held-out loss stalls or rises.',
    },
    parameter: {
      name: 'parameter',
      plain: 'One of the model’s {num_params} adjustable numbers. Together they hold everything the model has learned.',
      technical:
        'A matrix that training changes; its elements are the weights. There are {num_matrices} matrices here.',
    },
    position: {
      name: 'position',
      plain: 'A letter’s place in the word, counted from 0.',
      technical: '`pos_id`, the index into the sequence. Its row of `wpe` is added to the token’s embedding.',
    },
    probability: {
      name: 'probability',
      plain:
        'How likely the model finds something: 0 means never, 1 means surely. The chances of all letters add up to 1.',
      technical: 'An output of softmax: the conditional probability of a token, given all tokens before it.',
    },
    query: {
      name: 'query',
      plain: 'What a letter looks for in the letters before it.',
      technical: '`attn_wq` times the normalized stream. It is compared with every key by a dot product.',
    },
    relu: {
      name: 'ReLU',
      plain: 'A gate: positive numbers pass, negative ones become 0.',
      technical: 'Rectified linear unit, max(0, x). Its local gradient is 1 where x > 0 and 0 elsewhere.',
    },
    'residual-stream': {
      name: 'residual stream',
      plain: 'The running notes on a letter: {n_embd} numbers. Each part of the model reads them and adds to them.',
      technical:
        'A position’s vector x. Every block computes x + f(rmsnorm(x)), so the gradient has a direct path back.',
    },
    rmsnorm: {
      name: 'RMSNorm',
      plain: 'A volume control: it brings a list of numbers to a standard loudness, whatever it was before.',
      technical:
        'x divided by the root of the mean of its squares (plus 1e-5 under the root). No mean is subtracted, and no scale is learned here.',
    },
    sample: {
      name: 'sample',
      plain: 'A text that the model makes up, by throwing a weighted die for each letter.',
      technical:
        'A sequence drawn token by token from the model’s conditional distribution, until BOS or the block size.',
    },
    seed: {
      name: 'seed',
      plain: 'The number that starts the dice. The same seed gives the same “random” throws every time.',
      technical: 'The initial state of the pseudo-random generator, {seed} for this model’s shuffle and weights.',
    },
    shape: {
      name: 'shape',
      plain: 'How many rows and columns a table of numbers has.',
      technical: 'The length of each axis; a matrix of shape (nout, nin) maps nin numbers to nout.',
    },
    softmax: {
      name: 'softmax',
      plain: 'Turns any list of scores into chances that add up to 1. Higher scores get much more.',
      technical:
        'exp(xᵢ) / Σ exp(xⱼ). The maximum is subtracted first, which changes nothing except that exp cannot overflow.',
    },
    step: {
      name: 'training step',
      plain: 'Read one text, find out how wrong the guesses were, and adjust all the weights a little.',
      technical: 'A forward pass over one document, a backward pass, and one update by Adam.',
    },
    temperature: {
      name: 'temperature',
      plain: 'How daring the model is. Low: it nearly always takes its favourite letter. High: anything goes.',
      technical:
        'The logits are divided by T before softmax. T → 0 picks the maximum; T = 1 leaves the model’s distribution as it is.',
    },
    tensor: {
      name: 'tensor',
      plain: 'A block of numbers: a list, a table, or a stack of tables.',
      technical: 'An array with any number of axes. This program uses lists of Values; PyTorch uses tensors.',
    },
    token: {
      name: 'token',
      plain: 'The smallest piece of text that the model reads. Here it is a single letter.',
      technical:
        'An element of the vocabulary, represented by its id. Large models use pieces of words instead of characters.',
    },
    tokenizer: {
      name: 'tokenizer',
      plain: 'The lookup table between letters and numbers, in both directions.',
      technical:
        'The map between text and token ids; here, a character’s id is its index in the sorted set of characters.',
    },
    'top-k': {
      name: 'top-k',
      plain: 'Only the k likeliest letters may be picked; the rest are struck off the list.',
      technical: 'Sampling from the k most probable tokens, with their probabilities renormalized.',
    },
    'topological-order': {
      name: 'topological order',
      plain: 'An order in which nothing comes before what it was made from, like putting on socks before shoes.',
      technical:
        'An ordering of the graph with operands before results. Reversed, it finishes each gradient before passing it on.',
    },
    training: {
      name: 'training',
      plain:
        'Showing the model one text after another, and nudging its weights each time so that it is less surprised.',
      technical:
        'Minimizing the loss over the data by repeated gradient steps, here one document a step for {num_steps} steps.',
    },
    transformer: {
      name: 'transformer',
      plain: 'The kind of network inside today’s chatbots: look back, think, repeat.',
      technical: 'An architecture of alternating attention and MLP blocks on a residual stream (Vaswani et al. 2017).',
    },
    value: {
      name: 'value',
      plain: 'The message of an earlier letter: what it hands over if it is looked at.',
      technical:
        '`attn_wv` times the normalized stream. A head’s output is the mean of the values, weighted by attention.',
    },
    'value-node': {
      name: 'Value',
      plain: 'A number with a memory: it knows which numbers it was made from.',
      technical: 'The program’s class for a scalar: its data, its gradient, its operands, and the local gradients.',
    },
    vector: {
      name: 'vector',
      plain: 'A list of numbers. Think of a point on a map, with more than two coordinates.',
      technical: 'A one-dimensional list of Values; most vectors of this model have {n_embd} elements.',
    },
    vocabulary: {
      name: 'vocabulary',
      plain: 'All the pieces the model knows: {num_letters} letters, and the mark for beginning and end.',
      technical: 'The tokenizer’s tokens; `vocab_size` is {vocab_size}, including BOS.',
    },
    weight: {
      name: 'weight',
      plain: 'One adjustable number of the model, like a knob that training turns.',
      technical:
        'An element of a parameter matrix. (Attention weights are something else: they are computed for each text.)',
    },
  },
})

export default glossary
