import { exists, picked, steepest } from '../sections/7-update/picked.svelte'
import { notOpen, onLine, predicted, three, type Exercise } from './exercise'
import { put } from './kept.svelte'

const set = () => {
  const path = picked.path(undefined)
  const undo = put(picked, { fresh: 0, rate: null })
  picked.pick('')
  return () => {
    undo()
    picked.pick(path)
  }
}

export const update: Exercise[] = [
  {
    id: 'the-steepest',
    title: 'The steepest of all',
    kind: 'find the number',
    hard: 2,
    stage: { section: 7, word: 'emma', set },
    question: 'Open the parameter that the loss of `{word}` answers to most strongly.',
    hint: {
      plain: 'The figure of Adam has a button for the steepest, which tells its name. Then find it by that name.',
      technical: 'The largest |gradient|, over all matrices: the maps show it as the fullest cell.',
    },
    async judge(asked) {
      const { app, ask } = asked
      const gradients = await ask('gradients', { word: app.word })
      const path = steepest(gradients)
      const { grad } = await ask('number', { word: app.word, path })
      if (app.number === path)
        return {
          right: true,
          says: '`{path}` has the gradient {grad}: none is larger.',
          facts: { path, grad: three(grad) },
        }
      if (!exists(app.number)) return notOpen(asked, 'A parameter is asked for.')
      const own = await ask('number', { word: app.word, path: app.number })
      return {
        right: false,
        says: '`{path}` has the gradient {grad}. There is a steeper one.',
        facts: { path: app.number, grad: three(own.grad) },
      }
    },
  },
  {
    id: 'left-alone',
    title: 'Left alone',
    kind: 'make it so',
    hard: 2,
    stage: { section: 7, word: 'emma', set },
    question:
      'In the figure of Adam, choose a parameter that a first update on `{word}` leaves exactly as it is: one with a Δ of 0, with Adam’s memory empty.',
    hint: {
      plain:
        'What the word does not touch gets no blame, and what gets no blame stays. The memory of earlier steps must be empty, though: there is a choice for that.',
      technical:
        'Without gradient, m̂ = 0 if m was 0. With the memory of 1,000 steps an untouched row still moves a little.',
    },
    async judge({ app, ask }) {
      const gradients = await ask('gradients', { word: app.word })
      const path = picked.path(gradients)
      const { delta, grad, fresh } = await ask('adam', { word: app.word, path, ...picked.options })
      const facts = { path, delta: three(delta), grad: three(grad) }
      if (delta !== 0)
        return {
          right: false,
          says: '`{path}` moves by {delta}, with a gradient of {grad}' + (fresh ? '.' : ' and what Adam remembers.'),
          facts,
        }
      return { right: true, says: '`{path}` has a gradient of {grad}, and moves by {delta}.', facts }
    },
  },
  {
    id: 'the-first-stride',
    title: 'How long is the first stride?',
    kind: 'predict',
    hard: 3,
    stage: { section: 7, word: 'emma', set },
    question:
      'With an empty memory and a learning rate of {rate}, Adam updates the weight with the steepest gradient, {grad}. How far does the weight move?',
    async facts({ app, ask }) {
      const path = steepest(await ask('gradients', { word: app.word }))
      const { grad, learning_rate } = await ask('adam', { word: app.word, path, fresh: true })
      return { rate: String(learning_rate), grad: three(grad) }
    },
    async options({ app, ask }) {
      const path = steepest(await ask('gradients', { word: app.word }))
      const { plain, delta, grad } = await ask('adam', { word: app.word, path, fresh: true })
      return [
        { value: 'plain', text: `${show6(Math.abs(plain))}: rate times gradient` },
        { value: 'delta', text: `${show6(Math.abs(delta))}: the rate itself` },
        { value: 'grad', text: `${show6(Math.abs(grad))}: the gradient itself` },
      ]
    },
    hint: {
      plain: 'Adam divides the average gradient by its usual size. After one step, what is the one and what the other?',
      technical: 'm̂ = g and v̂ = g², so m̂ / √v̂ = ±1.',
    },
    async judge(asked) {
      const { app, ask } = asked
      const path = steepest(await ask('gradients', { word: app.word }))
      const { delta, learning_rate, m_hat, v_hat } = await ask('adam', { word: app.word, path, fresh: true })
      const answer = Math.abs(Math.abs(delta) - learning_rate) < 1e-6 ? 'delta' : 'plain'
      return predicted(
        asked,
        answer,
        'It moves by {delta}: m̂ is {m} and v̂ is {v}, which is its square: one by the root of the other is 1 but for the sign.',
        {
          delta: show6(delta),
          m: three(m_hat),
          v: three(v_hat),
        },
      )
    },
  },
  {
    id: 'an-update-too-far',
    title: 'Too far',
    kind: 'make it so',
    hard: 2,
    stage: { section: 7, word: 'emma', set },
    question: 'Choose a learning rate with which one update on `{word}` makes its loss larger instead of smaller.',
    hint: {
      plain: 'A stride that is too long comes down on the other side of the valley, and higher up.',
      technical: 'The gradient is the slope at one point. Try rates of 1 and more.',
    },
    async judge({ app, ask }) {
      const { loss_before, loss_after, learning_rate } = await ask('update', {
        word: app.word,
        what: [],
        ...picked.options,
      })
      const facts = { rate: String(learning_rate), before: three(loss_before), after: three(loss_after) }
      if (loss_after <= loss_before)
        return { right: false, says: 'With a rate of {rate} the loss goes from {before} to {after}.', facts }
      return {
        right: true,
        says: 'With a rate of {rate} the loss goes from {before} to {after}: uphill, though every weight went downhill.',
        facts,
      }
    },
  },
  {
    id: 'where-the-weight-moves',
    title: 'Where the weight moves',
    kind: 'find the line',
    hard: 1,
    stage: { section: 7 },
    question: 'All of training comes down to one line, in which a weight is changed. Which?',
    hint: { plain: 'Against the gradient: so with a minus.', technical: 'In adam: p.data, m̂ and √v̂.' },
    judge: onLine(['p.data -= learning_rate'], 'everything else is there to find out by how much.'),
  },
]

function show6(x: number): string {
  return Math.abs(x).toFixed(6)
}
