import { chosen as expression, presets } from '../sections/2-value/expression.svelte'
import text from './2-value.text'
import { onLine, predicted, three, type Asked, type Exercise } from './exercise'

const set = () => {
  const { source, inputs } = expression
  expression.choose(presets[0])
  return () => expression.choose({ source, inputs })
}
const asked = ({ ask }: Asked) => ask('expression', { source: expression.source, inputs: { ...expression.inputs } })

export const value: Exercise[] = [
  {
    id: 'a-flat-place',
    title: text.flat.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 2, set },
    question: text.flat.question,
    hint: text.flat.hint,
    async judge(all) {
      const { check } = await asked(all)
      const x = check.find(({ name }) => name === 'x')
      if (!x || !/^y = x \* x \+ x$/.test(expression.source.trim())) return { right: false, says: text.other.twice }
      const facts = { x: three(expression.inputs.x), grad: three(x.grad) }
      if (Math.abs(Number(x.grad)) > 1e-9) return { right: false, says: text.flat.notYet, facts }
      return {
        right: true,
        says: text.flat.right,
        facts,
      }
    },
  },
  {
    id: 'shut-the-neuron',
    title: text.neuron.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 2, set },
    question: text.neuron.question,
    hint: text.neuron.hint,
    async judge(all) {
      const { check, nodes } = await asked(all)
      const grad = (name: string) => Number(check.find((one) => one.name === name)?.grad ?? NaN)
      if (!nodes.some(({ op }) => op === 'relu') || !expression.names.includes('w1'))
        return { right: false, says: text.other.neuron }
      const facts = { grad: three(grad('w1')), x1: three(expression.inputs.x1) }
      if (!expression.inputs.x1 || !expression.inputs.x2)
        return {
          right: false,
          says: text.neuron.noInput,
        }
      if (grad('w1') !== 0 || grad('w2') !== 0) return { right: false, says: text.neuron.isOpen, facts }
      return {
        right: true,
        says: text.neuron.right,
        facts,
      }
    },
  },
  {
    id: 'break-backward',
    title: text.broken.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 2, set },
    question: text.broken.question,
    hint: text.broken.hint,
    async judge({ ask, seen }) {
      const { right, check } = await ask('expression', {
        source: expression.source,
        inputs: { ...expression.inputs },
        ...seen.backward,
      })
      const off = check.find(({ grad, difference }) => Math.abs(Number(grad) - Number(difference)) > 1e-4)
      if (right || !off) return { right: false, says: text.broken.agree }
      return {
        right: true,
        says: text.broken.right,
        facts: { name: off.name, grad: three(off.grad), slope: three(off.difference) },
      }
    },
  },
  {
    id: 'backward-twice',
    title: text.twice.title,
    kind: 'predict',
    hard: 3,
    stage: { section: 2 },
    question: text.twice.question,
    async facts({ ask }) {
      const { check } = await ask('expression', { source: 'y = x * x + x', inputs: { x: 1.5 } })
      return { once: three(check[0].grad) }
    },
    async options({ ask }) {
      const once = Number((await ask('expression', { source: 'y = x * x + x', inputs: { x: 1.5 } })).check[0].grad)
      const twice = Number(
        (await ask('expression', { source: 'y = x * x + x', inputs: { x: 1.5 }, times: 2 })).check[0].grad,
      )
      return [...new Set([once, 2 * once, twice])].map((x) => ({ value: String(x), text: three(x) }))
    },
    hint: text.twice.hint,
    async judge(all) {
      const { check } = await all.ask('expression', { source: 'y = x * x + x', inputs: { x: 1.5 }, times: 2 })
      return predicted(all, String(Number(check[0].grad)), text.twice.truth, { twice: three(check[0].grad) })
    },
  },
  {
    id: 'where-blame-adds-up',
    title: text.line.title,
    kind: 'find the line',
    hard: 1,
    stage: { section: 2 },
    question: text.line.question,
    hint: text.line.hint,
    judge: onLine(['node.a.grad += ', 'node.b.grad += '], text.line.why),
  },
]
