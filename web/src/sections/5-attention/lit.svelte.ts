// The position that a player shows. It begins at the page's position, which the reader chose, and does not change it:
// while the player moves, the other figures stay where they are.

import { app } from '../../state.svelte'

export function lit(positions: () => number): { at: number } {
  let own = $state<number | null>(null)
  $effect.pre(() => {
    void [app.word, app.position]
    own = null
  })
  return {
    get at() {
      return Math.min(own ?? app.position, positions() - 1)
    },
    set at(position: number) {
      own = position
    },
  }
}
