// The words of section 2. Figures of the model are filled in from the engine: {name}.
import { claim, texts, type Question, type Text, type Words } from '../../texts/texts'

const intro: Words = {
  both: [
    'Make one number a little larger: how fast does the result grow? That is the number’s [gradient](term:gradient). Training needs it for all {num_params} numbers of the model.',
  ],
}

const explorer = {
  title: {
    plain: 'What moves the result',
    technical: 'An expression and its gradients',
  } as Text,
  examples: 'Examples',
  own: 'or type your own',
  presets: {
    add: 'add',
    multiply: 'multiply',
    twice: 'x used twice',
    diamond: 'diamond',
    paths: 'two paths',
    neuron: 'a neuron',
    relu: { plain: 'a gate', technical: 'ReLU' } as Text,
    softmax: { plain: 'shares', technical: 'softmax' } as Text,
    surprise: 'surprise',
  },
  graph: 'Graph of {source}',
  // before and after a number
  grows: ['Raise `{name}` a little: `{result}` rises ', ' times as fast.'],
  falls: ['Raise `{name}` a little: `{result}` changes ', ' times as fast, so it falls.'],
  still: ['Raise `{name}` a little: `{result}` stays where it is. The gradient is ', '.'],
  player: {
    plain: 'There and back, one step at a time',
    technical: 'Forward and backward, one step at a time',
  } as Text,
  inputs: { plain: 'the numbers to begin with', technical: 'the inputs' } as Text,
  computes: {
    plain: '{at} of {count}: {node} becomes {value}',
    technical: '{at} of {count}: {node} = {value}',
  } as Text,
  start: {
    plain: '{at} of {count}: the way back begins with 1 at {node}',
    technical: '{at} of {count}: backward begins, {node}.grad = 1',
  } as Text,
  step: '{at} of {count}: {node} adds {local} × {out} to {operand}',
  power: 'power {exponent}',
  wrong: { ends: 'backward says', shows: 'a small push shows' },
  arriving: {
    label: { plain: 'a gradient that arrives is', technical: 'each incoming gradient is' } as Text,
    added: { plain: 'added', technical: 'added (+=)' } as Text,
    assigned: { plain: 'put in place of the old one', technical: 'assigned (=)' } as Text,
  },
  order: {
    label: 'order',
    topological: { plain: 'wait for everyone', technical: 'topological' } as Text,
    naive: { plain: 'rush ahead', technical: 'naive' } as Text,
  },
  times: { label: { plain: 'go back', technical: 'backward' } as Text, once: 'once', twice: 'twice' },
  caption: {
    plain:
      'The small number on a line says how fast the lower box moves when the upper one does. Dashed boxes never change.',
    technical:
      'The operations are `+ - * / **`, `exp`, `log` and `relu`; `;` separates statements. Each edge shows its local gradient: how fast the lower number grows with the upper one. Dashed boxes are constants.',
  } as Text,
  ledger: {
    label: { plain: 'What each box hands on', technical: 'Contributions in the backward pass' } as Text,
    node: { plain: 'box', technical: 'node' } as Text,
    to: { plain: 'gives to', technical: 'adds to' } as Text,
    before: 'before',
    share: { plain: 'rate × its gradient', technical: 'local × its grad' } as Text,
    after: 'after',
    grad: { plain: '{name}', technical: '{name}.grad' } as Text,
  },
}

const rule: Words = {
  both: [
    'Move a slider, and values flow down. Press play, and [gradients](term:gradient) flow back up. The result starts with 1, because it moves exactly as fast as itself. Each box then hands on its own gradient times the number on the line. *Along a path we multiply; where paths meet we add.*',
  ],
}

