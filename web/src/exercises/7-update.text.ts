// The words of section 7's exercises.
import { claim, texts } from '../texts/texts'

export default texts({
  steepest: {
    title: 'The steepest of all',
    question: 'Open the parameter whose gradient is largest: the loss of `{word}` responds to it most strongly.',
    hint: {
      plain: 'The figure about Adam has a button for it, and shows its name. Then find it by that name.',
      technical: 'The largest |gradient| over all matrices: the maps show it as the fullest cell.',
    },
    right: 'The gradient of `{path}` is {grad}: none is larger.',
    parameter: 'The answer is a parameter.',
    other: 'The gradient of `{path}` is {grad}. Another parameter has a larger one.',
  },
  alone: {
    title: 'Left alone',
    question:
      'In the figure about Adam, choose a parameter that a first update on `{word}` leaves exactly unchanged: its Δ is 0, and Adam’s memory is empty.',
    hint: {
      plain:
        'What the word doesn’t touch gets no blame, and what gets no blame stays. The memory of earlier steps must be empty, though: the first figure has a choice for that.',
      technical: claim(
        'With a gradient of 0, m̂ = 0 only if m was 0. With the memory of {step} steps, an untouched row still moves a little.',
        "any(g == 0 != d for g, d in moves('emma')) and not any(g == 0 != d for g, d in moves('emma', fresh=True))",
      ),
    },
    moves: '`{path}` moves by {delta}, with a gradient of {grad}.',
    remembers: '`{path}` moves by {delta}, with a gradient of {grad} and what Adam remembers.',
    right: '`{path}` has a gradient of {grad}, and moves by {delta}.',
  },
  stride: {
    title: 'How long is the first stride?',
    question:
      'With an empty memory and a learning rate of {rate}, Adam updates the weight with the largest gradient, {grad}. How far does the weight move?',
    plain: '{length}: the rate times the gradient',
    delta: '{length}: the rate',
    grad: '{length}: the gradient',
    hint: {
      plain: 'Adam divides the average gradient by its usual size. What are the two after a single step?',
      technical: 'm̂ = g and v̂ = g², so m̂ / √v̂ = ±1.',
    },
    truth: 'It moves by {delta}. m̂ is {m}, and v̂ is {v}, which is its square: m̂ divided by the root of v̂ is 1 or −1.',
  },
  far: {
    title: 'Too far',
    question: claim(
      'Choose a learning rate with which one update on `{word}` makes its loss larger instead of smaller.',
      "ask('update', word='emma', what=[], learning_rate=1.0)['loss_after'] > loss('emma')",
    ),
    hint: {
      plain: 'A step that is too long lands on the other side of the valley, higher up.',
      technical: 'The gradient is the slope at one point. Try the largest rate.',
    },
    down: 'With a rate of {rate}, the loss changes from {before} to {after}.',
    up: 'With a rate of {rate}, the loss changes from {before} to {after}: uphill, though every weight went downhill.',
  },
  line: {
    title: 'Where the weight moves',
    question: 'All of training comes down to one line, which changes a weight. Which line?',
    hint: { plain: 'Against the gradient: so with a minus.', technical: 'In adam: p.data, m̂ and √v̂.' },
    why: 'everything else only finds out by how much.',
  },
})
