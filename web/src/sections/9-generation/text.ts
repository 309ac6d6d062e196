// The words of section 9. Figures of the model and the data are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'To write, the model reads BOS, the silence before a name, and gives a probability to every token. A die is thrown, the letter it falls on is written down, read again, and so on, until the die falls on BOS: the name is finished.',
  ],
  plain: [
    'Imagine a line as long as one. Each token owns a stretch of it, as long as its probability. The die is a number between zero and one: a dart thrown at that line, blindly. Likely letters are hit often because they are broad.',
  ],
  technical: [
    '`rng.choices` draws one `random()` a token and looks it up in the cumulative sums of the weights: inverse transform sampling. The model itself is deterministic; all chance is in that one number, and with the seed it is always the same. Each sample here has a generator of its own, `Random("seed:i")`, as `microgpt sample` gives it, so that sample i does not depend on how many were drawn before it.',
  ],
}

export const temperature: Words = {
  both: [
    'Before the softmax, all logits are divided by the temperature. It changes no order, only how far the likely stand above the rest.',
  ],
  plain: [
    'A cold model always takes the safest letter and writes the same few names again and again. A hot one takes every letter for nearly as good as any other, and writes noise. In between it is inventive.',
  ],
  technical: [
    'As the temperature goes to zero this becomes the argmax; at one it is the distribution that was trained; as it grows it becomes uniform, at ln {vocab_size} nats of entropy. Top-k goes another way: it keeps the k most likely tokens and sets all others to zero. Neither is part of the model.',
  ],
}

export const novelty: Words = {
  both: [
    'Is it a new name, or one of the training data? The nearest names are those that take the fewest insertions, deletions and replacements of a letter.',
  ],
}

export const frequencies: Words = {
  both: [
    'If the probabilities mean what they say, then the first letters of many samples must come as often as they promise. Throw it and compare.',
  ],
}