const explorerQuestions: Question[] = [
  {
    asks: 'What is this like in everyday life?',
    words: {
      both: [
        'A cake came out too sweet. You can trace that back: so much from the sugar, so much from the icing, and the icing itself was made of sugar. A `Value` is a number that keeps its own recipe: what it was made from, and how strongly it responds to each ingredient. That is enough to pass the blame back to every ingredient in the kitchen at once.',
        'Why multiply along a path? If the bank pays you half of what you pay in, and tax leaves you two thirds of that, then one more coin at the start is half of two thirds of a coin at the end. Why add over paths? If your money takes two ways to the same purse, what arrives adds up. Try: choose *two paths*, press play, and watch `b` collect from both.',
      ],
    },
  },
  {
    asks: 'Why +=?',
    words: {
      both: [
        'A number that is used twice gets its gradient from two sides, and the true gradient is the sum. With = only the last delivery would count, as if a letter box threw out the old post each time the postman came. Try: choose *x used twice*, and switch from adding to replacing.',
      ],
    },
  },
  {
    asks: 'Why in this order?',
    words: {
      both: [
        'A box must wait until everything that uses it has reported. If it passes on what it has so far, it must come back when more arrives, and it hands on the first part twice. Try: choose *diamond*, and change the order.',
      ],
      technical: [
        'In topological order, every node comes after all nodes that use it. The naive walk recurses into an operand as soon as it has handed something over. It sends again what it has already sent, and visits a node once for every path to it: its cost can double with each level. The ordered walk visits each node once.',
      ],
    },
  },
  {
    asks: 'Why does a second backward not give the same again?',
    words: {
      both: [
        'Because nobody emptied the boxes. Every new delivery comes on top of the old one. That is why the program sets each parameter’s gradient back to zero after each update. Try: choose *x used twice*, and run backward twice.',
      ],
      technical: [
        'A second `backward` doubles the gradient of an input that feeds the result directly. A deeper input gets more than double, because the nodes in between keep their first gradient too and pass on the sum. PyTorch does not keep the gradients of intermediate nodes, so there it is exactly double. Accumulating on purpose, with a new forward pass each time, is how to train with a batch larger than memory: the gradients of documents add up.',
      ],
    },
  },
  {
    asks: 'What is this technique called?',
    words: {
      technical: [
        'Reverse-mode automatic differentiation, over scalars. A `Value` holds `data`, `grad`, at most two operands, and the two partial derivatives with respect to them, which the forward pass computes on the spot. One backward pass gives the derivative of one output with respect to all inputs, for a small constant times the cost of the forward pass. Finite differences would cost one forward pass for each input. Frameworks do the same with whole tensors as nodes.',
      ],
    },
  },
]

const check = {
  asks: 'What if one precaution is left out?',
  words: {
    both: [
      'Backward adds, waits and runs once. Leave out any of the three, and the answer can be wrong although nothing crashes.',
    ],
  } as Words,
  title: { plain: 'Is it right? A small push tells', technical: 'Numerical gradient check' } as Text,
  label: 'Gradients of {source}, checked',
  of: 'gradient of',
  difference: { plain: 'by a small push', technical: 'central difference' } as Text,
  ways: {
    program: 'as in the program',
    assigned: { plain: 'replacing, not adding', technical: '= instead of +=' } as Text,
    naive: { plain: 'rushing ahead', technical: 'naive order' } as Text,
    twice: { plain: 'going back twice', technical: 'backward twice' } as Text,
  },
  correct: 'correct',
  wrong: 'wrong',
  caption: {
    plain:
      'The push knows nothing of the graph: it computes the result twice, with the number slightly raised and slightly lowered.',
    technical:
      'For `{source}` at the sliders’ inputs. The central difference, (f(x + h) − f(x − h)) / 2h, knows nothing about the graph. Its own error falls with the square of h, until rounding takes over. It is how every engine of this project is checked.',
  } as Text,
}

const operations = {
  words: {
    both: ['Each operation knows one thing about itself: how steep it is at its current input.'],
    technical: ['That number is fixed when the operation runs, and it waits on the line until backward comes by.'],
  } as Words,
  title: {
    plain: 'What each operation does to a small change',
    technical: 'Which operation has which local gradient',
  } as Text,
  table: { plain: 'Operations and their rates', technical: 'Operations and their local gradients' } as Text,
  operation: 'operation',
  value: 'value',
  local: { plain: 'rate for {name}', technical: 'local gradient for {name}' } as Text,
  rule: 'rule',
  show: 'Show {operation} as a curve',
  none: 'none here',
  curve: 'Graph of {operation}, with its tangent at a = {a}',
  rules: {
    add: { plain: 'always one', technical: '1, 1' } as Text,
    multiply: { plain: 'the other number', technical: 'b, a' } as Text,
    square: { plain: 'twice the number', technical: '2a' } as Text,
    inverse: { plain: 'minus the result, squared', technical: '−1 / a²' } as Text,
    log: { plain: 'one divided by the number', technical: '1 / a' } as Text,
    exp: { plain: 'the result itself', technical: 'exp(a)' } as Text,
    relu: { plain: 'one, or nothing', technical: '1 if a > 0, else 0' } as Text,
  },
  caption: {
    plain: 'Click an operation and drag its point. The colored line shows the rate: the steeper, the larger.',
    technical:
      'Click an operation to draw it, and drag its point. The colored line is the tangent. Subtraction, negation and division are built from these: a / b is a · b⁻¹.',
  } as Text,
}

