import { notOpen, onLine, three, type Exercise } from './exercise'

export const forward: Exercise[] = [
  {
    id: 'a-unit-that-stays-shut',
    title: 'A unit with nothing to say',
    kind: 'make it so',
    hard: 1,
    stage: { section: 4, word: 'emma', position: 3 },
    question: 'Choose a unit of the MLP that stays shut at every position of `{word}`.',
    hint: {
      plain: 'In the board of gates a column is a unit. Look for one without any filled cell, and click it.',
      technical: 'mlp_pre ≤ 0 for all positions; most units are like that for any one word.',
    },
    async judge({ app, seen, ask }) {
      const layer = Math.min(app.layer, app.model!.config.n_layer - 1)
      const { open } = await ask('gate', { word: app.word, layer })
      const times = open.filter((row) => row[seen.unit]).length
      const facts = { unit: String(seen.unit), times: String(times), positions: String(open.length) }
      if (!open[0] || !(seen.unit in open[0])) return { right: false, says: 'No unit is chosen yet.' }
      if (times) return { right: false, says: 'Unit {unit} is open at {times} of {positions} positions.', facts }
      return {
        right: true,
        says: 'Unit {unit} is shut at all {positions} positions: for this word it might as well not be there.',
        facts,
      }
    },
  },
  {
    id: 'find-the-dead-units',
    title: 'Find the dead',
    kind: 'make it so',
    hard: 2,
    stage: { section: 4, word: 'emma', position: 3, config: { learning_rate: 0.15 }, step: 100 },
    question:
      'This model was trained for 100 steps with far too long a stride, and some units of its MLP died of it: they are open for no word at all. Choose one of them.',
    hint: {
      plain:
        'The dead are grey in the board, and dashed in the curve above it. Walk to one with the arrow keys, or click.',
      technical:
        'One huge update pushed the unit’s whole row below zero; no gradient passes a shut gate, so it cannot come back.',
    },
    async judge({ app, seen, ask }) {
      const layer = Math.min(app.layer, app.model!.config.n_layer - 1)
      const { dead, documents } = await ask('gate', { word: app.word, layer })
      const facts = { unit: String(seen.unit), dead: String(dead.length), documents: documents.toLocaleString('en') }
      if (!dead.length)
        return {
          right: false,
          says: 'No unit of this model is dead. Set the stage, so that the one of the exercise is trained.',
        }
      if (!dead.includes(seen.unit))
        return { right: false, says: 'Unit {unit} is open for some of {documents} documents. {dead} are not.', facts }
      return {
        right: true,
        says: 'Unit {unit} is open for none of {documents} documents, and so are {dead} in all.',
        facts,
      }
    },
  },
  {
    id: 'a-number-cut-to-zero',
    title: 'Cut to zero',
    kind: 'find the number',
    hard: 1,
    stage: { section: 4, word: 'emma', position: 3 },
    question: 'Open a number behind a gate that is shut: one of `mlp_act` that is exactly 0.',
    hint: {
      plain: 'Under the gates, the chosen unit’s two numbers can be opened. Or find one by its name.',
      technical: 'mlp_act = max(0, mlp_pre): a cell without colour.',
    },
    async judge(asked) {
      const { app, ask } = asked
      if (!/\.mlp_act\[\d+\]$/.test(app.number)) return notOpen(asked, 'A number of mlp_act is asked for.')
      const { value, operands } = await ask('number', { word: app.word, path: app.number })
      const facts = { path: app.number, value: three(value), before: three(operands[0].value) }
      if (value !== 0) return { right: false, says: '`{path}` is {value}: its gate is open.', facts }
      return { right: true, says: '`{path}` was {before} before the gate, and is {value} behind it.', facts }
    },
  },
  {
    id: 'one-weight-for-the-better',
    title: 'One weight for the better',
    kind: 'make it so',
    hard: 3,
    stage: { section: 4, word: 'emma' },
    question: 'Change a single weight by hand so that the loss of `{word}` falls by at least a tenth of a nat.',
    hint: {
      plain:
        'A weight with a large gradient helps most: push it the other way. Section 7 has a button for the steepest.',
      technical:
        'To first order the loss falls by gradient × push; the steepest gradient here is in lm_head. Open it, then push it below.',
    },
    async judge({ app, ask }) {
      const changes = app.model!.changes
      if (changes.length !== 1)
        return {
          right: false,
          says: changes.length ? 'More than one weight is changed: undo, and choose one.' : 'No weight is changed yet.',
        }
      const { tensors, before } = await ask('forward', { word: app.word })
      const now = tensors.loss.data[0]
      const was = before.loss?.[0] ?? now
      const facts = { path: changes[0].path, was: three(was), now: three(now) }
      if (was - now < 0.1)
        return { right: false, says: 'With `{path}` changed the loss went from {was} to {now}.', facts }
      return {
        right: true,
        says: 'With nothing but `{path}` changed the loss fell from {was} to {now}. And what has it done to other words?',
        facts,
      }
    },
  },
  {
    id: 'a-change-that-spares-the-first',
    title: 'What cannot reach back',
    kind: 'make it so',
    hard: 2,
    stage: { section: 4, word: 'emma' },
    question:
      'Change a weight so that all later positions are no longer what they were, while not one number of position 0 changes.',
    hint: {
      plain:
        'Position 0 knows nothing of what comes after it. Which weights speak only for a later place, or a later letter?',
      technical: 'Row 1 of wpe enters at position 1; everything after it sees it through keys and values.',
    },
    async judge({ app, ask }) {
      if (!app.model!.changes.length) return { right: false, says: 'No weight is changed yet.' }
      const { before, positions } = await ask('forward', { word: app.word })
      const touched = new Set(Object.keys(before).map((name) => name.split('.')[0]))
      const later = Array.from({ length: positions - 1 }, (_, i) => `pos${i + 1}`).filter((name) => touched.has(name))
      const facts = { later: String(later.length), all: String(positions - 1), path: app.model!.changes[0].path }
      if (touched.has('pos0'))
        return { right: false, says: 'Position 0 has changed, too, with `{path}`. Undo, and choose another.', facts }
      if (later.length < positions - 1)
        return {
          right: false,
          says: 'Position 0 is as it was, but only {later} of the {all} later positions have changed.',
          facts,
        }
      return {
        right: true,
        says: '`{path}` changed all {all} later positions and nothing of position 0: what comes later cannot reach back.',
        facts,
      }
    },
  },
  {
    id: 'keep-the-original',
    title: 'Think, and keep the original',
    kind: 'find the line',
    hard: 1,
    stage: { section: 4 },
    question: 'In which line is what attention or the MLP has found added to the stream, so that the original stays?',
    hint: {
      plain: 'There are two such lines, alike to the letter: one after attention, one after the MLP.',
      technical: 'The residual connection: x + f(norm(x)).',
    },
    judge: onLine(
      ['x = [a + b for a, b in zip(x, x_residual)]'],
      'the gradient passes it undiminished, which is what made deep networks trainable.',
    ),
  },
]
