// The words of the playhead: its chapters, its controls, and the figures of the program's statements.
import { texts } from '../texts/texts'

export default texts({
  transport: {
    label: 'Playhead',
    chapter: 'Chapter',
    numbered: '{i}. {title}',
    picture: 'The big picture',
    steps: 'Steps',
    beginning: 'Back to the beginning',
    back: 'Step back',
    backKey: 'Step back (left arrow)',
    play: 'Play',
    playKey: 'Play (space)',
    pause: 'Pause',
    pauseKey: 'Pause (space)',
    over: 'Step over',
    overKey: 'Step over (right arrow)',
    into: 'Step into',
    intoKey: 'Step into (down arrow)',
    out: 'Step out',
    outKey: 'Step out (up arrow)',
    moment: 'Moment',
    where: 'line {line}, moment {at} of {length}',
    line: 'line {line}, moment',
    of: '{at} of {length}',
    speed: 'Speed: {speed}×',
    next: 'next',
    tour: 'the tour',
    tourLabel: 'The tour',
    every: 'every statement',
    beats: 'Beats of the tour',
    beat: '{at} of {length}: {title}',
    exit: 'exit',
    announced: 'Line {line}: {source}.',
    sets: 'Line {line}: {source}. Sets {names}.',
  },

  stage: {
    place: '{act} · {block}',
    recording: 'Recording the program…',
    topic: '{topic}, in the big picture',
  },

  figures: {
    passing: { plain: 'The blame flows back', technical: 'Gradients flow through the graph' },
    alphabet: { plain: 'All letters', technical: 'The vocabulary' },
    letters: { plain: 'Letters and their numbers', technical: 'Letters and ids' },
    shapes: { plain: 'The model’s tables', technical: 'The model’s matrices' },
    documents: { plain: 'The texts to learn from', technical: 'The documents' },
    settings: { plain: 'Settings', technical: 'What main() sets' },
    loop: { plain: 'The surprise becomes smaller', technical: 'The loss of each step' },
    adam: { plain: 'One number moves', technical: 'One parameter moves' },
    product: { plain: 'A table mixes the numbers', technical: 'A matrix times a vector' },
    head: 'Head {head} looks back',
    place: 'Where the program is in the word',
    keys: { plain: 'The labels so far', technical: 'The keys so far' },
    values: { plain: 'The messages so far', technical: 'The values so far' },
    die: 'The die',
    chances: { plain: 'Scores become chances', technical: 'Scores become probabilities' },
    losses: 'Surprise',
    scaled: { plain: 'Turned to normal volume', technical: 'Scaled to a common magnitude' },
    gate: 'The gate',
    added: { plain: 'Two lists of numbers, added', technical: 'Two vectors added' },
    weighted: 'A weighted sum',
    where: 'Where the program is',
  },

  strips: {
    result: 'result',
    token: { plain: 'the letter', technical: 'the token' },
    position: { plain: 'its place', technical: 'the position' },
    matrix: { plain: 'the table', technical: 'the matrix' },
    mix: { plain: 'what it brings back', technical: 'mix' },
    query: { plain: 'looks for', technical: 'q' },
  },

  adam: {
    is: {
      plain:
        'This is number {index} of the model’s {count}, counting from 0. Every one of them moves by the same rule.',
      technical:
        '{path} is parameter {index} of {count}, counting from 0. The loop updates every parameter the same way.',
    },
    grad: { plain: 'the pull on it from this word', technical: 'the gradient for this word' },
    m: { plain: 'the average of its recent pulls', technical: 'the momentum: a running mean of gradients' },
    v: {
      plain: 'how strong its recent pulls were',
      technical: 'the scale: a running mean of squared gradients',
    },
    m_hat: { plain: 'the average, corrected for its short memory', technical: 'm after bias correction' },
    v_hat: { plain: 'the strength, corrected in the same way', technical: 'v after bias correction' },
    parameter: { plain: 'The number:', technical: 'The parameter:' },
    change: { plain: 'How far it moves', technical: 'Change in the parameter' },
    adam: 'Adam',
    descent: { plain: 'the simplest rule', technical: 'gradient descent' },
  },

  alphabet: {
    bos: 'BOS',
    id: { plain: 'The mark for beginning and end, BOS, has the number', technical: 'BOS has the id' },
  },

  cache: {
    plain:
      'The model keeps only the labels and messages of the letters it has read. The newest comes last: there is nothing later to look at.',
    technical:
      'The model keeps only the keys and values of the positions it has read. The newest position comes last, so there are no later positions to look at.',
  },

  documents: {
    total: {
      plain: 'and so on, for a total of {count} texts',
      technical: 'and so on, for a total of {count} documents',
    },
    split: { plain: 'The file is split into {count} texts', technical: 'The file is split into {count} documents' },
    swap: 'Swap {turn} of {of}, working back from the end of the list: position {i} swaps with position {j}, picked at random from those at or below it.',
    skipped: 'The next {count} swaps work the same way and are skipped; the last eight follow.',
  },

  head: {
    scores: {
      plain: 'How well what head {head} looks for fits the label of each letter',
      technical: 'attn_logits: head {head}’s query scored against each position’s key',
    },
    weights: {
      plain: 'How much it looks at each letter: shares that add up to 1',
      technical: 'attn_weights: the scores as shares that sum to 1',
    },
  },

  letters: {
    vocabulary: {
      plain: 'All letters: each one has a number',
      technical: 'The vocabulary: every token has an id',
    },
    word: { plain: 'The word, with the mark BOS before and after it', technical: 'The word, with BOS at both ends' },
  },

  losses: {
    label: { plain: 'surprise at each letter', technical: 'losses' },
    mean: { plain: 'On average:', technical: 'Their mean is the loss:' },
    nats: 'nats',
  },

  met: {
    label: {
      plain: 'The way back: {done} of {count} groups of numbers reached',
      technical: 'Backward pass: {done} of {count} tensors reached; current tensor: {now}',
    },
    none: 'none',
    mean: { plain: 'average', technical: 'the mean' },
    position: { plain: 'letter {row}', technical: 'position {row}' },
  },

  passing: {
    nodes: {
      plain: 'The loss was made from {nodes} numbers. Before any blame is passed on, they are put in order.',
      technical:
        'The loss is the output of a graph with {nodes} nodes. Before passing on any gradients, backward puts the nodes in order.',
    },
    order: {
      plain:
        'Starting from the loss, every number that was made from others gets a place in the list, after those it was made from: {operations} in total. The rest have nobody to pass blame to.',
      technical:
        'Starting from the loss, it lists every node that has operands, each after its own operands: {operations} nodes in total. The rest are leaves, which have nothing to pass a gradient to.',
    },
    start: {
      plain:
        'If the loss grows by some amount, the loss grows by that same amount: its own pull is 1. From here on, each of the {steps} steps adds one share of the blame.',
      technical:
        'The derivative of the loss with respect to itself is 1, so its gradient is 1. From here on, each of the {steps} steps is a +=.',
    },
    step: {
      plain: 'Step {step} of {steps}',
      technical: 'Step {step} of {steps}, in {tensor} (tensor {seen} of {count})',
    },
    passes: {
      plain: '{node} passes blame to {operand}',
      technical: '{node} passes its gradient to {operand}',
    },
    received: {
      plain: '{node} itself received blame from {count} numbers; {shown} of them are shown.',
      technical: '{node} itself received contributions from {count} numbers, {shown} of which are shown.',
    },
    grad: { plain: 'the pull of {name}:', technical: 'gradient of {name}:' },
    used: {
      plain: '{operand} was used {count} times, so its shares of the blame add up',
      technical: '{operand} was used {count} times, so += adds up the contributions',
    },
    pending: { plain: 'still to come', technical: 'pending' },
    more: 'and {count} more',
  },

  place: {
    tokens: { plain: 'Letters', technical: 'Tokens' },
    layer: 'layer',
    head: 'head',
    of: 'of {count}, counting from 0',
  },

  product: {
    x: 'x: {name}',
    w: 'w: {name}',
    row: 'row {row} of {rows}:',
    elsewhere: 'This number is a sum of {columns} terms. The “{chapter}” chapter shows them one by one for “{word}”.',
    rows: {
      plain:
        'Each of the {rows} rows mixes the same {columns} numbers into one. Step into the line to see the sums one by one.',
      technical:
        'Each of the {rows} rows produces a weighted sum of the same {columns} values. Step into the line to see the sums one by one.',
    },
  },

  settings: { printed: 'Printed output' },

  loop: {
    curve: { plain: 'How surprised it was at each step', technical: 'Loss at each step' },
    step: { plain: 'steps', technical: 'step' },
    loss: { plain: 'surprise', technical: 'loss, nats per token' },
    each: { plain: 'one text', technical: 'loss of each document' },
    mean: 'mean of the last {width}',
    uniform: { plain: 'knowing nothing', technical: 'random guessing' },
    none: 'This model has not been trained here.',
  },

  variables: {
    label: 'Variables at line {line}',
    in: 'in',
    at: 'at',
    lists: '{count} lists',
  },
})
