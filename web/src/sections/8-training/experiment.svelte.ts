// The current run, which this section's figures share: its curve so far, and the stream that extends the curve.

import type { Stream } from '../../engine/client'
import type { Trained } from '../../engine/protocol'
import { train } from '../../live.svelte'

class Experiment {
  running = $state(false)
  error = $state('')
  last = $state.raw<Trained | null>(null)
  fresh = $state.raw<number[]>([]) // losses since the run was last requested
  pause = $state(0) // milliseconds between two steps; 0: as fast as possible
  #stream: Stream | null = null
  #stopped = false

  async start(steps: number): Promise<void> {
    this.error = ''
    this.running = true
    this.#stopped = false
    try {
      if (this.pause === 0) await this.#some(steps, undefined)
      else
        for (let i = 0; i < steps && !this.#stopped; i++) {
          await this.#some(1, 1)
          await new Promise((done) => setTimeout(done, this.pause))
        }
    } catch (reason) {
      this.error = (reason as Error).message
    } finally {
      this.running = false
    }
  }
  stop(): void {
    this.#stopped = true
    this.#stream?.stop()
  }
  async #some(steps: number, perEvent: number | undefined): Promise<void> {
    this.#stream = train(steps, perEvent, (event) => {
      this.last = event
      this.fresh = [...this.fresh, ...event.losses]
    })
    await this.#stream.ended
  }
}

export const experiment = new Experiment()

export const WIDTH = 30 // steps in the running mean

/** Return the mean of the last WIDTH numbers at each index, skipping numbers that are not finite; for display only. */
export function runningMean(values: number[]): number[] {
  let sum = 0
  let known = 0
  return values.map((value, i) => {
    if (Number.isFinite(value)) [sum, known] = [sum + value, known + 1]
    if (Number.isFinite(values[i - WIDTH])) [sum, known] = [sum - values[i - WIDTH], known - 1]
    return known ? sum / known : NaN
  })
}
