// The addition of two rows, number by number: each column begins a little after the one before it.

import { part } from '../../motion/ways'

const FALLS = 0.22 // the share of the addition that one number takes

/** Return how far the number of a column has fallen, when `added` of the addition has passed. */
export function fallen(column: number, columns: number, added: number): number {
  const from = ((1 - FALLS) * column) / Math.max(1, columns - 1)
  return added === 1 ? 1 : part(added, from, from + FALLS)
}
