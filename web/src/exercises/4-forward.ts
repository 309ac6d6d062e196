import text from './4-forward.text'
import { notOpen, onLine, three, type Exercise } from './exercise'

export const forward: Exercise[] = [
  {
    id: 'a-unit-that-stays-shut',
    title: text.shut.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 4, word: 'emma', position: 3 },
    question: text.shut.question,
    hint: text.shut.hint,
    async judge({ app, seen, ask }) {
      const layer = Math.min(app.layer, app.model!.config.n_layer - 1)
      const { open } = await ask('gate', { word: app.word, layer })
      const times = open.filter((row) => row[seen.unit]).length
      const facts = { unit: String(seen.unit), times: String(times), positions: String(open.length) }
      if (!open[0] || !(seen.unit in open[0])) return { right: false, says: text.shut.none }
      if (times) return { right: false, says: text.shut.opens, facts }
      return {
        right: true,
        says: text.shut.right,
        facts,
      }
    },
  },
  {
    id: 'find-the-dead-units',
    title: text.dead.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 4, word: 'emma', position: 3, config: { learning_rate: 0.15 }, step: 100 },
    question: text.dead.question,
    hint: text.dead.hint,
    async judge({ app, seen, ask }) {
      const layer = Math.min(app.layer, app.model!.config.n_layer - 1)
      const { dead, documents } = await ask('gate', { word: app.word, layer })
      const facts = { unit: String(seen.unit), dead: String(dead.length), documents: documents.toLocaleString('en') }
      if (!dead.length)
        return {
          right: false,
          says: text.dead.none,
        }
      if (!dead.includes(seen.unit)) return { right: false, says: text.dead.alive, facts }
      return {
        right: true,
        says: text.dead.right,
        facts,
      }
    },
  },
  {
    id: 'a-number-cut-to-zero',
    title: text.zero.title,
    kind: 'find the number',
    hard: 1,
    stage: { section: 4, word: 'emma', position: 3 },
    question: text.zero.question,
    hint: text.zero.hint,
    async judge(asked) {
      const { app, ask } = asked
      if (!/\.mlp_act\[\d+\]$/.test(app.number)) return notOpen(asked, text.zero.wanted)
      const { value, operands } = await ask('number', { word: app.word, path: app.number })
      const facts = { path: app.number, value: three(value), before: three(operands[0].value) }
      if (value !== 0) return { right: false, says: text.zero.open, facts }
      return { right: true, says: text.zero.right, facts }
    },
  },
  {
    id: 'one-weight-for-the-better',
    title: text.better.title,
    kind: 'make it so',
    hard: 3,
    stage: { section: 4, word: 'emma' },
    question: text.better.question,
    hint: text.better.hint,
    async judge({ app, ask }) {
      const changes = app.model!.changes
      if (changes.length !== 1)
        return {
          right: false,
          says: changes.length ? text.better.many : text.better.none,
        }
      const { tensors, before } = await ask('forward', { word: app.word })
      const now = tensors.loss.data[0]
      const was = before.loss?.[0] ?? now
      const facts = { path: changes[0].path, was: three(was), now: three(now) }
      if (was - now < 0.1) return { right: false, says: text.better.less, facts }
      return {
        right: true,
        says: text.better.right,
        facts,
      }
    },
  },
  {
    id: 'a-change-that-spares-the-first',
    title: text.later.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 4, word: 'emma' },
    question: text.later.question,
    hint: text.later.hint,
    async judge({ app, ask }) {
      if (!app.model!.changes.length) return { right: false, says: text.later.none }
      const { before, positions } = await ask('forward', { word: app.word })
      const touched = new Set(Object.keys(before).map((name) => name.split('.')[0]))
      const later = Array.from({ length: positions - 1 }, (_, i) => `pos${i + 1}`).filter((name) => touched.has(name))
      const facts = { later: String(later.length), all: String(positions - 1), path: app.model!.changes[0].path }
      if (touched.has('pos0')) return { right: false, says: text.later.first, facts }
      if (later.length < positions - 1)
        return {
          right: false,
          says: text.later.some,
          facts,
        }
      return {
        right: true,
        says: text.later.right,
        facts,
      }
    },
  },
  {
    id: 'keep-the-original',
    title: text.keep.title,
    kind: 'find the line',
    hard: 1,
    stage: { section: 4 },
    question: text.keep.question,
    hint: text.keep.hint,
    judge: onLine(['x = [a + b for a, b in zip(x, x_residual)]'], text.keep.why),
  },
]
