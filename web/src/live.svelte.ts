// A session response that stays up to date: it is requested again whenever anything that it depends on changes.

import { untrack } from 'svelte'
import type { Stream } from './engine/client'
import { client } from './engine/page'
import { guardTensors } from './engine/missing'
import type { Method, Requests, Streams } from './engine/protocol'
import { latest } from './latest'
import text from './parts/text'
import { app } from './state.svelte'
import { say } from './texts/say'

export interface Live<T> {
  readonly value: T | undefined // the last response, shown until the next response arrives, to keep the layout still
  readonly error: string // why the last request failed, or an empty string
  readonly waiting: boolean
}

/** Keep a response up to date while the component lives. `params` returns null if there is nothing to ask yet.
 *
 * Only one request is open at a time. While a slider moves, responses arrive as fast as they are computed, and only the
 * latest of the waiting requests is sent.
 */
export function live<M extends Method>(
  method: M,
  params: () => Requests[M]['params'] | null,
): Live<Requests[M]['result']> {
  let value = $state.raw<Requests[M]['result']>()
  let error = $state('')
  let waiting = $state(false)
  const begin = latest() // with each model, and whenever there is nothing to ask
  let current = begin()
  let asked = 0 // the number of requests so far
  let shown = 0 // the number of the request that `value` and `error` belong to
  let open = 0 // the number of unanswered requests
  let next: (() => void) | undefined

  function ask(request: Requests[M]['params']): void {
    const number = ++asked
    const wanted = current
    const answered = (show: () => void) => {
      if (!wanted() || number < shown) return
      shown = number
      show()
    }
    open += 1
    waiting = true
    client
      .ask(method, request)
      .then(
        (response) => answered(() => ([value, error] = [app.model?.program ? guardTensors(response) : response, ''])),
        ({ message }: Error) =>
          answered(() => (error = value === undefined ? message : say(text.figure.earlier, { message }))),
      )
      .finally(() => {
        open -= 1
        const waits = next
        next = undefined
        waits?.()
        waiting = open > 0
      })
  }

  let version: number | undefined
  $effect(() => {
    const request = params()
    if (app.version !== version) {
      version = app.version // a changed model changes every response
      current = begin()
    }
    next = undefined
    if (request === null) current = begin()
    // before Python is ready, do not queue: a request that waits for Python would block requests for the snapshot
    else if (open && untrack(() => app.phase) === 'ready') next = () => ask(request)
    else ask(request)
  })
  $effect(() => () => {
    next = undefined
    begin()
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

const leading = latest()

/** Begin a series of changes that leads to another model: an earlier series stops, and its later changes are dropped.
 *
 * Return a function that returns whether this series may go on.
 */
export function lead(): () => boolean {
  const wanted = leading()
  app.work?.stop()
  return wanted
}

type Change = 'edit' | 'change' | 'undo' | 'reset' | 'pretrained' | 'scrub' | 'choose' | 'load_data' | 'open_run'

// The settings of the runs that a link can reproduce: runs started here on the names that come with the package.
const repeatable = new Map<string, string>()
// The settings of runs that continued a pretrained run: a link cannot reproduce their weights, but new runs start
// from these settings.
const branched = new Map<string, string>()
export const DEFAULT = 'names' // the id of the run that the page opens with
export const PUBLISHED = 'published' // the id of the run that the page's names did not train

const settingsOf = (run = ''): string | undefined =>
  run === DEFAULT || run === PUBLISHED ? '{}' : (repeatable.get(run) ?? branched.get(run))

/** Send a request that changes the model, and update every live response and the link. */
export async function change<M extends Change>(method: M, params: Requests[M]['params']): Promise<void> {
  app.notice = ''
  const model = await client.ask(method, params)
  const from = app.model?.run // only now: responses arrive in the order of the changes
  app.model = model
  // a new run, and its link, inherit the current run's setting wherever the request omits a setting; a run on another
  // text has no link
  const settings = settingsOf(from)
  const { config } = params as Requests['reset']['params']
  if (method === 'reset' && settings) {
    const val_fraction = model.val_fraction || undefined // a link without it holds nothing out
    repeatable.set(model.run, JSON.stringify({ ...JSON.parse(settings), ...config, val_fraction }))
  }
  link()
}

/** Like change, but for a button, which cannot show an error: the page header shows the error. */
export async function attempt<M extends Change>(method: M, params: Requests[M]['params']): Promise<void> {
  try {
    await change(method, params)
  } catch (reason) {
    app.notice = (reason as Error).message
  }
}

/** Update the link to describe the current model. */
export function link(): void {
  const config = app.model ? repeatable.get(app.model.run) : undefined
  app.run = app.model?.run === PUBLISHED ? PUBLISHED : ''
  app.step = config === undefined ? -1 : app.model!.step
  app.config = config === undefined || config === '{}' ? '' : config!
}

/** Train the active run; `ended` settles when the training has finished or was stopped.
 *
 * With `watch`, the number of steps between close-ups, the training is paced: it waits until `next` asks for each event.
 */
export function train(
  steps: number,
  perEvent: number | undefined,
  onEvent: (event: Streams['train']['result']) => void,
  watch?: number,
): Stream {
  app.notice = ''
  const from = app.model?.run
  const params = { steps, ...(perEvent && { per_event: perEvent }), ...(watch && { watch }) }
  const onResult = (event: Streams['train']['result']) => {
    const settings = settingsOf(from)
    if (from !== event.run && settings) branched.set(event.run, settings)
    onEvent(event)
  }
  const stream = client.stream('train', params, onResult, watch !== undefined)
  const ended = stream.ended.finally(async () => {
    app.model = await client.ask('model', {})
    link()
  })
  return { ...stream, ended }
}
