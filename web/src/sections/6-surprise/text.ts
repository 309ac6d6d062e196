// The words of section 6. Figures of the model are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'At every position the model gives each of the {vocab_size} tokens a probability, and then the next letter is uncovered. How wrong was it? There is one fair measure, and it is called surprise: a letter that the model held for certain surprises it not at all, and the less it believed in what came, the more.',
  ],
  plain: [
    'Think of somebody who bets on every letter and has to spread all of the money over the alphabet. What is on the letter that comes is what remains. The loss says how far the purse shrank, on a scale where every halving counts the same. A cautious player who puts the same on every letter always loses the same; a player who knows something loses less, and one who is sure of the wrong thing is ruined.',
  ],
}

export const row: Words = {
  both: [
    'Only one number of the whole row counts: the probability of the letter that came. The others matter all the same, for they add up to one: whatever the model believes about other letters, it takes away from this one.',
  ],
  technical: [
    'Cross-entropy with a target of one token is −log p of that token. Its gradient with respect to the logits is as simple as it can be: the row of probabilities, minus 1 at the target, divided by the number of positions. The target is pushed up by what it lacks, and every other logit is pushed down by the probability that it had.',
  ],
}

export const scale: Words = {
  both: [
    'Why a logarithm? Because probabilities multiply and surprises should add. The probability of a whole word is the product of those of its letters; its surprise is the sum of theirs.',
  ],
  plain: [
    'From one in two to one in four is as far as from one in four to one in eight: each halving costs the same. Near certainty the curve is at its gentlest, so that there is little to win; near zero it is a cliff.',
  ],
  technical: [
    'The unit is the *nat*, since `math.log` is the natural logarithm; a nat is 1 / ln 2 bits, a little under one and a half. A probability of 0 would cost infinitely much: softmax gives every token something, unless its score is so far below the largest that `exp` rounds to 0. The largest logit is subtracted before `exp` only to keep it from overflowing; the probabilities stay the same.',
  ],
}

export const meaning: Words = {
  both: [
    'The program’s loss is the mean of these surprises over the positions of the document. It is what training makes smaller, and the only thing it knows about good and bad.',
    '*What does its value mean?* Whoever knows nothing gives each of the {vocab_size} tokens the same, and is surprised by ln {vocab_size} = {uniform_loss} nats every time: an untrained model starts near there. Zero would be a model that foresees every letter, and no model of names can: after the same beginning many names go on in different ways. What remains after all there is to learn has been learned is the entropy of the data. Try: take random weights in section 8, come back here, and see how near the mean is to the line of knowing nothing.',
  ],
  technical: [
    'exp of the mean loss is the *perplexity*. Losses of models with other tokens cannot be compared with it letter by letter: a word piece carries more surprise than a character, so one divides by characters or bytes first. A loss above the line is worse than knowing nothing. At single letters that happens all the time, since what is given to the likely is taken from the others; for a whole word it takes one that is not of the data’s kind.',
    'The end counts as a letter too: BOS after the last letter is a prediction like every other. What lies beyond block_size, {block_size} positions, is not read and adds nothing to the loss.',
  ],
}

export const words: Words = {
  both: [
    'A model of names is a judge of names. Put in your own, or a word that is no name, or the same letters backwards: what it has learned is not which letters there are, but what follows what.',
  ],
}
