// The words of section 4's exercises.
import { claim, texts } from '../texts/texts'

export default texts({
  shut: {
    title: 'A unit with nothing to say',
    question: 'Choose a unit of the MLP that stays closed at every position of `{word}`.',
    hint: {
      plain: 'In the board of gates, a column is a unit. Find one without a filled cell, and click it.',
      technical: claim(
        'mlp_pre ≤ 0 at all positions. For a word as short as `emma`, most units are like that.',
        "sum(any(column) for column in zip(*ask('gate', word='emma', layer=0)['open'])) < 32",
      ),
    },
    none: 'No unit is chosen yet.',
    opens: 'Unit {unit} is open at {times} of {positions} positions.',
    right: 'Unit {unit} is closed at all {positions} positions. For this word it might as well not exist.',
  },
  dead: {
    title: 'Find the dead',
    question: claim(
      'This model was trained for 100 steps with a learning rate that is far too large, and some units of its MLP died: none of the names tried opens them. Choose one of them.',
      "[len(after('reset', config={'learning_rate': rate}, val_fraction=0).after('train', steps=100).ask('gate', word='emma', layer=0)['dead']) > 1 for rate in (0.15, 0.01)] == [True, False]",
    ),
    hint: {
      plain:
        'Dead units are gray in the board and dashed in the curve above it. Click one, or walk there with the arrow keys.',
      technical:
        'Updates far too long left mlp_pre of these units at or below 0 for every document. No gradient passes a closed gate, so only a change in what they read can open them again.',
    },
    none: 'This model has no dead unit. Set the stage again, so that the model of this exercise is trained.',
    alive: 'Unit {unit} is open for some of {documents} documents. {dead} units are not.',
    right: 'Unit {unit} is open for none of {documents} documents. In all, {dead} units are dead.',
  },
  zero: {
    title: 'Cut to zero',
    question: 'Open a number behind a closed gate: one of `mlp_act` that is exactly 0.',
    hint: {
      plain: 'Below the gates you can open the two numbers of the chosen unit. Or find one by its name.',
      technical: 'mlp_act = max(0, mlp_pre): a cell without color.',
    },
    wanted: 'The exercise asks for a number of mlp_act.',
    open: '`{path}` is {value}: its gate is open.',
    right: '`{path}` was {before} before the gate, and is {value} behind it.',
  },
  better: {
    title: 'One weight for the better',
    question: claim(
      'Change a single weight so that the loss of `{word}` falls by at least a tenth of a nat.',
      "after('change', path='lm_head[12][13]', value=2).loss('emma') < loss('emma') - 0.1",
    ),
    hint: {
      plain:
        'A weight with a large gradient helps most: push it the other way. Section 7 has a button for the steepest one.',
      technical: claim(
        'To first order, the loss falls by gradient × push. The steepest gradients are in lm_head. Open one of them, then push it in “Change a weight”.',
        "max((max(abs(g) for g in grad), name) for name, grad in ask('gradients', word='emma')['grads'].items())[1] == 'lm_head'",
      ),
    },
    none: 'No weight is changed yet.',
    many: 'More than one weight is changed. Undo, and choose one.',
    less: 'With `{path}` changed, the loss went from {was} to {now}.',
    right: 'With only `{path}` changed, the loss fell from {was} to {now}. What has it done to other words?',
  },
  later: {
    title: 'What cannot reach back',
    question: 'Change a weight so that every later position changes, and not a single number of position 0.',
    hint: {
      plain:
        'Position 0 knows nothing of what comes after it. Which weights speak only for a later place, or a later letter?',
      technical: 'Row 1 of wpe enters at position 1. Every later position sees it through keys and values.',
    },
    none: 'No weight is changed yet.',
    first: 'With `{path}`, position 0 has changed, too. Undo, and choose another weight.',
    some: 'Position 0 is as it was, but only {later} of the {all} later positions have changed.',
    right: '`{path}` changed all {all} later positions and nothing at position 0. What comes later cannot reach back.',
  },
  keep: {
    title: 'Think, and keep the original',
    question: 'Which line adds what attention or the MLP has found to the stream, so that the original stays?',
    hint: {
      plain: 'There are two such lines, identical to the letter: one after attention, one after the MLP.',
      technical: 'The residual connection: x + f(norm(x)).',
    },
    why: 'the gradient passes through this sum undiminished, which made deep networks trainable.',
  },
})
