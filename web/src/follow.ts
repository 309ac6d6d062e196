// Reproduces the model that a link describes by repeating its training, which gives the same weights bit for bit.

import { started } from './engine/page'
import { change, DEFAULT, lead, link, PUBLISHED, train } from './live.svelte'
import { app, type Saved } from './state.svelte'

/** Reproduce a link's model, unless the reader opens another link first. A link without a model keeps the model. */
export async function follow({ run, config, step }: Saved): Promise<void> {
  const isEarly = app.phase === 'loading' // an earlier link's model has not been requested yet
  if (step < 0 && !run) {
    if (!isEarly) return
    lead()
    return link()
  }
  const wanted = lead()
  if (isEarly) [app.run, app.step, app.config] = [run, step, config]
  await started
  if (!wanted()) return
  const before = app.model?.run
  try {
    if (step < 0) return await change('pretrained', { run: PUBLISHED })
    const { val_fraction = 0, ...settings } = JSON.parse(config || '{}')
    // a link contains only differences from the page's own model; another run's settings and text would be inherited
    if (app.model?.run !== DEFAULT) await change('pretrained', {})
    if (wanted()) await change('reset', { config: settings, val_fraction })
    if (wanted() && step > 0) await retrain(step)
  } catch (reason) {
    if (!wanted()) return
    // the link was edited by hand: keep the current model
    if (before && app.model?.run !== before) await change('choose', { run: before })
    link()
    app.notice = `The model in this link cannot be reproduced: ${(reason as Error).message}`
  }
}

/** Train for a number of steps. The page header shows the progress and can stop it. */
async function retrain(steps: number): Promise<void> {
  const { stop, ended } = train(steps, undefined, (event) => (app.work = { ...work, done: event.step }))
  const work = { done: 0, steps, stop }
  app.work = work
  try {
    await ended
  } finally {
    if (app.work?.stop === stop) app.work = null
  }
}
