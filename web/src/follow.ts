// A link that speaks of a model: it is trained here once more, to the same bits.

import { change, link, PUBLISHED, train } from './live.svelte'
import { app, type Saved } from './state.svelte'

export async function follow({ config, step }: Saved): Promise<void> {
  if (step < 0) return
  const before = app.model?.run
  try {
    const settings = JSON.parse(config || '{}')
    // the link leaves out what is as in the pretrained model; another run would hand on its own settings and text
    if (app.model?.run !== PUBLISHED) await change('pretrained', {})
    await change('reset', { config: settings })
    if (step > 0) await again(step)
  } catch (reason) {
    // somebody has changed the link by hand: the model stays what it was
    if (before && app.model?.run !== before) await change('choose', { run: before })
    link()
    app.notice = `The link's model cannot be made: ${(reason as Error).message}`
  }
}

/** Train so many steps; the head of the page says how far it is, and stops it. */
async function again(steps: number): Promise<void> {
  const { stop, ended } = train(steps, undefined, (event) => (app.work = { ...app.work!, done: event.step }))
  app.work = { done: 0, steps, stop }
  try {
    await ended
  } finally {
    app.work = null
  }
}
