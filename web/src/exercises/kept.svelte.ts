// The reader's state before an exercise set its stage. Leaving the exercise restores that state.

import type { Model } from '../engine/protocol'
import { change, lead } from '../live.svelte'
import { app } from '../state.svelte'
import { say } from '../texts/say'
import text from './text'

const PLACE = ['word', 'position', 'layer', 'head'] as const

interface Stored {
  place: Pick<typeof app, (typeof PLACE)[number]>
  model: typeof app.model
  undo: (() => void)[] // reverts what stages have set in figures, latest first
}

class Kept {
  #before = $state.raw<Stored | null>(null)
  #restoring: Stored | null = null // what has not been restored completely
  #stage: Promise<unknown> = Promise.resolve() // the latest stage

  /** Store the current state before a stage is set. Within a series of exercises, only the first exercise stores it. */
  keep(): void {
    if (app.exercise) return
    if (this.#restoring) return void (this.#before = this.#restoring) // its restoration is dropped
    const place = Object.fromEntries(PLACE.map((name) => [name, app[name]])) as Stored['place']
    this.#before = { place, model: app.model, undo: [] }
  }
  /** Add a function that reverts what a stage has set in figures. */
  addUndo(undo: (() => void) | undefined): void {
    if (this.#before && undo) this.#before = { ...this.#before, undo: [undo, ...this.#before.undo] }
  }
  /** Remember the stage that is being set, since setting it may train a model; `restore` waits for the stage. */
  during(stage: Promise<void>): Promise<void> {
    this.#stage = stage.catch(() => {}) // the caller reports the error
    return stage
  }
  /** What `restore` would restore, in words; empty if nothing has changed. */
  get words(): string[] {
    if (!this.#before) return []
    const { place, model } = this.#before
    const words = place.word === app.word ? [] : [say(text.kept.word, { word: place.word })]
    if (!model || !app.model || !differs(model)) return words
    if (model.run !== app.model.run) words.push(say(text.kept.model, { name: model.name }))
    else if (model.step !== app.model.step) words.push(say(text.kept.step, { step: model.step.toLocaleString('en') }))
    else words.push(say(model.changes.length ? text.kept.changed : text.kept.original))
    return words
  }
  /** Keep the current state and discard the stored state. */
  forget(): void {
    this.#before = null
  }
  /** Restore the reader's place, model, step and changed weights. */
  async restore(): Promise<void> {
    const before = this.#before
    if (!before) return
    this.#before = null
    this.#restoring = { ...before, undo: [] }
    for (const undo of before.undo) undo()
    Object.assign(app, before.place)
    const wanted = lead()
    await this.#stage // otherwise its model would arrive later and replace the restored model
    try {
      if (wanted() && before.model) await restoreModel(before.model, wanted)
    } finally {
      if (wanted()) this.#restoring = null
    }
  }
}

async function restoreModel(before: Model, wanted: () => boolean): Promise<void> {
  if (!differs(before)) return
  if (app.model?.run !== before.run) await change('choose', { run: before.run })
  if (wanted() && app.model?.step !== before.step) await change('scrub', { step: before.step })
  if (!wanted() || JSON.stringify(app.model?.changes) === JSON.stringify(before.changes)) return
  if (app.model?.changes.length) await change('undo', {})
  for (const { path, after } of before.changes) if (wanted()) await change('change', { path, value: after })
}

/** Return whether the current model differs from this model in its run, step or changes. */
function differs(before: Model): boolean {
  const [a, b] = [before, app.model].map((model) => model && JSON.stringify([model.run, model.step, model.changes]))
  return !!b && a !== b
}

export const kept = new Kept()

/** Set fields of a state shared by figures. Return a function that restores them. */
export function put<T extends object>(on: T, fields: Partial<T>): () => void {
  const before = Object.fromEntries(Object.keys(fields).map((name) => [name, on[name as keyof T]])) as Partial<T>
  Object.assign(on, fields)
  return () => void Object.assign(on, before)
}
