// The layer and the head that this section shows, limited to the current model's layers and heads; and the guess at a
// position after a touch.

import type { Guesses } from '../../engine/protocol'
import type { Guess } from '../../parts/Next.svelte'
import { app } from '../../state.svelte'

export const place = {
  get layer() {
    return Math.min(app.layer, (app.model?.config.n_layer ?? 1) - 1)
  },
  get head() {
    return Math.min(app.head, (app.model?.config.n_head ?? 1) - 1)
  },
  /** The components of q, k and v that the head owns. */
  get components(): number[] {
    const size = app.model?.head_dim ?? 0
    return Array.from({ length: size }, (_, j) => this.head * size + j)
  },
}

/** Return the guess at a position, if the response has arrived; `touch` says in its numbers' paths what was changed. */
export function guessed(guesses: Guesses | undefined, t: number, touch: string): Guess | undefined {
  const probs = guesses?.probs[t]
  return probs && { probs, path: `${touch} pos${t}.probs`, moved: guesses.moved[t] }
}