const operationQuestions: Question[] = [
  {
    asks: {
      plain: 'Why does `exp` grow as fast as it is large?',
      technical: 'Why is the local gradient of `exp` itself?',
    },
    words: {
      both: [
        'Because `exp` grows in proportion to what is already there, like money at interest. Its growth and its size are the same number. The code therefore stores the result that it has just computed, and never calls `exp` a second time. Try: choose exp, drag the point along the curve, and compare the value with the slope.',
      ],
    },
  },
]

const gate = {
  words: {
    both: ['`relu` is a gate, open or closed. Blame is treated like the value: it gets through, or it does not.'],
  } as Words,
  title: { plain: 'A gate for numbers', technical: 'The gate' } as Text,
  label: { plain: 'The gate is {state}', technical: 'ReLU as a gate: {state}' } as Text,
  open: 'open',
  closed: 'closed',
  out: { plain: 'h, what comes out', technical: 'h = relu(x)' } as Text,
  gradOut: 'gradient at h',
  gradIn: 'gradient at x',
  forward: { plain: 'values', technical: 'forward' } as Text,
  backward: { plain: 'gradients', technical: 'backward' } as Text,
  grad: { plain: 'at {name}', technical: '{name}.grad' } as Text,
  local: { plain: 'rate', technical: 'local' } as Text,
  caption: {
    plain: 'Drag x through zero. Behind the gate, h is multiplied by w.',
    technical:
      '`h = relu(x); y = w * h`. Drag x through zero. The gradient at h is w, whether the gate is open or closed.',
  } as Text,
}

const gateQuestions: Question[] = [
  {
    asks: 'What happens behind a closed gate?',
    words: {
      both: [
        'A closed gate is an alibi. Whatever went wrong further on, this number had no part in it, so no blame reaches it, and nothing behind it learns this time. Try: pull x below zero, and then change w.',
      ],
      technical: [
        'At exactly zero, `relu` has no derivative; the program takes 0, as PyTorch does. A unit whose gate is closed for every input in the data gets a gradient of exactly zero and is called dead. Only a change in what it reads can open it again. The section on the forward pass shows the model’s dead units; the section on the update shows the rows of zeros that closed gates leave behind.',
      ],
    },
  },
]

const depth = {
  words: {
    both: ['The real [graph](term:graph) differs from these only in size.'],
  } as Words,
  title: { plain: 'The real graph', technical: 'The depth of the real graph' } as Text,
  // before and after the number of nodes
  nodes: {
    before: {
      plain: 'To score `{word}`, the program makes ',
      technical: 'The graph that computes the loss of `{word}` has ',
    } as Text,
    after: { plain: ' numbers.', technical: ' nodes.' } as Text,
  },
  label: {
    plain: 'The longest chain, and how deep calls may nest',
    technical: 'Graph depth and Python’s recursion limit',
  } as Text,
  chain: { plain: 'longest chain of steps', technical: 'operations in the longest chain' } as Text,
  limit: { plain: 'nested calls Python allows', technical: 'nested calls Python allows' } as Text,
}

const depthQuestions: Question[] = [
  {
    asks: 'Why not recursion?',
    words: {
      both: [
        claim(
          'A function that calls itself piles up unfinished calls like plates, one for each step of the longest chain, and Python lets the pile grow only so high. The program keeps a list instead, which has no such limit. Try: type a longer word into the box at the top, and watch the chain grow.',
          "ask('graph', word='emmanuel')['depth'] > ask('graph', word='emma')['depth']",
        ),
      ],
      technical: [
        claim(
          'Beyond its limit Python raises `RecursionError`, and its C stack is finite too. Most of this graph’s depth comes from running sums: `sum` of n terms is a chain of n − 1 additions, and every layer adds its share. With more layers or a wider model, a recursive walk that worked yesterday stops working. An explicit stack costs the same and depends on memory alone. Try: start a run of six layers in section 8, and compare its chain with the limit.',
          "all(g['depth'] > g['limit'] for g in [after('reset', config={'n_layer': 6}).ask('graph', word='emma')])",
        ),
      ],
    },
  },
]

export default texts({
  intro,
  explorer,
  rule,
  explorerQuestions,
  check,
  operations,
  operationQuestions,
  gate,
  gateQuestions,
  depth,
  depthQuestions,
})
