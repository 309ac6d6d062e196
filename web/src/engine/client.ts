// The page's side of the worker: sends requests and receives responses. Until Python is ready, the responses come from the
// snapshot, which the build computed with the same package. A worker that dies or is stopped is replaced by a
// worker with the same state.

import type { SessionResponse, FromWorker, SessionRequest, Stage, ToWorker } from './messages'
import { CHANGES, type Method, type Requests, type Streams } from './protocol'
import { keyOf, Snapshot } from './snapshot'

/** A request that failed; the message is written for the reader. */
export class AskError extends Error {}

export type Status =
  | { state: 'loading'; stage: Stage | 'restore'; restarts: number }
  | { state: 'ready'; took: Record<Stage, number>; restarts: number; lost: string } // lost: why the state was lost, or ''
  | { state: 'failed'; why: string; restarts: number }

export interface Stream {
  /** Ask a paced stream for its next event. */
  next(): void
  /** Stop the stream; no event arrives afterwards. */
  stop(): void
  /** Settles when the stream has ended; rejects with an AskError if it failed. */
  ended: Promise<void>
}

/** A request that has no response yet, or a stream that has not ended. */
interface Pending {
  message: ToWorker
  sent: boolean
  changes: boolean // whether the request changes the model
  tries: number // the number of workers that died while the request was pending
  since: number // ms: the time when it was sent or last answered
  take(response: SessionResponse): void // called once for a request, and once for each response of a stream
  done(): void
  fail(error: AskError): void
}

const QUIET = 300 // ms between a change and saving the state
const BETWEEN_SAVES = 3000 // minimum ms between saves while a stream changes the model
const REMEMBERED = 100 // the maximum number of cached responses
const ATTEMPTS = 3 // consecutive attempts to load

const SAVE: SessionRequest<'save'> = { method: 'save', params: {} }
const STOPPED = 'stopped'
const DIED = 'Python crashed on this request and was restarted with its previous state'
const LOST = 'Python crashed, then crashed again while restoring its state; the latest training and changes are lost'

export class Client {
  status: Status = { state: 'loading', stage: 'python', restarts: 0 }

  #root: string
  #snapshot: Snapshot
  #worker: Worker | undefined
  #attempts = 0
  #restarts = 0
  #took: Record<Stage, number> | undefined
  #listeners = new Set<(status: Status) => void>()
  #lastId = 0
  #pending = new Map<number, Pending>() // in the order in which they were sent
  #streaming = 0
  #responses = new Map<string, Promise<unknown>>() // about the current model
  #pristine = true // whether the model is still the snapshot's
  #state: string | undefined // as last saved
  #since: SessionRequest[] = [] // requests that changed the state after that save, to be repeated after a restore
  #saving: ReturnType<typeof setTimeout> | undefined
  #nextSave = 0
  #lost = ''
  #heard = 0 // ms: when the worker last sent a message

  /** root: the address of the folder that contains pyodide/, microgpt.zip, kernel.wasm and snapshot.json. */
  constructor(root = new URL('.', document.baseURI).href) {
    this.#root = root
    this.#snapshot = new Snapshot(root)
    // render the page before Python occupies the processor
    const start = (): unknown => setTimeout(() => this.#worker ?? this.#start())
    if (document.readyState === 'complete') start()
    else addEventListener('load', start, { once: true })
    Object.assign(globalThis, { lab: this }) // for the console: await lab.ask('forward', { word: 'emma' })
  }

  /** Call the listener now and whenever the status changes. Returns a function that unsubscribes the listener. */
  subscribe(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener)
    listener(this.status)
    return () => void this.#listeners.delete(listener)
  }

