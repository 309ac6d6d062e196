// Reproduces the model that a link describes by repeating its training, which gives the same weights bit for bit.

import { change, link, PUBLISHED, train } from './live.svelte'
import { app, type Saved } from './state.svelte'

export async function follow({ config, step }: Saved): Promise<void> {
  if (step < 0) return
  const before = app.model?.run
  try {
    const settings = JSON.parse(config || '{}')
    // a link contains only differences from the pretrained model; another run's settings and text would be inherited
    if (app.model?.run !== PUBLISHED) await change('pretrained', {})
    await change('reset', { config: settings })
    if (step > 0) await retrain(step)
  } catch (reason) {
    // the link was edited by hand: keep the current model
    if (before && app.model?.run !== before) await change('choose', { run: before })
    link()
    app.notice = `The model in this link cannot be reproduced: ${(reason as Error).message}`
  }
}

/** Train for a number of steps. The page header shows the progress and can stop it. */
async function retrain(steps: number): Promise<void> {
  const { stop, ended } = train(steps, undefined, (event) => (app.work = { ...app.work!, done: event.step }))
  app.work = { done: 0, steps, stop }
  try {
    await ended
  } finally {
    app.work = null
  }
}
