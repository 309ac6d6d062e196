// Sets the stage of an exercise (its section, word and model), or returns a link that sets it.

import { follow } from '../follow'
import { change, DEFAULT, lead } from '../live.svelte'
import { app, read, write } from '../state.svelte'
import type { Exercise } from './exercise'
import { kept } from './kept.svelte'
import { seen } from './seen.svelte'
import { shelf } from './shelf.svelte'

/** Return a link that opens the page with the stage set. */
export function linkTo({ id, stage }: Exercise): string {
  const { config, set, ...rest } = stage
  return write({
    ...read(''),
    ...rest,
    config: config && Object.keys(config).length ? JSON.stringify(config) : '',
    exercise: id,
  })
}

/** Set the stage. If the exercise needs a model other than the current model, load or train that model. */
export const begin = (exercise: Exercise): Promise<void> => kept.during(setStage(exercise))

async function setStage({ id, stage: { set, config, step, ...rest } }: Exercise): Promise<void> {
  kept.keep()
  const wanted = lead()
  Object.assign(app, rest, { exercise: id, play: '', number: '', lines: [] })
  seen.line = 0
  shelf.stages += 1
  kept.addUndo(set?.())
  if (app.phase !== 'ready') return // without Python, only the page's own model is available
  if (step !== undefined) return follow({ ...app.saved, config: JSON.stringify(config ?? {}), step })
  const { run, step: at, num_steps } = app.model ?? {}
  if (run !== DEFAULT || at !== num_steps) await change('pretrained', {})
  if (wanted() && app.model?.changes.length) await change('undo', {})
}
