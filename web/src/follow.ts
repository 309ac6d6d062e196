// A link that speaks of a model: it is trained here once more, to the same bits.

import { change, link, train } from './live.svelte'
import { app, type Saved } from './state.svelte'

export async function follow({ config, step }: Saved): Promise<void> {
  if (step < 0) return
  try {
    await change('reset', { config: JSON.parse(config || '{}') })
    if (step > 0) await train(step, undefined, () => {}).ended
  } catch (reason) {
    // somebody has changed the link by hand
    app.notice = `The link's model cannot be made: ${(reason as Error).message}`
    link()
  }
}
