// The moments of an expression's two passes: forward, each computes a node; backward, each is one += on a gradient.

import type { Expression } from '../../engine/protocol'

export type Moment =
  | { is: 'inputs' }
  | { is: 'value'; node: number }
  | { is: 'result' } // it gets its gradient, which is 1
  | { is: 'gradient'; step: number }

/** Return the moments in the engine's order: the inputs, each operation's value, the result's gradient, which is 1, and
 * each contribution to a gradient. */
export function moments({ nodes, backward }: Pick<Expression, 'nodes' | 'backward'>): Moment[] {
  return [
    { is: 'inputs' },
    ...nodes.filter(({ operands }) => operands.length).map(({ id }) => ({ is: 'value' as const, node: id })),
    { is: 'result' },
    ...backward.map((_, step) => ({ is: 'gradient' as const, step })),
  ]
}

/** Return the operand of each contribution as its index in the node's operands: a node may use an operand twice. */
export function operandsOf({ nodes, backward }: Pick<Expression, 'nodes' | 'backward'>): number[] {
  const met: Record<string, number> = {}
  return backward.map(({ node, operand }) => {
    const places = nodes[node].operands.flatMap(({ id }, i) => (id === operand ? [i] : []))
    const count = (met[`${node} ${operand}`] = (met[`${node} ${operand}`] ?? -1) + 1)
    return places[count % places.length]
  })
}
