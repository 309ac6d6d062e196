import { exists, picked, steepest } from '../sections/7-update/picked.svelte'
import { say } from '../texts/say'
import { notOpen, onLine, predicted, three, type Exercise } from './exercise'
import text from './7-update.text'
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
    title: text.steepest.title,
    kind: 'find the number',
    hard: 2,
    stage: { section: 7, word: 'emma', set },
    question: text.steepest.question,
    hint: text.steepest.hint,
    async judge(asked) {
      const { app, ask } = asked
      const gradients = await ask('gradients', { word: app.word })
      const path = steepest(gradients)
      const { grad } = await ask('number', { word: app.word, path })
      if (app.number === path)
        return {
          right: true,
          says: text.steepest.right,
          facts: { path, grad: three(grad) },
        }
      if (!exists(app.number)) return notOpen(asked, text.steepest.parameter)
      const own = await ask('number', { word: app.word, path: app.number })
      return {
        right: false,
        says: text.steepest.other,
        facts: { path: app.number, grad: three(own.grad) },
      }
    },
  },
  {
    id: 'left-alone',
    title: text.alone.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 7, word: 'emma', set },
    question: text.alone.question,
    hint: text.alone.hint,
    async judge({ app, ask }) {
      const gradients = await ask('gradients', { word: app.word })
      const path = picked.path(gradients)
      const { delta, grad, fresh } = await ask('adam', { word: app.word, path, ...picked.options })
      const facts = { path, delta: three(delta), grad: three(grad) }
      if (delta !== 0)
        return {
          right: false,
          says: fresh ? text.alone.moves : text.alone.remembers,
          facts,
        }
      return { right: true, says: text.alone.right, facts }
    },
  },
  {
    id: 'the-first-stride',
    title: text.stride.title,
    kind: 'predict',
    hard: 3,
    stage: { section: 7, word: 'emma', set },
    question: text.stride.question,
    async facts({ app, ask }) {
      const path = steepest(await ask('gradients', { word: app.word }))
      const { grad, learning_rate } = await ask('adam', { word: app.word, path, fresh: true })
      return { rate: String(learning_rate), grad: three(grad) }
    },
    async options({ app, ask }) {
      const path = steepest(await ask('gradients', { word: app.word }))
      const { plain, delta, grad } = await ask('adam', { word: app.word, path, fresh: true })
      return [
        { value: 'plain', text: say(text.stride.plain, { length: show6(plain) }) },
        { value: 'delta', text: say(text.stride.delta, { length: show6(delta) }) },
        { value: 'grad', text: say(text.stride.grad, { length: show6(grad) }) },
      ]
    },
    hint: text.stride.hint,
    async judge(asked) {
      const { app, ask } = asked
      const path = steepest(await ask('gradients', { word: app.word }))
      const { delta, learning_rate, m_hat, v_hat } = await ask('adam', { word: app.word, path, fresh: true })
      const answer = Math.abs(Math.abs(delta) - learning_rate) < 1e-6 ? 'delta' : 'plain'
      return predicted(asked, answer, text.stride.truth, {
        delta: show6(delta),
        m: three(m_hat),
        v: three(v_hat),
      })
    },
  },
  {
    id: 'an-update-too-far',
    title: text.far.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 7, word: 'emma', set },
    question: text.far.question,
    hint: text.far.hint,
    async judge({ app, ask }) {
      const { loss_before, loss_after, learning_rate } = await ask('update', {
        word: app.word,
        what: [],
        ...picked.options,
      })
      const facts = { rate: String(learning_rate), before: three(loss_before), after: three(loss_after) }
      if (loss_after <= loss_before) return { right: false, says: text.far.down, facts }
      return {
        right: true,
        says: text.far.up,
        facts,
      }
    },
  },
  {
    id: 'where-the-weight-moves',
    title: text.line.title,
    kind: 'find the line',
    hard: 1,
    stage: { section: 7 },
    question: text.line.question,
    hint: text.line.hint,
    judge: onLine(['p.data -= learning_rate'], text.line.why),
  },
]

function show6(x: number): string {
  return Math.abs(x).toFixed(6)
}
