// The nodes and edges of a drawn graph, and what travels along its edges.

import type { Num } from '../engine/protocol'

export interface GraphNode {
  id: string
  op: string // the operation that computed the node: '+', '×', ...; '' for a leaf
  leaf?: 'weight' // the kind of leaf, if it is not an input
  name: string
  unnamed?: boolean // whether the name does not come from the program
  value?: Num // undefined: not computed yet
  grad?: Num // undefined: no gradient has arrived yet
  path: string // the value's path; with the prefix `grad `, the gradient's path
  gradPath?: string // the gradient's path while it is incomplete
  constant?: boolean
  turn?: boolean // whether the node is computing its value or passing its gradient on
  given?: boolean // whether the node is receiving a contribution
  result?: boolean
}

export interface GraphEdge {
  from: string // the operand
  to: string
  local?: Num // d to / d from; undefined: not computed yet
  path: string
  active?: boolean
  done?: boolean
}

/** A number on its way along an edge. */
export interface GraphPill {
  kind: 'value' | 'gradient'
  edge: number // the index of its edge
  along: number // 0 at the operand, 1 at the node
  sign?: string // what is done with the number
  value: Num
  path: string
}

const SIGNS: Record<string, string> = { add: '+', mul: '×', '*': '×', pow: 'xⁿ', relu: 'ReLU' }

/** Return the label of a node's origin: an operation (its name in the trace or its sign in the code) or a leaf. */
export function made(op: string): Pick<GraphNode, 'op' | 'leaf'> {
  if (op === 'parameter') return { op: '', leaf: 'weight' }
  if (op === 'constant') return { op: '' }
  return { op: SIGNS[op] ?? op }
}