  /** Send a request; rejects with an AskError. Equal requests about a model share one response, so do not modify it. */
  ask<M extends Method>(method: M, params: Requests[M]['params']): Promise<Requests[M]['result']> {
    const request: SessionRequest<M> = { method, params: plain(params) }
    if (CHANGES.includes(method)) {
      this.#changing()
      return this.#request(request, true)
    }
    if (method === 'save' || this.#streaming) return this.#request(request)
    const key = keyOf(method, params)
    let response = this.#responses.get(key)
    if (!response) {
      response = this.#pristine && this.status.state !== 'ready' ? this.#early(key, request) : this.#request(request)
      this.#responses.set(key, response)
      if (this.#responses.size > REMEMBERED) this.#responses.delete(this.#responses.keys().next().value!)
    }
    return response as Promise<Requests[M]['result']>
  }

  /** Start a stream of events; other requests are answered in between. A paced stream sends an event only when asked,
   * so that the page sets the pace. */
  stream<S extends keyof Streams>(
    method: S,
    params: Streams[S]['params'],
    onEvent: (event: Streams[S]['result']) => void,
    paced = false,
  ): Stream {
    this.#changing()
    this.#streaming += 1
    const id = ++this.#lastId
    const ended = new Promise<void>((resolve, reject) => {
      this.#add(id, {
        message: { id, stream: { method, params: plain(params) }, ...(paced && { paced }) },
        changes: true,
        take: (response) => {
          if ('error' in response) return reject(new AskError(response.error))
          onEvent(response.result as Streams[S]['result'])
          if (performance.now() > this.#nextSave) void this.#save()
        },
        done: resolve,
        fail: reject,
      })
    }).finally(() => {
      this.#streaming -= 1
      this.#responses.clear()
      void this.#save() // the same request would not repeat these steps
    })
    const next = () => void (this.#pending.get(id)?.sent && this.#worker!.postMessage({ next: id } satisfies ToWorker))
    return { ended, next, stop: () => this.#stopStream(id) }
  }

  /** How long the worker has been silent while a request is open, in ms. */
  get silence(): number {
    const sent = [...this.#pending.values()].filter((pending) => pending.sent)
    const oldest = Math.min(...sent.map((pending) => pending.since))
    return sent.length ? performance.now() - Math.max(oldest, this.#heard) : 0
  }

  /** Abandon the current computation immediately: terminate the worker and restart it with its previous state. */
  stop(): void {
    for (const pending of this.#pending.values()) pending.fail(new AskError(STOPPED))
    this.#pending.clear()
    this.#restart()
  }

  // --- Requests

  #request<M extends Method>(request: SessionRequest<M>, changes = false): Promise<Requests[M]['result']> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#add(id, {
        message: { id, ask: request },
        changes,
        take: (response) => {
          this.#pending.delete(id)
          if ('error' in response) return reject(new AskError(response.error))
          if (changes) {
            this.#since.push(request)
            this.#saveSoon()
          }
          resolve(response.result as Requests[M]['result'])
        },
        done: () => {},
        fail: reject,
      })
    })
  }

  /** Return the snapshot's response if there is one; otherwise return Python's response once Python is ready. */
  #early(key: string, request: SessionRequest<Method>): Promise<unknown> {
    return this.#snapshot.response(key).catch(() => this.#request(request))
  }

