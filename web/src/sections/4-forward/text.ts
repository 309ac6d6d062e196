// The words of section 4. Figures of the model are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'One call of `gpt` takes one token and its position, and gives a score to each of the {vocab_size} tokens that could come next. In between there is nothing but additions, multiplications, and a few roots and exponentials, always in the same order.',
    'Follow one position of *{word}* through it. Step, and the program goes line by line while the figure fills with what has been computed so far; every cell can be opened into the exact sum that made it.',
  ],
}

export const stream: Words = {
  both: [
    'The spine of the picture is the *residual stream*: {n_embd} numbers that go straight from the embedding to the output. Attention and the MLP never replace them. Each reads a copy, computes something, and adds it.',
  ],
  plain: [
    'It is like a document passed round a table. Everyone reads all that has been written so far, adds a remark in the margin, and passes it on. Nobody rubs anything out; whoever disagrees has to write the opposite beside it.',
  ],
  technical: [
    'x + f(rmsnorm(x)): because of the plain sum the gradient reaches every layer undiminished by those above it, which is what made deep networks trainable ([He et al. 2015](https://arxiv.org/abs/1512.03385)). A linear map costs as many multiplications as it has weights, so that a token costs about two operations per parameter, whatever the word.',
  ],
}

export const norm: Words = {
  both: [
    'Before a branch reads the stream, `rmsnorm` brings it to a common loudness: all {n_embd} numbers are divided by their root mean square. The direction stays, the size goes.',
    '*Why on the way into the branch, and not on the stream?* Then the stream itself stays a pure sum from end to end. The first transformer normalised after each addition, on the stream, and needed a careful warm-up to train at all; putting the norm inside the branch removed that. Try: open a number of `resid_mid` in the picture above, and find the plain sum.',
    '*Why once more, straight after the embedding?* What the branches add has a size of its own, since they read a normalised copy. Beside it `emb` would be as faint as the rows of `wte` and `wpe` happen to be, as the figure shows; the first norm gives the letter a fixed weight in the stream. Try: compare `emb` with what the norms in the layer read, below, and then with random weights in section 8.',
  ],
  plain: [
    'A sound engineer does the same: whoever speaks, softly or loudly, reaches the room at one level, so that what counts is what is said.',
  ],
  technical: [
    'RMSNorm ([Zhang and Sennrich 2019](https://arxiv.org/abs/1910.07467)) is LayerNorm without the mean, and here without a learned scale. The small constant under the root keeps a silent vector from becoming a division by zero. On pre-norm against post-norm: [Xiong et al. 2020](https://arxiv.org/abs/2002.04745).',
    'A usual doubt: in the first layer the norm of the stream is taken twice in a row, so is one of them idle? In its value nearly: `attn_norm` repeats `emb_norm` up to that small constant. But the stream that goes past the branch is the normalised one, and so is the path of the gradient back to the embeddings.',
  ],
}

export const gate: Words = {
  both: [
    'The MLP is {four_n_embd} units. Each takes a weighted sum of what it reads, and then comes the only decision in it: below zero the unit is shut and passes nothing, above zero it is open and passes what it has. Without that bend, two matrices one after the other would be no more than a single one.',
  ],
  plain: [
    'Picture a row of turnstiles. Each opens for a certain kind of traveller and not at all for others; which of them are open for this letter at this place is what the model notices about it. A turnstile that opens for nobody is *dead*: it also never learns, as no blame reaches it through a shut gate.',
  ],
  technical: [
    'The activation is {activation}. Its local gradient is exactly 0 on the shut side, so a unit shut for every document gets a zero gradient for its row of `mlp_fc1` and its column of `mlp_fc2`, and can only wake by chance, when what it reads changes. Whether a unit is dead depends on the documents it is tried with; the figure says how many those were.',
  ],
}

export const ripple: Words = {
  both: [
    'Now change a weight, any of the {num_params}, and see who notices. Rings mark every number of the page that has moved. Nothing is approximated: the whole program runs again.',
  ],
  plain: [
    'Some weights are a pebble dropped at the source: everything downstream moves. Others touch one letter, or one place, and nothing before it: the past cannot notice what comes later.',
  ],
  technical: [
    'A row of `wpe` only reaches its position and, through keys and values, the later ones: the dots below form a triangle. A row of `wte` reaches those positions where its token is read. A row of `mlp_fc1` whose gate stays shut changes `mlp_pre` and nothing else.',
  ],
}
