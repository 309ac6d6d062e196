// Drops what arrives too late: a module, a file or a response that was requested for a state that the reader has left.

import { untrack } from 'svelte'

/** Return a function that begins a piece of work and returns whether that work is still wanted when its result arrives.
 *
 * Work is wanted until the next piece begins or until `of`, a part of the state, has changed. An effect begins a piece
 * each time that it runs, and returns `begin` as its teardown: nothing is wanted once the component is gone.
 */
export function latest(of: () => unknown = () => undefined): () => () => boolean {
  let begun = 0
  return () => {
    const number = ++begun
    const before = untrack(of)
    return () => number === begun && untrack(of) === before
  }
}
