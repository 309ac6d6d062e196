// Where an exercise begins: the section, the word, the model it is about; as a link, or at once.

import { follow } from '../follow'
import { change, PUBLISHED } from '../live.svelte'
import { app, read, write } from '../state.svelte'
import type { Exercise } from './exercise'
import { kept } from './kept.svelte'
import { seen } from './seen.svelte'
import { shelf } from './shelf.svelte'

/** A link that sets the stage for whoever opens it. */
export function linkTo({ id, stage }: Exercise): string {
  const { config, set, ...rest } = stage
  return write({
    ...read(''),
    ...rest,
    config: config && Object.keys(config).length ? JSON.stringify(config) : '',
    exercise: id,
  })
}

/** Set the stage. The model is made anew where the exercise asks for another than the one at hand. */
export const begin = (exercise: Exercise): Promise<void> => kept.during(setStage(exercise))

async function setStage({ id, stage: { set, config, step, ...rest } }: Exercise): Promise<void> {
  kept.keep()
  Object.assign(app, rest, { exercise: id, play: '', number: '', lines: [] })
  seen.line = 0
  shelf.stages += 1
  kept.also(set?.())
  if (app.phase !== 'ready') return // then the model is the pretrained one
  if (step !== undefined) return follow({ ...app.saved, config: JSON.stringify(config ?? {}), step })
  if (app.model?.run !== PUBLISHED) await change('pretrained', {})
  if (app.model?.changes.length) await change('undo', {})
}
