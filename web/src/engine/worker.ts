// The worker: Python (Pyodide), this very package unpacked into it, the kernel beside it, and one Session that answers.
// It knows nothing of the model. Everything comes from the folder of the page, no other host.

import type { Answer, FromWorker, Stage, ToWorker } from './messages'

// Python is asked, and answers, in JSON (lab/wire.py): here, and nowhere else, objects become text and text objects
interface Wire {
  ask(text: string): string
  stream(text: string): Iterator<string>
}

const streams = new Map<number, Iterator<string>>()
let wire: Wire

const post = (message: FromWorker): void => self.postMessage(message)

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  if ('root' in data) {
    hold(data.lock)
      .then(() => load(data.root))
      .catch((error: unknown) => post({ failed: `Python could not be loaded: ${lastLine(error)}` }))
  } else if ('stop' in data) {
    const events = streams.get(data.stop)
    if (!events) return // it ended just before
    streams.delete(data.stop)
    attempt(() => (events.return?.(), '{}'))
    post({ id: data.stop, done: true })
  } else if ('stream' in data) {
    streams.set(data.id, wire.stream(JSON.stringify(data.stream)))
    if (streams.size === 1) later()
  } else {
    post({ id: data.id, answer: attempt(() => wire.ask(JSON.stringify(data.ask))) })
  }
}

/** One event of each stream, then the messages that wait their turn, then on. */
function step(): void {
  for (const [id, events] of streams) {
    let done = false
    const answer = attempt(() => {
      const next = events.next()
      done = next.done === true
      return done ? '{}' : next.value
    })
    if (done) {
      streams.delete(id)
      post({ id, done: true })
    } else {
      post({ id, answer })
    }
  }
  if (streams.size) later()
}

const channel = new MessageChannel()
channel.port1.onmessage = step
const later = (): void => channel.port2.postMessage(null) // a timer would wait 4 ms each time

/** What Python answers. An exception of Python's is an answer too; any other has broken Python, and ends the worker. */
function attempt(answer: () => string): Answer {
  try {
    return JSON.parse(answer())
  } catch (error) {
    if (!(error instanceof Error) || error.name !== 'PythonError') throw error
    return { error: lastLine(error) }
  }
}

/** Of Python's traceback the exception itself. */
function lastLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.trimEnd().split('\n').pop()!
}

/** Take a lock that no one can have before this worker has ended, in whatever way. */
function hold(lock: string): Promise<void> {
  return new Promise((held) => {
    if (!('locks' in navigator)) return held() // no secure address
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

  // asked for at once: they arrive while Python is being compiled
  const archive = file(root, 'microgpt.zip')
  const module = file(root, 'kernel.wasm').then((bytes) => WebAssembly.instantiate(bytes, {}))
  for (const early of [archive, module]) early.catch(() => {}) // told of below, when it is its turn

  const folder = new URL('pyodide/', root).href
  const python = await timed('python', async () => {
    const { loadPyodide }: typeof import('pyodide') = await import(/* @vite-ignore */ `${folder}pyodide.mjs`)
    return loadPyodide({ indexURL: folder, packageBaseUrl: folder })
  })
  await timed('kernel', async () => {
    const kernel = await module.catch(() => undefined) // without it Python trains, slowly, and the session says so
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
