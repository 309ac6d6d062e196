// The words of the exercises' cards and lists. The exercises' own words are beside each section's exercises.
import { texts } from '../texts/texts'

export default texts({
  kinds: {
    predict: 'predict',
    'find the line': 'find the line',
    'find the number': 'find the number',
    'make it so': 'make it so',
  },

  drawer: {
    title: 'Exercises',
    close: 'Close',
    solved: '{solved} of {count} solved. The page checks your solutions against the figures and the model.',
    kept: 'Your progress is saved in this browser.',
    lost: 'This browser does not save your progress; export it before you leave.',
    bar: 'Exercises solved',
    export: 'export progress',
    import: 'import',
    reset: 'reset progress',
    exported: 'The file contains only your progress on the exercises.',
    imported: {
      one: 'Imported progress on {count} exercise and merged it with yours.',
      many: 'Imported progress on {count} exercises and merged it with yours.',
    },
    wasReset: 'All exercises are now marked as unsolved.',
  },

  foot: {
    title: '{count} exercises for this section',
    solved: '{count} exercises for this section, {solved} solved',
  },

  names: {
    hard: { easy: 'easy', medium: 'medium', hard: 'hard' },
    about: '{kind}, {hard}',
    solved: ', solved',
  },

  card: {
    kind: 'exercise · {kind}',
    solved: 'exercise · {kind} · solved',
    expand: 'expand',
    collapse: 'collapse',
    leave: 'Leave the exercise',
    prediction: 'Your prediction',
    asking: 'Asking the model…',
    check: 'Check',
    hint: 'hint',
    again: 'start over',
    link: 'link',
    next: 'next: {title}',
    checking: 'Checking…',
    preparing: 'Preparing the exercise…',
    right: 'Right.',
    wrong: 'Not yet.',
    restores: 'Leaving the exercise restores {kept}.',
    and: ' and ',
    keep: 'keep the current state',
  },

  kept: {
    word: 'the word “{word}”',
    model: 'the model “{name}”',
    step: 'step {step} of the run',
    changed: 'your changed weights',
    original: 'the original weights',
  },

  judge: {
    choose: 'Choose an answer first.',
    noLine: 'Choose a line first: click its number in the source panel.',
    nothing: '(nothing)',
    line: 'It is line {line}: {why}',
    otherLine: 'Line {line} reads `{text}`, which is a different step.',
    noNumber: 'No number is open: click a number, or find one by name. {instead}',
    otherNumber: '`{path}` is open. {instead}',
  },

  progress: {
    notJson: 'This file is not JSON; choose a file exported from this page.',
    other: 'This file contains no exercise progress; choose a file exported from this page.',
  },
})
