// The words of the figure that turns scores into probabilities.
import { texts } from '../texts/texts'

export default texts({
  probs: { plain: 'the chance of each letter to come next', technical: 'the probability of each possible next token' },
  exps: {
    plain: 'each score turned into a number above zero: the higher the score, the larger',
    technical: 'e^(score − largest score) for each possible next token',
  },
  logits: { plain: 'the score of each letter for coming next', technical: 'the score of each possible next token' },
  rest: 'and {count} smaller values',
  largest: 'largest score:',
  total: 'their total:',
  next: 'The word continues with',
  chance: { plain: 'whose chance is', technical: 'whose probability is' },
  loss: { plain: 'the surprise is', technical: 'the loss, −log p, is' },
})
