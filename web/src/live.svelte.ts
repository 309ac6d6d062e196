// An answer of the session that stays true: asked again whenever what it depends on changes.

import { untrack } from 'svelte'
import type { Stream } from './engine/client'
import { client } from './engine/page'
import { whole } from './engine/missing'
import type { Method, Requests, Streams } from './engine/protocol'
import { app } from './state.svelte'

export interface Live<T> {
  readonly value: T | undefined // the last answer; it stays while the next one is on its way, so that nothing jumps
  readonly error: string // why the last question has no answer
  readonly waiting: boolean
}

/** Ask while the component lives. params: null means that there is nothing to ask yet.
 *
 * One question at a time: while a slider moves, answers come as fast as they are made, and of the questions that wait
 * only the last is asked.
 */
export function live<M extends Method>(
  method: M,
  params: () => Requests[M]['params'] | null,
): Live<Requests[M]['result']> {
  let value = $state.raw<Requests[M]['result']>()
  let error = $state('')
  let waiting = $state(false)
  let alive = true
  let asked = 0 // questions so far
  let shown = 0 // the question that value and error answer
  let current = 0 // the first question about the model as it is now
  let open = 0 // questions on their way
  let next: (() => void) | undefined

  function ask(question: Requests[M]['params']): void {
    const number = ++asked
    const answered = (show: () => void) => {
      if (!alive || number < Math.max(shown, current)) return
      shown = number
      show()
    }
    open += 1
    waiting = true
    client
      .ask(method, question)
      .then(
        (answer) => answered(() => ([value, error] = [app.model?.program ? whole(answer) : answer, ''])),
        (reason: Error) => answered(() => (error = reason.message)),
      )
      .finally(() => {
        open -= 1
        const waits = next
        next = undefined
        if (alive) waits?.()
        waiting = open > 0
      })
  }

  let version: number | undefined
  $effect(() => {
    const question = params()
    if (app.version !== version) {
      version = app.version // a changed model changes every answer
      current = asked + 1
    }
    next = undefined
    if (question === null) current = asked + 1
    // before Python is there, one that has to wait for it would keep others from the answers that are there already
    else if (open && untrack(() => app.phase) === 'ready') next = () => ask(question)
    else ask(question)
  })
  $effect(() => () => (alive = false))
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

type Change = 'edit' | 'change' | 'undo' | 'reset' | 'pretrained' | 'scrub' | 'choose' | 'load_data' | 'open_run'

// The settings of runs that a link can repeat: begun here, on the names that come with the package.
const repeatable = new Map<string, string>()
// Those of runs that the pretrained one went on as: no link makes their weights again, but what is begun from them is plain.
const branched = new Map<string, string>()
export const PUBLISHED = 'published' // the id of the pretrained run

const settingsOf = (run = ''): string | undefined =>
  run === PUBLISHED ? '{}' : (repeatable.get(run) ?? branched.get(run))

/** A request that changes the model: every live answer follows, and the link too, where it can say it. */
export async function change<M extends Change>(method: M, params: Requests[M]['params']): Promise<void> {
  app.notice = ''
  const from = app.model?.run
  app.model = await client.ask(method, params)
  // a new run takes over what it was not told from the run at hand, and so does its link; over another text there is none
  const settings = settingsOf(from)
  const { config, val_fraction } = params as Requests['reset']['params']
  // nor does a link tell of documents that are held out
  if (method === 'reset' && settings && !val_fraction)
    repeatable.set(app.model.run, JSON.stringify({ ...JSON.parse(settings), ...config }))
  link()
}

/** The same for a button, which has nowhere to say what went wrong: the head of the page says it. */
export async function attempt<M extends Change>(method: M, params: Requests[M]['params']): Promise<void> {
  try {
    await change(method, params)
  } catch (reason) {
    app.notice = (reason as Error).message
  }
}

/** Let the link speak of the model at hand. */
export function link(): void {
  const config = app.model && repeatable.get(app.model.run)
  app.step = config === undefined ? -1 : app.model!.step
  app.config = config === undefined || config === '{}' ? '' : config!
}

/** Train the active run; ended settles when it is done or was stopped. */
export function train(
  steps: number,
  perEvent: number | undefined,
  onEvent: (event: Streams['train']['result']) => void,
): Stream {
  app.notice = ''
  const from = app.model?.run
  const params = perEvent ? { steps, per_event: perEvent } : { steps }
  const stream = client.stream('train', params, onEvent)
  const ended = stream.ended.finally(async () => {
    app.model = await client.ask('model', {})
    const settings = settingsOf(from)
    if (from !== app.model.run && settings) branched.set(app.model.run, settings)
    link()
  })
  return { stop: stream.stop, ended }
}
