// The moments of the two passes: every node once, every contribution once, and each on an edge of its own.

import { expect, test } from 'vitest'
import type { Expression } from '../../engine/protocol'
import { moments, operandsOf } from './passes'

const node = (id: number, ...operands: number[]) =>
  ({ id, operands: operands.map((id) => ({ id, local: 1 })) }) as unknown as Expression['nodes'][number]
const move = (node: number, operand: number) => ({ node, operand }) as Expression['backward'][number]

// n1 = x * x; y = n1 + x
const TWICE = { nodes: [node(0), node(1, 0, 0), node(2, 1, 0)], backward: [[2, 1], [2, 0], [1, 0], [1, 0]].map(([a, b]) => move(a, b)) } // prettier-ignore

test('values come in the order of the operations, then the result has its gradient, and then each += is a moment', () => {
  expect(moments(TWICE)).toEqual([
    { is: 'inputs' },
    { is: 'value', node: 1 },
    { is: 'value', node: 2 },
    { is: 'result' },
    ...[0, 1, 2, 3].map((step) => ({ is: 'gradient', step })),
  ])
})

test('a node that uses an operand twice passes its gradient on along both edges, each time that it does', () => {
  expect(operandsOf(TWICE)).toEqual([0, 1, 0, 1])
  expect(operandsOf({ ...TWICE, backward: [...TWICE.backward, ...TWICE.backward] })).toEqual([0, 1, 0, 1, 0, 1, 0, 1])
})

test('an input that is the result has two moments', () => {
  expect(moments({ nodes: [node(0)], backward: [] })).toEqual([{ is: 'inputs' }, { is: 'result' }])
})
