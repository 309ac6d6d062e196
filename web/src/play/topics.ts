// The topics of the big picture: what to remember from each part of the program, and where to watch it happen.

export interface Topic {
  act: string
  title: string
  chapter: string // the chapter that plays the topic
  line: string // a piece of source text that identifies the line on which the topic comes up
  plain: string
  technical: string
}

export const topics: Topic[] = [
  {
    act: 'I. Setup and data',
    title: 'One seed, one fate',
    chapter: 'data',
    line: 'rng = random.Random(42)',
    plain:
      'A seed is a recipe for dice: start with the same number, and you get the same throws in the same order. This repeatable randomness makes every number on the page checkable.',
    technical:
      'The Mersenne Twister keeps 624 words of 32 bits and mixes them with shifts and exclusive-ors; its period is 2**19937 − 1. It is fine for shuffling and for initial weights, but not for secrets: 624 outputs reveal its state.',
  },
  {
    act: 'I. Setup and data',
    title: 'The shuffle',
    chapter: 'data',
    line: 'rng.shuffle(docs)',
    plain:
      'The last card swaps places with a random card up to and including itself, then the card before it does the same, and so on. Every order is equally likely.',
    technical:
      'The Fisher–Yates shuffle makes n − 1 swaps and draws each partner uniformly from the positions that are not settled yet. Sorting by random keys would cost more, and swapping any two positions at random would not be uniform.',
  },
  {
    act: 'I. Setup and data',
    title: 'A closed vocabulary',
    chapter: 'data',
    line: 'tokenizer = Tokenizer(',
    plain:
      'Only the letters that were present on the first day have a ticket. A new letter is not read badly; it cannot be read at all.',
    technical:
      'There are {vocab_size} tokens here. Byte-pair vocabularies are closed too, but they bottom out in bytes, so they can spell any text.',
  },
  {
    act: 'II. How the model learns from mistakes',
    title: 'Values that remember',
    chapter: 'backward',
    line: 'order, seen, stack',
    plain:
      'As each number was computed, it kept a receipt: which numbers it was computed from, and how strongly it responds to each of them. Now the receipts are read, starting at the end.',
    technical:
      'The graph is define-by-run: control flow is ordinary Python, and the graph is whatever happened. Its memory grows with the length of the computation, so frameworks can also recompute parts of the graph instead of storing them.',
  },
  {
    act: 'II. How the model learns from mistakes',
    title: 'Blame flows backward',
    chapter: 'backward',
    line: 'node.a.grad +=',
    plain:
      'Blame is like a bill that is split at every table: each number splits what it owes among its operands, in proportion to how much each operand mattered. A number that sat at several tables pays the sum.',
    technical:
      'In reverse mode, one pass gives the derivative with respect to every parameter, at a small multiple of the cost of the forward pass. Forward mode would need one pass per parameter.',
  },
  {
    act: 'III. The GPT',
    title: 'Letter and place',
    chapter: 'forward',
    line: 'x = [t + p for t, p',
    plain:
      'Every coat has two name tags: one says which letter this is, and the other says where it is in the word. The two are simply added.',
    technical:
      'The positions are learned and absolute, as in GPT-2; Llama instead rotates queries and keys by an angle that grows with the position (RoPE). Adding works because {n_embd} dimensions leave room for both.',
  },
  {
    act: 'III. The GPT',
    title: 'The spotlight',
    chapter: 'forward',
    line: 'attn_weights = softmax(attn_logits)',
    plain:
      'Attention is a spotlight with a fixed amount of light: brighter here means darker there. It shines only on what has already been read.',
    technical:
      'Attention is a softmax over the positions so far. A head cannot attend to what is not in the growing lists, so no mask is needed; a batched implementation computes all positions at once and masks the future.',
  },
  {
    act: 'III. The GPT',
    title: 'Why several heads',
    chapter: 'forward',
    line: 'for h in range(n_head)',
    plain:
      'One spotlight can make only one mixture. {n_head} spotlights, each with its own share of the numbers, can look for different things at once.',
    technical:
      '{n_head} heads of {head_dim} components cost as much as one head of {n_embd}: the matrices are the same, and only the softmax is computed per head. One softmax is one distribution, so one head averages what it attends to.',
  },
  {
    act: 'III. The GPT',
    title: 'Think, and keep the original',
    chapter: 'forward',
    line: 'x_residual = x  # attention',
    plain:
      'The blocks write notes in the margin: each block writes its remark beside the text instead of over it, so nothing gets lost.',
    technical:
      'This is the residual stream. Its local gradient is 1, so the gradient reaches the first layer undiminished; without the stream, deep stacks do not train. Normalizing before each block (pre-norm) leaves the stream itself untouched.',
  },
  {
    act: 'III. The GPT',
    title: 'The gate',
    chapter: 'forward',
    line: 'x = [activation(xi)',
    plain:
      'The gate is a row of one-way doors: a positive number walks through, and a negative number stays outside. Without the doors, two layers could do no more than one.',
    technical:
      'A composition of linear maps is linear, so the nonlinearity is what makes depth worthwhile. The gradient of a closed unit is exactly 0 for this position. GPT-2 uses GELU, and Llama uses a gated SiLU.',
  },
  {
    act: 'IV. Training',
    title: 'Surprise',
    chapter: 'loss',
    line: 'losses.append(',
    plain:
      'Surprise is how far your eyebrows go up when you see the next letter. Being sure and right costs nothing; being sure and wrong costs a lot; knowing nothing costs {uniform_loss}.',
    technical:
      'Surprise is the cross-entropy in nats: −log p of the token that came next. Training lowers its mean; the exponential of that mean is the perplexity. A model that spreads its probability evenly over {vocab_size} tokens has a loss of log {vocab_size} = {uniform_loss}.',
  },
  {
    act: 'IV. Training',
    title: 'Adam versus gradient descent',
    chapter: 'adam',
    line: 'p.data -=',
    plain:
      'Two hikers walk down the same slope. One takes longer strides where the slope is steeper. The other remembers the path so far and takes strides of about the same length on any ground, but shorter strides on shaky ground.',
    technical:
      'm̂ / √v̂ is dimensionless, so the step is about as long as the learning rate, whatever the gradient’s scale, and shorter where gradients change sign. Plain gradient descent moves by the learning rate times the gradient, which can differ by orders of magnitude between matrices.',
  },
  {
    act: 'IV. Training',
    title: 'The loop',
    chapter: 'data',
    line: 'for step in range(num_steps)',
    plain:
      'Read a name, be surprised, trace the blame, and move every number a little; repeat {num_steps} times. There is no other secret.',
    technical:
      'The loop is forward, backward, update. Large runs add batches, many machines, warm-up, clipping and checkpoints around these same three calls.',
  },
  {
    act: 'V. Generating',
    title: 'Temperature',
    chapter: 'sample',
    line: 'probs = softmax([logit / temperature',
    plain:
      'A cold model always says the most likely thing; a hot model babbles. In between, the model is worth listening to.',
    technical:
      'Dividing the scores by the temperature before the softmax raises the ratio of any two probabilities to the power 1/T. The weights and the scores stay the same; only the choice changes.',
  },
  {
    act: 'V. Generating',
    title: 'End to end',
    chapter: 'sample',
    line: 'return token_ids',
    plain:
      'Letters became numbers, numbers became scores, scores became probabilities, a die chose a letter, and the model then read that letter. Nothing else happens when a machine writes.',
    technical:
      'The model is autoregressive: p(text) is the product of p(next token | tokens so far). Training maximizes it on the given texts; sampling draws from it, one token at a time.',
  },
  {
    act: 'V. Generating',
    title: '{num_params} against GPT-3',
    chapter: 'data',
    line: 'print(f"num docs',
    plain:
      'GPT-3 has 175 billion such numbers; this model has {num_params}. If this model were a teaspoon of sand, GPT-3 would fill a row of trucks. The recipe is the same.',
    technical:
      'GPT-3 has 96 layers, 96 heads and 12,288 dimensions (Brown et al., 2020); this model has {n_layer}, {n_head} and {n_embd}. GPT-3 reads pieces of words instead of letters, and it learned from billions of documents instead of thousands. Chat models are also trained on instructions and preferences; this model is not.',
  },
]

/** Return the topic that comes up on a line of a chapter. */
export function topicAt(text: string, chapter: string): Topic | undefined {
  return topics.find(
    (topic) => topic.chapter === chapter && topic.line.length > 0 && text.startsWith(topic.line.replace(/ {2}#.*/, '')),
  )
}
