// The words of the parts that several sections share.
import { texts } from '../texts/texts'

export default texts({
  next: {
    title: 'What comes next?',
    after: 'After {read}',
    start: 'At the start',
    end: { plain: 'end', technical: 'BOS', both: 'end' },
    endMeans: { plain: 'the name ends here', technical: 'BOS: the name ends here' },
    best: 'Best guess: {best}',
    stays: 'Best guess: still {best}',
    turns: 'Best guess: {best}, before {was}',
    label: 'Chances of the next letter',
    up: 'more than before',
    down: 'less than before',
    moved: 'of the chance has moved to other letters.',
    temperature: {
      plain: 'At temperature 1: the model’s own chances.',
      technical:
        'softmax(logits), at temperature 1: the model’s own probabilities; section 9 divides the logits first.',
      both: 'At temperature 1: the model’s own chances, softmax(logits).',
    },
  },
})
