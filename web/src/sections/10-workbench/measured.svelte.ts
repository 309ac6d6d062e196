// The losses that the edited program and the original program have printed, with the same seed and the same documents.

import { latest } from '../../latest'
import { bench } from './bench.svelte'
import { say } from '../../texts/say'
import { runner } from './runner.svelte'
import text from './text'

export interface Measured {
  name: string
  source: string
  losses: number[]
}

class Measurements {
  all = $state.raw<Measured[]>([]) // the file's losses come first
  error = $state('')
  #begin = latest(() => bench.source)

  /** Measure the current program's first losses; the unedited file's losses are measured only once. */
  async measure(name: string, steps: number): Promise<void> {
    this.error = ''
    const { original, source } = bench
    const isSame = this.#begin() // whether the text is still the measured text
    const wanted =
      source === original
        ? [{ name: say(text.changes.original), source }]
        : [
            { name: say(text.changes.original), source: original },
            { name, source },
          ]
    for (const one of wanted) {
      const known = this.all.find(({ source }) => source === one.source)
      if (known && known.losses.length >= steps) {
        this.#put({ ...known, name: one.name })
        continue
      }
      this.#put({ ...one, losses: [] })
      let losses: number[] = []
      const ended = await runner.measure(one.name, one.source, steps, (more) => {
        losses = [...losses, ...more].slice(0, steps)
        this.#put({ ...one, losses })
      })
      if (ended.error) {
        this.error = ended.error
        if (one.source === source && isSame()) bench.line = ended.line
      }
      if (ended.stopped || ended.error) return
    }
  }
  clear(): void {
    this.all = []
  }
  #put(one: Measured): void {
    const at = this.all.findIndex(({ source }) => source === one.source)
    this.all = at < 0 ? [...this.all, one] : this.all.map((other, i) => (i === at ? one : other))
  }
}

export const measurements = new Measurements()
