// A worker without Python: a session with a few weights, which answers messages in order and dies on command. This file
// also replaces `Worker`, `fetch`, the Web Locks that a client uses, and the clock, which the tests advance.

import { vi } from 'vitest'
import { Client, type Status } from '../engine/client'
import type { SessionResponse, FromWorker, SessionRequest, ToWorker } from '../engine/messages'

export class FakeWorker {
  /** Every worker that was started, in order. */
  static all: FakeWorker[] = []
  static boots = true
  static deadly = '' // a request that contains this text kills the worker that reads it
  static index = { responses: {} as Record<string, unknown>, files: {} }

  onmessage: (event: { data: FromWorker }) => void = () => {}
  onerror: () => void = () => {}
  received: ToWorker[] = []
  terminated = false
  holds = false // responses wait in `held` until release()
  #held: FromWorker[] = []
  #lock = ''
  #version = 0
  #weights: Record<string, number> = {}

  constructor() {
    FakeWorker.all.push(this)
  }

  /** The requests that arrived, as `method` or `method path`. */
  get asked(): string[] {
    return this.received
      .flatMap((message) => ('ask' in message ? message.ask : 'stream' in message ? message.stream : []))
      .map(({ method, params }) => [method, ...['path', 'word'].flatMap((name) => Reflect.get(params, name) ?? [])])
      .map(([method, of]) => [method, of].filter(Boolean).join(' '))
  }

  postMessage(message: ToWorker): void {
    this.received.push(structuredClone(message)) // as in a browser, which rejects a message that cannot be cloned
    if ('root' in message) {
      this.#lock = message.lock
      locks.hold(message.lock)
      this.say({ loading: 'python' })
      if (FakeWorker.boots) this.say({ ready: { python: 1, kernel: 1, package: 1, session: 1 } })
    } else if ('ask' in message) {
      const response = this.#response(message.ask)
      if (response) this.say({ id: message.id, response })
    }
  }

  terminate(): void {
    this.terminated = true
    locks.release(this.#lock)
  }

  /** Post a message to the page, asynchronously. */
  say(message: FromWorker): void {
    if (this.holds) this.#held.push(message)
    else void Promise.resolve().then(() => !this.terminated && this.onmessage({ data: message }))
  }

  release(): void {
    this.holds = false
    for (const message of this.#held.splice(0)) this.say(message)
  }

  /** End with an error, like a worker whose Python has crashed. */
  die(): void {
    this.terminated = true
    this.onerror()
  }

  /** End silently, like a worker that has run out of memory. */
  vanish(): void {
    this.terminate()
  }

  /** Send the next event of the first requested stream; if `last`, also its end. */
  event(response: SessionResponse, last = false): void {
    const stream = this.received.find((message) => 'stream' in message)
    if (!stream || !('stream' in stream)) throw new Error('no stream was requested')
    this.say({ id: stream.id, response })
    if (last) this.say({ id: stream.id, done: true })
  }

  #response(request: SessionRequest): SessionResponse | undefined {
    const { method, params } = request as { method: string; params: Record<string, never> }
    if (params.path === 'wrong') return { error: 'no such weight: wrong' }
    if (FakeWorker.deadly && JSON.stringify(params).includes(FakeWorker.deadly)) {
      queueMicrotask(() => this.die())
      return
    }
    if (method === 'change') this.#weights = { ...this.#weights, [params.path]: params.value }
    if (method === 'restore') this.#weights = JSON.parse(params.state)
    if (method === 'save') return { result: { state: JSON.stringify(this.#weights) } }
    if (method === 'change' || method === 'restore') this.#version += 1
    return { result: { method, version: this.#version, weights: this.#weights } }
  }
}

/** A minimal version of the Web Locks: a request waits until the holder releases the lock. */
const locks = {
  held: new Set<string>(),
  waiting: new Map<string, (() => void)[]>(),
  hold(name: string) {
    this.held.add(name)
  },
  request(name: string, then: () => void) {
    if (this.held.has(name)) this.waiting.set(name, [...(this.waiting.get(name) ?? []), then])
    else queueMicrotask(then)
  },
  release(name: string) {
    this.held.delete(name)
    for (const then of this.waiting.get(name) ?? []) queueMicrotask(then)
    this.waiting.delete(name)
  },
}

/** Set up, before each test, a page that has loaded but has no worker yet. */
export function fakePage(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  FakeWorker.all = []
  FakeWorker.boots = true
  FakeWorker.deadly = ''
  FakeWorker.index = { responses: {}, files: {} }
  vi.stubGlobal('self', { location: new URL('http://localhost/lab/') })
  vi.stubGlobal('Worker', FakeWorker)
  vi.stubGlobal('navigator', { locks })
  vi.stubGlobal('document', { readyState: 'complete', baseURI: 'http://localhost/lab/', hidden: false })
  vi.stubGlobal('fetch', async () => ({ ok: true, json: async () => FakeWorker.index }))
}

export const worker = (): FakeWorker => FakeWorker.all.at(-1)!

/** Settle when the client reaches a state. */
export function reaches<S extends Status['state']>(client: Client, state: S): Promise<Extract<Status, { state: S }>> {
  return new Promise((resolve) => {
    client.subscribe((status) => {
      if (status.state === state) resolve(status as Extract<Status, { state: S }>)
    })
  })
}

/** Return a client whose first worker is ready. */
export async function readyClient(): Promise<Client> {
  const client = new Client('http://localhost/lab/')
  vi.advanceTimersByTime(0)
  await reaches(client, 'ready')
  return client
}

/** Run everything that does not wait for the clock. */
export async function settled(): Promise<void> {
  await vi.advanceTimersByTimeAsync(0)
}
