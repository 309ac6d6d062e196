// The page's side of the second worker: runs one program at a time, shows its output as it arrives, and can stop it at
// any time.

import type { FromRunner, ToRunner } from './run.worker'
import { say } from '../../texts/say'
import { Terminal } from './terminal'
import text from './text'

export interface Ended {
  error: string // a traceback, '' if the program ended without an error
  line: number // of the program, 0 if the error has no line
  seconds: number
  stopped: boolean
}
interface Job {
  onPiece(text: string, losses: number[], more: number): void
  end(how: Ended): void
}

class Runner {
  state = $state<'idle' | 'loading' | 'running'>('idle')
  what = $state('') // what is running, for the status
  lines = $state.raw<string[]>([]) // the output of the last program
  more = $state(0) // lines that are not shown
  ended = $state.raw<Ended | null>(null)
  #worker: Worker | null = null
  #job: Job | null = null
  #began = 0
  #root = new URL('.', document.baseURI).href

  /** Run a program and show what it prints. documents: null for the bundled names. */
  async run(source: string, documents: string | null): Promise<Ended> {
    const terminal = new Terminal()
    this.clear()
    this.lines = ['']
    const ended = await this.#start(say(text.output.program), source, documents, 0, (text, _, more) => {
      terminal.feed(text)
      this.lines = [...terminal.lines]
      this.more = more + terminal.left
    })
    this.ended = ended
    return ended
  }
  /** Remove the output of the last program. */
  clear(): void {
    this.lines = []
    this.more = 0
    this.ended = null
  }
  /** Run a program only for its first losses. */
  measure(what: string, source: string, steps: number, onLosses: (losses: number[]) => void): Promise<Ended> {
    return this.#start(what, source, null, steps, (_, losses) => losses.length && onLosses(losses))
  }
  /** Stop the running program at once. */
  stop(): void {
    if (!this.#job) return
    this.#drop()
    this.#end({ error: '', line: 0, seconds: (performance.now() - this.#began) / 1000, stopped: true })
  }

  #start(
    what: string,
    source: string,
    documents: string | null,
    steps: number,
    onPiece: Job['onPiece'],
  ): Promise<Ended> {
    if (this.#job) throw new Error('a program is already running: stop it first')
    return new Promise((end) => {
      this.#job = { onPiece, end }
      this.#began = performance.now()
      this.what = what
      this.state = this.#worker ? 'running' : 'loading'
      const go = (): void => {
        this.state = 'running'
        this.#worker!.postMessage({ source, documents, steps } satisfies ToRunner)
      }
      if (this.#worker) return go()
      const worker = new Worker(new URL('./run.worker.ts', import.meta.url), { type: 'module', name: 'workbench' })
      this.#worker = worker
      worker.onmessage = ({ data }: MessageEvent<FromRunner>) => {
        if (worker !== this.#worker) return
        if ('ready' in data) go()
        else if ('piece' in data) {
          const { text, losses, more } = JSON.parse(data.piece)
          this.#job?.onPiece(text, losses, more)
        } else if ('ended' in data) this.#end({ ...JSON.parse(data.ended), stopped: false })
        else this.#fail(data.failed)
      }
      worker.onerror = (event) => worker === this.#worker && this.#fail(event.message || say(text.output.crashed))
      worker.postMessage({ root: this.#root } satisfies ToRunner)
    })
  }
  #fail(error: string): void {
    this.#drop()
    this.#end({ error: lastLines(error), line: 0, seconds: 0, stopped: false })
  }
  #drop(): void {
    this.#worker?.terminate()
    this.#worker = null
  }
  #end(how: Ended): void {
    const job = this.#job
    this.#job = null
    this.state = 'idle'
    job?.end(how)
  }
}

/** Return the readable part of JavaScript's message about a Python crash. */
function lastLines(error: string): string {
  return /memory/i.test(error) ? say(text.output.memory) : error.trimEnd().split('\n').pop()!
}

export const runner = new Runner()
