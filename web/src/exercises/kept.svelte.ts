// What the reader had before an exercise set its stage: it is given back when the exercise is left.

import type { Model } from '../engine/protocol'
import { change } from '../live.svelte'
import { app } from '../state.svelte'

const PLACE = ['word', 'position', 'layer', 'head'] as const

interface Had {
  place: Pick<typeof app, (typeof PLACE)[number]>
  model: typeof app.model
  undo: (() => void)[] // of what stages have put into figures, the first one last
}

class Kept {
  #had = $state.raw<Had | null>(null)
  #stage: Promise<unknown> = Promise.resolve() // the one that was set last

  /** Before a stage is set. From one exercise to the next it stays what it was before the first. */
  keep(): void {
    if (app.exercise) return
    const place = Object.fromEntries(PLACE.map((name) => [name, app[name]])) as Had['place']
    this.#had = { place, model: app.model, undo: [] }
  }
  /** How to put back what a stage has put into a figure. */
  also(undo: (() => void) | undefined): void {
    if (this.#had && undo) this.#had = { ...this.#had, undo: [undo, ...this.#had.undo] }
  }
  /** While this stage is set, which may take a training, nothing can be given back. */
  during(stage: Promise<void>): Promise<void> {
    this.#stage = stage.catch(() => {}) // whoever began it tells
    return stage
  }
  /** What the reader would get back, in words; nothing where all is as it was. */
  get words(): string[] {
    if (!this.#had) return []
    const { place, model } = this.#had
    const words = place.word === app.word ? [] : [`the word “${place.word}”`]
    if (!model || !app.model || !isOther(model)) return words
    if (model.run !== app.model.run) words.push(`the model “${model.name}”`)
    else if (model.step !== app.model.step) words.push(`step ${model.step.toLocaleString('en')} of the run`)
    else words.push(model.changes.length ? 'the weights that you changed' : 'the weights as they were')
    return words
  }
  /** Let the reader go on with what is there now. */
  forget(): void {
    this.#had = null
  }
  async giveBack(): Promise<void> {
    const had = this.#had
    if (!had) return
    this.#had = null
    for (const undo of had.undo) undo()
    Object.assign(app, had.place)
    app.work?.stop()
    await this.#stage // or its model would come after all
    if (!had.model || !isOther(had.model)) return
    if (app.model?.run !== had.model.run) await change('choose', { run: had.model.run })
    if (app.model?.step !== had.model.step) await change('scrub', { step: had.model.step })
    if (JSON.stringify(app.model?.changes) === JSON.stringify(had.model.changes)) return
    if (app.model?.changes.length) await change('undo', {})
    for (const { path, after } of had.model.changes) await change('change', { path, value: after })
  }
}

/** Whether the model at hand is another, or other weights of it. */
function isOther(had: Model): boolean {
  const [a, b] = [had, app.model].map((model) => model && JSON.stringify([model.run, model.step, model.changes]))
  return !!b && a !== b
}

export const kept = new Kept()

/** Set fields of what figures share; gives the way to put back what they were. */
export function put<T extends object>(on: T, fields: Partial<T>): () => void {
  const before = Object.fromEntries(Object.keys(fields).map((name) => [name, on[name as keyof T]])) as Partial<T>
  Object.assign(on, fields)
  return () => void Object.assign(on, before)
}
