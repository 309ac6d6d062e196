import { chosen as expression, presets } from '../sections/2-value/expression.svelte'
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
    title: 'A flat place',
    kind: 'make it so',
    hard: 1,
    stage: { section: 2, set },
    question:
      'Take the preset *x used twice*, and push x to where a small change of it does nothing: where its gradient is 0.',
    hint: {
      plain: 'y = x · x + x is a bowl. At its lowest point it is flat.',
      technical: 'dy/dx = 2x + 1.',
    },
    async judge(all) {
      const { check } = await asked(all)
      const x = check.find(({ name }) => name === 'x')
      if (!x || !/^y = x \* x \+ x$/.test(expression.source.trim()))
        return { right: false, says: 'Another expression is chosen: take the preset *x used twice*.' }
      const facts = { x: three(expression.inputs.x), grad: three(x.grad) }
      if (Math.abs(Number(x.grad)) > 1e-9) return { right: false, says: 'At x = {x} the gradient is {grad}.', facts }
      return {
        right: true,
        says: 'At x = {x} the gradient is {grad}: the two ways by which x reaches y cancel.',
        facts,
      }
    },
  },
  {
    id: 'shut-the-neuron',
    title: 'Shut the neuron',
    kind: 'make it so',
    hard: 2,
    stage: { section: 2, set },
    question:
      'Take the preset *a neuron*, and push the sliders until no gradient at all reaches its weights, although its inputs are not 0.',
    hint: {
      plain: 'ReLU is a gate: what is below zero does not get through, and neither does the blame.',
      technical: 'relu’s local gradient is 0 below 0: make w1·x1 + w2·x2 + b negative, with a low b.',
    },
    async judge(all) {
      const { check, nodes } = await asked(all)
      const grad = (name: string) => Number(check.find((one) => one.name === name)?.grad ?? NaN)
      if (!nodes.some(({ op }) => op === 'relu') || !expression.names.includes('w1'))
        return { right: false, says: 'Another expression is chosen: take the preset *a neuron*.' }
      const facts = { grad: three(grad('w1')), x1: three(expression.inputs.x1) }
      if (!expression.inputs.x1 || !expression.inputs.x2)
        return {
          right: false,
          says: 'An input is 0: that alone takes the gradient of its weight. Let both inputs be something.',
        }
      if (grad('w1') !== 0 || grad('w2') !== 0)
        return { right: false, says: 'The gradient of w1 is {grad}: the gate is open.', facts }
      return {
        right: true,
        says: 'The gradient of w1 is exactly {grad}, with x1 at {x1}: the gate is shut, and such a neuron learns nothing from this.',
        facts,
      }
    },
  },
  {
    id: 'break-backward',
    title: 'Break backward',
    kind: 'make it so',
    hard: 1,
    stage: { section: 2, set },
    question: 'Change how backward works, below the graph, so that the gradients are wrong for the expression at hand.',
    hint: {
      plain: 'There are three things to choose: what is done with what arrives, in which order, and how often.',
      technical: 'With an input that is used twice, = instead of += forgets one of the two paths.',
    },
    async judge({ ask, seen }) {
      const { right, check } = await ask('expression', {
        source: expression.source,
        inputs: { ...expression.inputs },
        ...seen.backward,
      })
      const off = check.find(({ grad, difference }) => Math.abs(Number(grad) - Number(difference)) > 1e-4)
      if (right || !off) return { right: false, says: 'Every gradient is what a small push shows.' }
      return {
        right: true,
        says: '{name}.grad ends at {grad}, while a small push shows {slope}.',
        facts: { name: off.name, grad: three(off.grad), slope: three(off.difference) },
      }
    },
  },
  {
    id: 'backward-twice',
    title: 'Backward twice',
    kind: 'predict',
    hard: 3,
    stage: { section: 2 },
    question:
      'For y = x · x + x at x = 1.5, backward gives x the gradient {once}. If backward runs a second time over the same graph, what does x.grad stand at?',
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
    hint: {
      plain: 'Nothing sets the gradients back to zero between the two. And x · x has kept its own from the first time.',
      technical:
        'Not only leaves accumulate: the inner node passes on its old gradient and the new one, so that it is more than double.',
    },
    async judge(all) {
      const { check } = await all.ask('expression', { source: 'y = x * x + x', inputs: { x: 1.5 }, times: 2 })
      const truth =
        'It stands at {twice}: the inner number had kept its gradient, and passed on both. That is why `adam` sets every gradient to 0.'
      return predicted(all, String(Number(check[0].grad)), truth, { twice: three(check[0].grad) })
    },
  },
  {
    id: 'where-blame-adds-up',
    title: 'Where blame adds up',
    kind: 'find the line',
    hard: 1,
    stage: { section: 2 },
    question: 'In which line does a number get a share of the gradient added to what it has?',
    hint: {
      plain: 'It is at the end of backward, and it says += twice, once for each operand. Either will do.',
      technical: 'local gradient times the gradient from above.',
    },
    judge: onLine(['node.a.grad += ', 'node.b.grad += '], 'with = in place of += only the last path would count.'),
  },
]
