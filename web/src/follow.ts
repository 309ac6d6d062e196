// A link that speaks of a model: it is trained here once more, to the same bits.

import { change, train } from './live.svelte'
import type { Saved } from './state.svelte'

export async function follow({ config, step }: Saved): Promise<void> {
  if (step < 0) return
  let settings = {}
  try {
    settings = JSON.parse(config || '{}')
  } catch {
    return // somebody has changed the link by hand: the pretrained model stays
  }
  await change('reset', { config: settings })
  if (step > 0) await train(step, undefined, () => {}).ended
}
