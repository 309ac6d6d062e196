// The worker: Python (Pyodide) with this package unpacked into it, the kernel, and one Session that answers requests.
// It knows nothing about the model. Everything is loaded from the page's folder; no other host is contacted.

import type { SessionResponse, FromWorker, Stage, ToWorker } from './messages'

// Python takes requests and returns responses as JSON (lab/wire.py). Only this file converts between objects and text.
interface Wire {
  ask(text: string): string
  stream(text: string): Iterator<string>
}

const streams = new Map<number, Iterator<string>>()
const paced = new Map<number, Iterator<string>>() // streams that advance only when the page asks for their next event
let wire: Wire

const post = (message: FromWorker): void => self.postMessage(message)

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if ('root' in data) {
    takeLock(data.lock)
      .then(() => load(data.root))
      .catch((error: unknown) => post({ failed: `Python could not be loaded: ${lastLine(error)}` }))
  } else if ('stop' in data) {
    const events = streams.get(data.stop) ?? paced.get(data.stop)
    if (!events) return // the stream has just ended
    streams.delete(data.stop)
    paced.delete(data.stop)
    attempt(() => (events.return?.(), '{}'))
    post({ id: data.stop, done: true })
  } else if ('next' in data) {
    const events = paced.get(data.next)
    if (events && advance(data.next, events)) paced.delete(data.next)
  } else if ('stream' in data) {
    const events = wire.stream(JSON.stringify(data.stream))
    if (data.paced) return void paced.set(data.id, events)
    streams.set(data.id, events)
    if (streams.size === 1) later()
  } else {
    post({ id: data.id, response: attempt(() => wire.ask(JSON.stringify(data.ask))) })
  }
}

/** Send one event of each stream, let the waiting messages be handled, and continue. */
function step(): void {
  for (const [id, events] of streams) if (advance(id, events)) streams.delete(id)
  if (streams.size) later()
}

/** Send a stream's next event; return whether the stream has ended. */
function advance(id: number, events: Iterator<string>): boolean {
  let done = false
  const response = attempt(() => {
    const next = events.next()
    done = next.done === true
    return done ? '{}' : next.value
  })
  post(done ? { id, done } : { id, response })
  return done
}

const channel = new MessageChannel()
channel.port1.onmessage = step
const later = (): void => channel.port2.postMessage(null) // a timer would wait 4 ms each time

/** Return Python's response. A Python exception is a response too; any other error is a crash that ends the worker. */
function attempt(response: () => string): SessionResponse {
  try {
    return JSON.parse(response())
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'PythonError') throw error
    return { error: lastLine(error) }
  }
}

/** Return the last line of Python's traceback: the exception itself. */
function lastLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.trimEnd().split('\n').pop()!
}

/** Acquire a lock and hold it until this worker ends, for any reason. */
function takeLock(lock: string): Promise<void> {
  return new Promise((held) => {
    if (!('locks' in navigator)) return held() // not a secure context
    void navigator.locks.request(lock, () => {
      held()
      return new Promise(() => {})
    })
  })
}

async function load(root: string): Promise<void> {
  const took = { python: 0, kernel: 0, package: 0, session: 0 }
  async function timed<T>(stage: Stage, work: () => T): Promise<Awaited<T>> {
    const start = performance.now()
    post({ loading: stage })
    const result = await work()
    took[stage] = (performance.now() - start) / 1000
    return result
  }

  // requested at once, so that they arrive while Python is being compiled
  const archive = file(root, 'microgpt.zip')
  const module = file(root, 'kernel.wasm').then((bytes) => WebAssembly.instantiate(bytes, {}))
  for (const early of [archive, module]) early.catch(() => {}) // the error is reported below, when its stage is reached

  const folder = new URL('pyodide/', root).href
  const python = await timed('python', async () => {
    const { loadPyodide }: typeof import('pyodide') = await import(/* @vite-ignore */ `${folder}pyodide.mjs`)
    return loadPyodide({ indexURL: folder, packageBaseUrl: folder })
  })
  await timed('kernel', async () => {
    const kernel = await module.catch(() => undefined) // without the kernel, Python trains slowly, and the session says so
    if (!kernel) return
    ;(kernel.instance.exports._initialize as (() => void) | undefined)?.()
    Object.assign(globalThis, { microgptKernel: kernel.instance.exports })
  })
  await timed('package', async () => {
    python.unpackArchive(await archive, 'zip', { extractDir: '/microgpt' })
    python.runPython('import sys; sys.path.insert(0, "/microgpt")')
  })
  wire = await timed('session', () => python.pyimport('microgpt.lab.wire').Wire() as Wire)
  post({ ready: took })
}

async function file(root: string, name: string): Promise<ArrayBuffer> {
  const response = await fetch(new URL(name, root))
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`)
  return response.arrayBuffer()
}
