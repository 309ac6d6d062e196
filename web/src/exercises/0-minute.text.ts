// The words of section 0's exercises. Facts of the answer are filled in: {name}.
import { claim, texts } from '../texts/texts'

export default texts({
  follow: {
    title: 'Follow a name that the model wrote',
    question: 'Choose one of the names that the model has just written, so that the whole page follows it.',
    hint: {
      plain: 'The names are buttons. The one you press appears in the box at the top.',
      technical: 'The word is the page’s only input: every figure asks the session about it.',
    },
    wrong: 'The page follows “{now}”, which is not one of the names above.',
    right: 'The page now follows “{now}”, for which the model’s mean loss is {loss} nats.',
  },
  end: {
    title: 'How surprised was it at the end?',
    question: 'Open the number that says how surprised the model was that `{word}` ends where it ends.',
    hint: {
      plain:
        'Click the word’s last letter in the map. The surprise is in the line below it; numbers with a dotted underline can be opened.',
      technical: 'It is the loss at the last position, whose target is BOS.',
    },
    look: 'Look for the surprise at the last position.',
    right: 'The end had a probability of {prob}, and −log of that is {loss} nats.',
  },
  kay: {
    title: 'What comes after “ka”?',
    question: 'The model has read `k` and `a`. Which token does it think is most likely to come next?',
    hint: {
      plain: claim(
        'Think of names that begin with ka. How do most of them continue?',
        "max((p, x) for x, p in chances('ka').items())[1] == max((sum(d.startswith('ka' + x) for d in documents), x) for x in model['symbols'] if x)[1]",
      ),
      technical: 'These are the six most likely tokens, in alphabetical order.',
    },
    right: 'It gives “{letter}” {prob}.',
  },
})
