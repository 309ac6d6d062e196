// The words of the page around its sections: the bar, the contents, the open number, the presenter.
import { texts } from '../texts/texts'

export default texts({
  page: {
    skip: 'Skip to the section',
    program: 'The program',
    lab: 'lab',
    titled: '{title} · microgpt lab',
    playing: 'Playing the program',
  },

  levels: {
    label: 'View as',
    plain: { name: 'plain', about: 'everyday words and pictures' },
    technical: { name: 'technical', about: 'the field’s words, shapes and code' },
    both: { name: 'both', about: 'everyday words first, then the field’s' },
    dismiss: 'Decide later',
  },

  bar: {
    word: 'word',
    theme: 'Colors: {theme}',
    themes: { auto: 'auto', light: 'light', dark: 'dark' },
    present: 'present',
    starting: 'Starting Python… {progress}',
    failed: 'Python did not start; the figures show precomputed results.',
    training: 'Training the linked model: step {done} of {steps}',
    stop: 'stop',
    step: '{name} · step {step}',
    random: 'The weights are random; train the model in section 8.',
    undo: { one: 'undo {count} change', many: 'undo {count} changes' },
    empty: 'Type at least one letter.',
    unreadable: 'The model cannot read {unknown}. The model’s alphabet is {alphabet}.',
    omitted: {
      one: 'The model cannot read {unknown}, so this character is left out of the word. The model’s alphabet is {alphabet}.',
      many: 'The model cannot read {unknown}, so these characters are left out of the word. The model’s alphabet is {alphabet}.',
    },
    cutCharacter: {
      plain: 'The word is too long for the model: its last character is ignored.',
      technical: 'The last character of the word is past the block size and is ignored.',
    },
    cutCharacters: {
      plain: 'The word is too long for the model: its last {cut} characters are ignored.',
      technical: 'The last {cut} characters of the word are past the block size and are ignored.',
    },
    cutToken: {
      plain: 'The word is too long for the model: its last token is ignored.',
      technical: 'The last token of the word is past the block size and is ignored.',
    },
    cutTokens: {
      plain: 'The word is too long for the model: its last {cut} tokens are ignored.',
      technical: 'The last {cut} tokens of the word are past the block size and are ignored.',
    },
  },

  contents: {
    label: 'Sections',
    exercises: 'Exercises',
    solved: '{solved} solved',
    glossary: 'Glossary',
    play: 'Play the program',
    playShort: 'Play',
    teachers: 'for teachers',
    notebook: 'notebook',
  },

  section: {
    of: '{section} of {last}',
    play: 'play “{chapter}”',
    back: 'back',
    licenses: 'licenses',
  },

  find: {
    label: 'find a number',
    matching: 'Matching numbers',
    values: '{shape} values',
    found: '{count} found',
  },

  more: '{hidden} more {what} below',

  opened: {
    label: 'Number {name}',
    expand: 'expand',
    collapse: 'collapse',
    close: 'Close',
    value: 'value',
    gradient: { plain: 'pull on it from the loss', technical: 'gradient of the loss' },
    unaffected: 'A small change to this number would not affect the loss of “{word}”.',
    raises: 'Increasing this number slightly would raise the loss of “{word}”.',
    lowers: 'Increasing this number slightly would lower the loss of “{word}”.',
    line: 'line {line}',
    parameter: {
      plain: 'The model learned this number in training. No formula gives it.',
      technical: 'This is a parameter: its value comes from training, not from a formula.',
    },
    then: 'then',
    computedAs: 'computed as',
    recomputed: { plain: 'computed once more', technical: 'recomputed' },
    identical: ', identical to the last bit',
    operands: {
      one: {
        plain: 'made from {count} number in its last step',
        technical: 'computed from {count} number in its last operation',
      },
      many: {
        plain: 'made from {count} numbers in its last step',
        technical: 'computed from {count} numbers in its last operation',
      },
    },
    users: {
      one: 'used to compute {count} number',
      many: 'used to compute {count} numbers',
      first: 'used to compute {count} numbers; the first {listed} are listed',
    },
    edges: {
      label: { plain: 'Numbers and how fast they grow', technical: 'Numbers and local gradients' },
      value: 'value',
      local: { plain: 'how fast the result grows', technical: 'local gradient' },
    },
    chain: { plain: 'where its pull comes from', technical: 'gradient by the chain rule' },
    check: { plain: 'check the pull by trying it', technical: 'check the gradient numerically' },
    graph: { plain: 'the numbers around it, as a map', technical: 'graph around this number' },
    loading: 'Loading…',
    numbers: { one: 'number', many: 'numbers' },
  },

  walk: {
    label: 'Path so far',
    back: 'Back to {name}',
    to: 'to {name}',
    down: { plain: 'toward what was learned', technical: 'toward the weights' },
    up: 'toward the loss',
    isWeight: {
      plain: 'The model learned this number in training',
      technical: 'This is a weight, so its value comes from training',
    },
    isUnused: 'The loss does not depend on this number',
  },

  breakdown: {
    label: { plain: 'The parts of the sum', technical: 'The terms of the sum' },
    terms: { one: { plain: 'part', technical: 'term' }, many: { plain: 'parts', technical: 'terms' } },
    factor: 'number {i}',
    term: { plain: 'part', technical: 'term' },
    total: 'so far',
  },

  contributions: {
    start: {
      plain: 'This is the loss itself, where the pull starts. Its own pull is',
      technical: 'This is the loss itself, where the backward pass starts. Its gradient is set to',
    },
    unused: {
      plain: 'The loss does not depend on this number, so nothing pulls on it.',
      technical: 'The loss does not depend on this number, so no gradient reaches it.',
    },
    one: {
      plain: 'The number made from this one passes its own pull on, times how fast it grows with this number.',
      technical:
        'Each number computed from this one contributes its own gradient times the local gradient. There is one contribution.',
    },
    many: {
      plain:
        'Each number made from this one passes its own pull on, times how fast it grows with this number. Here {count} of them do, and their pulls add up.',
      technical:
        'Each number computed from this one contributes its own gradient times the local gradient. There are {count} contributions, added up in the order of the backward pass.',
    },
    label: { plain: 'Where the pull comes from', technical: 'Contributions to the gradient' },
    counted: {
      one: { plain: 'pull', technical: 'contribution' },
      many: { plain: 'pulls', technical: 'contributions' },
    },
    used: 'used in',
    gradient: { plain: 'its pull', technical: 'its gradient' },
    local: { plain: 'grows by', technical: 'local' },
    contribution: { plain: 'passed on', technical: 'contribution' },
    sum: { plain: 'all together', technical: 'their sum, the gradient' },
  },

  nudge: {
    about: {
      plain:
        'Push the number up a little, then down a little, and see how the loss responds. The difference of the two losses, divided by the size of the push, should be the pull. No theory required, just patience.',
      technical:
        'Nudge the number up and down by the same small step ε. The difference between the two losses, divided by 2ε, approximates the gradient. No chain rule required, just patience.',
    },
    size: { plain: 'size of the push', technical: 'step size' },
    automatic: 'automatic',
    tiniest: { plain: 'a trillionth', technical: '10⁻¹²' },
    eps: { plain: 'the push', technical: 'ε, the step size' },
    above: { plain: 'loss after the push up', technical: 'loss at +ε' },
    below: { plain: 'loss after the push down', technical: 'loss at −ε' },
    difference: { plain: 'how fast the loss rises', technical: '(first − second) / 2ε' },
    backward: { plain: 'the pull, as the program has it', technical: 'backward’s gradient' },
    zero: 'Both are exactly zero: the loss does not respond to this number at all.',
    agree: 'They agree to within one part in a million.',
    edited: {
      plain: 'They do not agree: the edited program’s pull is not what the loss really does.',
      technical: 'They do not agree, so the edited program’s gradient is not the slope of its loss.',
    },
    tiny: {
      plain:
        'They do not agree: after so small a push, the two losses are almost the same number, and what is left of their difference is mostly rounding.',
      technical:
        'They do not agree: with such a small step, the two losses differ only in their last digits, which are dominated by rounding errors.',
    },
    large: {
      plain: 'They do not agree: the push is so large that the loss has already changed its course.',
      technical:
        'They do not agree: the slope of the loss changes over such a large step, but the gradient is the slope at a single point.',
    },
    rerun: 'The program was rerun with the weight changed.',
    remade: {
      one: '{count} number was recomputed, starting with this one.',
      many: '{count} numbers were recomputed, starting with this one.',
    },
    checking: { plain: 'Trying it…', technical: 'Checking the gradient…' },
  },

  around: {
    label: 'The graph around {name}',
    steps: 'steps in each direction',
    most: {
      plain: 'For each number, only the {most} uses that matter most are shown.',
      technical: 'For each number, only the {most} uses with the largest contributions are shown.',
    },
    dot: 'DOT',
    save: {
      plain: 'Save the numbers that {name} was made from as DOT, a map for Graphviz',
      technical: 'Save the graph behind {name} as DOT, for Graphviz',
    },
    loading: 'Loading the graph…',
  },

  presenter: {
    label: 'Screens',
    previous: 'Previous screen',
    next: 'Next screen',
    exit: 'exit',
    blank: 'The screen is blank; continue',
  },

  watchdog: {
    running: 'The edited program is still running.',
    stop: 'Stop and return to the names model',
    stopped: 'The edited program was stopped. All figures show the names model again.',
  },

  source: {
    label: 'Source code of the reference program',
    edited: '{name}, edited',
    about: 'the program that computed every number on this page',
    show: 'Show the program',
    close: 'Close the program',
    explain: 'Explain line {line}',
    does: 'What the line does',
    map: 'The file at a glance',
    jump: 'Jump to {title} in the code',
    at: '{title} · line {line}',
  },
})
