// The words of section 5. Figures of the model are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'Everywhere else in the program each position works alone. Attention is the one place where positions meet: here the letter at hand finds out what came before it.',
    '*What are Q, K and V, really?* Three lists of {n_embd} numbers that each position computes from the same stream, with three matrices of its own. The *query* is what this position is looking for. The *key* is what it offers to be found by. The *value* is what it hands over when it is found. Nobody told the matrices so: the names only say what their results are used for. Try: pick a cell of the heads further down, and see one query meet one key, number by number.',
  ],
  plain: [
    'Think of a library. Each book has a label on its spine (the key) and text inside (the value); you come with a slip that says what you want (the query). You hold your slip against every spine, and where it fits well you take much of the text, where badly a little. You never take one book: you take a blend.',
  ],
  technical: [
    'attention(q, keys, values) = Σⱼ wⱼ vⱼ, where w = softmax of the scores q · kⱼ / √head_dim, for j up to this position ([Vaswani et al. 2017](https://arxiv.org/abs/1706.03762)). It is the only step whose cost grows with the square of the length: position t compares itself with t + 1 keys, in each head and layer.',
  ],
}

export const cache: Words = {
  both: [
    'The program keeps two lists, `keys` and `values`, and each call of `gpt` adds one entry to both. Step through the word and watch them grow: the query looks back over everything that is there, and what comes later does not exist yet.',
    '*Where is the mask?* There is none. In a textbook all positions are computed at once, and a mask has to hide the future from the past. Here positions come one after another, as in reading, and the future is simply not in the lists. Try: go to the first position and count the entries; then look at the last figure of this section, where a mask does the same.',
    '*Why a KV cache in training?* Elsewhere it is a trick for fast generation: do not compute the keys of the past again. Here the lists are the algorithm itself, in training as in generation, and they hold Values, not bare numbers: the blame for a bad guess at the end of a name flows back through them into the keys and values of its beginning. Try: follow the relay in section 7 down to `k` and `v`: the first position has its share of blame there.',
  ],
  technical: [
    '*Where is the batch?* There is none either: one document a step, one token a call. A batch adds no idea, only a leading axis, so that a GPU has enough to do; with one document at a time the loop over positions takes its place. Try: raise `batch_size` in section 8, and see how calm the curve becomes, and how much longer a step takes.',
    'The two lists hold 2 · n_layer · n_embd numbers for each position. In a large model serving long texts this cache, not the weights, is what fills the memory; grouped-query attention exists to make it smaller.',
  ],
}

export const spotlight: Words = {
  both: [
    'The weights say how much light falls on each position so far: a lamp for each head, each with the same amount of light to give away, all of it, every time.',
    '*Why {heads}?* Because a softmax is one blend. A single head cannot look closely at two places at once: it can only blur between them. Cutting q, k and v of {n_embd} numbers into pieces of {head_dim}, one for each head, costs nothing extra, and lets each piece look somewhere else.',
  ],
  technical: [
    'What a head is *for* cannot be read off a few bright cells. This page says what was measured (this weight, for this word, at this position) and no more. A large weight on a small value moves little: what a head does shows in `x_attn` and in what `attn_wo` makes of it.',
  ],
}

export const heads: Words = {
  both: [
    'All heads and all positions at once. A row is the position that asks, a column the one that is asked, and the stronger the colour, the larger the weight. Pick any cell: the next figure takes it apart.',
  ],
}

export const score: Words = {
  both: [
    'One score is one sum. Line up the query of the position that asks with the key of the one that is asked, multiply number by number, add up, divide by √{head_dim}. If both are large in the same places with the same sign, the score is high.',
  ],
  plain: [
    'It is the way two questionnaires are compared: answer by answer, agreement counts for, disagreement against, and strong opinions count more than weak ones.',
  ],
  technical: [
    'Why divide by the root of head_dim? A sum of d products of numbers of size 1 has a standard deviation of √d. Without the division, wider heads would mean larger scores, a softmax that is all but decided from the start, and gradients near zero.',
  ],
}

export const peaked: Words = {
  both: [
    'Softmax turns scores into shares. It cares about differences, and about how large they are: stretch the scores, and the largest takes everything; shrink them to nothing, and all get the same. Try it on the real scores of this position.',
  ],
  technical: [
    'The same dial is called *temperature* in section 9, where it is turned on the scores of the next token: scale = 1 / temperature.',
  ],
}

export const blend: Words = {
  both: [
    'And with those shares the values are mixed. Each component that the head hands on is one more sum: the share of every position, times what that position has to say there.',
  ],
}

export const mask: Words = {
  both: [
    'And this is the way it stands in textbooks: the whole matrix of scores at once, with −∞ written over every cell in which a position would look ahead. exp(−∞) is 0, so that those cells get no weight, and each row still sums to one.',
    'It is the same computation. Made from the very same queries and keys, the masked matrix and the growing lists differ by at most the number shown below.',
    '*And without it?* Take the mask away: each position then looks at all of the word, the letter that it is asked for included. Whatever the loss becomes, it has lost its meaning: who sees the answer does not guess. In training such a model soon learns to copy it and nothing else, and when it writes there is no answer to copy. Try: take the mask away here, then measure *no mask* on the workbench, where it is trained that way.',
  ],
}