  #changing(): void {
    this.#pristine = false
    this.#responses.clear()
  }

  #add(id: number, pending: Omit<Pending, 'sent' | 'tries' | 'since'>): void {
    if (this.status.state === 'failed') return pending.fail(new AskError(this.status.why))
    this.#pending.set(id, { ...pending, sent: false, tries: 0, since: 0 })
    if (this.status.state === 'ready') this.#flush()
  }

  #flush(): void {
    for (const pending of this.#pending.values()) {
      if (!pending.sent) this.#worker!.postMessage(pending.message)
      if (!pending.sent) pending.since = performance.now()
      pending.sent = true
    }
  }

  #stopStream(id: number): void {
    const stream = this.#pending.get(id)
    if (!stream) return
    this.#pending.delete(id)
    if (stream.sent) this.#worker!.postMessage({ stop: id } satisfies ToWorker)
    stream.done()
  }

  // --- The state, kept for the next worker

  #saveSoon(): void {
    clearTimeout(this.#saving)
    this.#saving = setTimeout(() => void this.#save(), QUIET)
  }

  async #save(): Promise<void> {
    clearTimeout(this.#saving)
    this.#nextSave = Infinity
    const start = performance.now()
    try {
      const { state } = await this.#request(SAVE)
      this.#state = state
      this.#since = []
    } catch {
      // stopped or died: the changes since the previous save are still known
    }
    const now = performance.now()
    this.#nextSave = now + Math.max(BETWEEN_SAVES, 20 * (now - start)) // saving takes at most a twentieth of the time
  }

  /** Restore the last worker's state in a new worker. */
  #restore(): void {
    const requests = [...this.#since]
    if (this.#state !== undefined) requests.unshift({ method: 'restore', params: { state: this.#state } })
    if (!requests.length) return this.#isReady()
    this.#setStatus({ state: 'loading', stage: 'restore', restarts: this.#restarts })
    requests.forEach((ask, i) => {
      const id = ++this.#lastId
      const take = (response: SessionResponse): void => {
        this.#pending.delete(id)
        if ('error' in response) this.#lost ||= response.error
        if (i === requests.length - 1) this.#isReady()
      }
      const message = { id, ask }
      this.#pending.set(id, {
        message,
        sent: true,
        changes: true,
        tries: 0,
        since: performance.now(),
        take,
        done: () => {},
        fail: () => {},
      })
      this.#worker!.postMessage(message)
    })
  }

  // --- The worker

  #start(): void {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'microgpt' })
    const lock = `microgpt ${Math.random()}` // the worker holds it as long as it lives
    let watched = false
    this.#worker = worker
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      if (worker !== this.#worker) return
      if (!watched && 'locks' in navigator) {
        // a worker that dies silently (out of memory) is detected because its lock is released
        void navigator.locks.request(lock, () => void (worker === this.#worker && this.#died()))
      }
      watched = true
      this.#receive(data)
    }
    worker.onerror = () => worker === this.#worker && this.#died()
    worker.postMessage({ root: this.#root, lock } satisfies ToWorker)
  }

  #restart(): void {
    this.#worker?.terminate()
    this.#restarts += 1
    this.#responses.clear()
    this.#setStatus({ state: 'loading', stage: 'python', restarts: this.#restarts })
    this.#start()
  }

  #receive(message: FromWorker): void {
    this.#heard = performance.now()
    if ('loading' in message) {
      this.#setStatus({ state: 'loading', stage: message.loading, restarts: this.#restarts })
    } else if ('ready' in message) {
      this.#took = message.ready
      this.#restore()
    } else if ('failed' in message) {
      this.#fail(message.failed)
    } else if ('response' in message) {
      this.#pending.get(message.id)?.take(message.response)
    } else {
      const stream = this.#pending.get(message.id)
      this.#pending.delete(message.id)
      stream?.done()
    }
  }

  #isReady(): void {
    this.#attempts = 0
    this.#responses.clear() // they came from the snapshot; from now on Python answers
    const lost = this.#lost
    this.#lost = ''
    this.#setStatus({ state: 'ready', took: this.#took!, restarts: this.#restarts, lost })
    this.#flush()
  }

  #died(): void {
    for (const [id, pending] of this.#pending) {
      if (!pending.sent) continue
      pending.sent = false
      pending.tries += 1
      if (pending.tries === 1 && !pending.changes) continue // this request may not be what killed the worker
      this.#pending.delete(id)
      pending.fail(new AskError(DIED))
    }
    if (this.status.state === 'loading') {
      this.#attempts += 1
      if (this.#attempts === ATTEMPTS) return this.#fail(`Python crashed ${ATTEMPTS} times while loading`)
      if (this.status.stage === 'restore') this.#giveUpState()
    }
    this.#restart()
  }

  /** Drop what cannot be restored: first the changes since the last save, then also the saved state. */
  #giveUpState(): void {
    this.#lost = LOST
    if (this.#since.length) this.#since = []
    else this.#state = undefined
  }

  #fail(why: string): void {
    this.#worker?.terminate()
    this.#worker = undefined
    this.#setStatus({ state: 'failed', why, restarts: this.#restarts })
    for (const pending of this.#pending.values()) pending.fail(new AskError(why))
    this.#pending.clear()
  }

  #setStatus(status: Status): void {
    this.status = status
    for (const listener of this.#listeners) listener(status)
  }
}

/** Return a copy that a message can carry: it is not reactive and does not change before it is sent. */
function plain<T>(value: T): T {
  if (Array.isArray(value)) return value.map(plain) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plain(item)])) as T
}
