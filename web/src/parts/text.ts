// The words of the parts that several sections share.
import { texts } from '../texts/texts'

export default texts({
  figure: {
    svg: 'SVG',
    save: 'Save “{title}” as SVG',
    lines: 'lines {first}–{last}',
    line: 'line {first}',
    earlier: '{message}. The figure still shows what was computed before.',
  },

  graph: {
    local: { plain: 'how fast the result grows ', technical: 'local gradient ' },
    constant: { plain: 'a fixed number', technical: 'a constant' },
    leaves: { input: 'input', weight: 'weight' },
    open: 'open {name}',
    value: 'value',
    grad: { plain: 'pull', technical: 'grad' },
  },

  heat: {
    number: 'one number',
    table: 'table',
    asTable: '{label} as a table',
    label: '{label}, {size}. Use the arrow keys to move and Enter to open a cell. {cell}: {value}',
    cells: '{shape} cells',
    cell: 'one cell',
    by: ' by ',
  },

  meant: {
    use: 'use “{word}”',
    without: 'without {dropped}',
    space: 'the space',
  },

  player: {
    play: 'Play',
    pause: 'Pause',
    back: 'Step back',
    step: 'Step',
    speed: 'Speed: {speed}×',
    of: '{at} of {length}',
  },

  tables: {
    all: 'all values as a table',
    label: { plain: 'Values of letter {position}', technical: 'Values at position {position}' },
  },

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
