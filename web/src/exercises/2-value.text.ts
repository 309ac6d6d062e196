// The words of the exercises of section 2. Facts are filled in by the judges: {name}.
import { texts } from '../texts/texts'

export default texts({
  other: {
    twice: 'That is another expression. Choose the preset *x used twice*.',
    neuron: 'That is another expression. Choose the preset *a neuron*.',
  },
  flat: {
    title: 'A flat place',
    question:
      'Choose the preset *x used twice*. Move x to where a small change in it does nothing: to where its gradient is 0.',
    hint: { plain: 'y = x · x + x is a bowl. It is flat at its lowest point.', technical: 'dy/dx = 2x + 1.' },
    notYet: 'At x = {x} the gradient is {grad}.',
    right: 'At x = {x} the gradient is {grad}: x reaches y in two ways, and they cancel.',
  },
  neuron: {
    title: 'Shut the neuron',
    question:
      'Choose the preset *a neuron*. Move the sliders until no gradient at all reaches its weights, although its inputs are not 0.',
    hint: {
      plain: 'ReLU is a gate. What is below zero does not get through, and neither does the blame.',
      technical: 'The local gradient of relu is 0 below 0. A low b makes w1·x1 + w2·x2 + b negative.',
    },
    noInput: 'One input is 0, which alone removes the gradient of its weight. Keep both inputs away from 0.',
    isOpen: 'The gradient of w1 is {grad}: the gate is open.',
    right:
      'The gradient of w1 is exactly {grad}, although x1 is {x1}. The gate is shut, so this neuron learns nothing here.',
  },
  broken: {
    title: 'Break backward',
    question: 'Change how backward works, below the graph, so that the gradients of the chosen expression are wrong.',
    hint: {
      plain:
        'You can change three things: what happens to a gradient that arrives, the order, and how often backward runs.',
      technical: 'If an input is used twice, = instead of += loses one of the two paths.',
    },
    agree: 'Every gradient agrees with what a small push shows.',
    right: '{name}.grad ends at {grad}, but a small push shows {slope}.',
  },
  twice: {
    title: 'Backward twice',
    question:
      'For y = x · x + x at x = 1.5, backward gives x the gradient {once}. What is x.grad after a second backward over the same graph?',
    hint: {
      plain: 'Nothing sets the gradients to zero in between. And x · x still has its own gradient from the first time.',
      technical:
        'Inner nodes accumulate too. They pass on the old gradient together with the new one, so the result is more than double.',
    },
    truth:
      'It is {twice}. The inner number had kept its first gradient, and passed on both. That is why `adam` sets every gradient to 0.',
  },
  line: {
    title: 'Where blame adds up',
    question: 'Which line adds a share of the gradient to what a number already has?',
    hint: {
      plain: 'It is at the end of backward. += stands there twice, once for each operand; either will do.',
      technical: 'Look for the local gradient times the node’s own gradient.',
    },
    why: 'with = instead of +=, only the last path would count.',
  },
})
