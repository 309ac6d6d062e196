// A second worker with its own Python, for programs that the reader runs: their effects stay inside this worker,
// and terminating the worker stops them. The worker is created for the first program and reused for later programs.

export type ToRunner = { root: string } | { source: string; documents: string | null; steps: number }
export type FromRunner =
  | { ready: true }
  | { failed: string }
  | { piece: string } // JSON: {text, losses, more}
  | { ended: string } // JSON: {error, line, seconds}

type Run = (
  source: string,
  documents: string | null | undefined,
  send: (piece: string) => void,
  steps: number,
) => string

const post = (message: FromRunner): void => self.postMessage(message)
let run: Run

// not an async function: an error thrown by run() must reach the page's onerror
self.onmessage = ({ data }: MessageEvent<ToRunner>) => {
  if ('root' in data) {
    load(data.root).then(
      () => post({ ready: true }),
      (error: Error) => post({ failed: `Python could not be loaded: ${error.message}` }),
    )
  } else {
    post({ ended: run(data.source, data.documents ?? undefined, (piece) => post({ piece }), data.steps) })
  }
}

async function load(root: string): Promise<void> {
  const archive = fetch(new URL('microgpt.zip', root)).then((response) => response.arrayBuffer())
  archive.catch(() => {}) // reported below
  const folder = new URL('pyodide/', root).href
  const { loadPyodide }: typeof import('pyodide') = await import(/* @vite-ignore */ `${folder}pyodide.mjs`)
  const python = await loadPyodide({ indexURL: folder, packageBaseUrl: folder })
  python.unpackArchive(await archive, 'zip', { extractDir: '/microgpt' })
  python.runPython('import sys; sys.path.insert(0, "/microgpt")')
  run = python.pyimport('microgpt.lab.editing.output').run as Run
}
