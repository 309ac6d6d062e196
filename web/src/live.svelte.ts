// An answer of the session that stays true: asked again whenever what it depends on changes.

import { client } from './engine/page'
import type { Method, Methods } from './engine/protocol'
import { app } from './state.svelte'

export interface Live<T> {
  readonly value: T | undefined // the last answer; it stays while the next one is on its way, so that nothing jumps
  readonly error: string // why the last question has no answer
  readonly waiting: boolean
}

/** Ask while the component lives. params: null means that there is nothing to ask yet. */
export function live<M extends Method>(method: M, params: () => Methods[M][0] | null): Live<Methods[M][1]> {
  let value = $state.raw<Methods[M][1]>()
  let error = $state('')
  let waiting = $state(false)
  $effect(() => {
    const asked = params()
    void app.version // a changed model changes every answer
    if (asked === null) return
    let current = true
    waiting = true
    client
      .ask(method, asked)
      .then(
        (answer) => {
          if (current) [value, error] = [answer, '']
        },
        (reason: Error) => {
          if (current) error = reason.message
        },
      )
      .finally(() => {
        if (current) waiting = false
      })
    return () => {
      current = false
    }
  })
  return {
    get value() {
      return value
    },
    get error() {
      return error
    },
    get waiting() {
      return waiting
    },
  }
}

/** A request that changes the model: every live answer follows. */
export async function change<M extends 'change' | 'undo' | 'reset' | 'pretrained' | 'scrub' | 'choose' | 'load_data' | 'open_run'>(
  method: M,
  params: Methods[M][0],
): Promise<void> {
  app.model = await client.ask(method, params)
}
