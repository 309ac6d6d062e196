// The layer and the head that this section shows, limited to the current model's layers and heads.

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
