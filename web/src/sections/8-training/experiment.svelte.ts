// The training that this section shows and its figures share: the stream that extends the run, at the reader's pace, and
// what it has sent so far. It goes on while the reader looks at other sections.

import type { Stream } from '../../engine/client'
import type { CloseUp, Row, Trained } from '../../engine/protocol'
import { train } from '../../live.svelte'

export const ONCE = 0 // the pace of a training that is not watched
export const PACES = { watch: 200, once: ONCE, ten: 10, one: 1 } // steps per second
const TICK = 50 // ms between two events of a fast pace
const CLOSE_UPS = 4 // per second: faster, nobody could read them

const isStill = () => matchMedia('(prefers-reduced-motion: reduce)').matches

class Experiment {
  running = $state(false)
  error = $state('')
  pace = $state(isStill() ? ONCE : PACES.watch)
  from = $state<'random' | 'model'>('random') // where training starts while the trained model is shown
  run = $state('') // the id of the run that was last trained
  target = $state(0) // the step to which it was asked to train
  last = $state.raw<Trained | null>(null)
  fresh = $state.raw<number[]>([]) // losses since the run was last requested
  closeUp = $state.raw<CloseUp | null>(null)
  rows = $state.raw<Row[]>([]) // samples since the run was last requested
  speed = $state(0) // steps per second, from the first event to the last one
  #stream: Stream | null = null

  /** Train from a step; settles when the training has ended or was paused. */
  async start(step: number, steps: number): Promise<void> {
    this.error = ''
    this.closeUp = null
    this.running = true
    this.target = step + steps
    const pace = this.pace
    const began = performance.now()
    const onEvent = (event: Trained): void => {
      this.run = event.run
      this.last = event
      this.speed = (1000 * (event.step - step)) / Math.max(1, performance.now() - began)
      this.fresh = [...this.fresh, ...event.losses]
      if (event.close_up) this.closeUp = event.close_up
      if (event.row) this.rows = [...this.rows, event.row]
    }
    try {
      await (pace === ONCE ? this.#atOnce(steps, onEvent) : this.#paced(steps, pace, onEvent))
    } catch (reason) {
      this.error = (reason as Error).message
    } finally {
      this.running = false
      this.target = Math.max(this.target, this.last?.step ?? 0)
    }
  }
  pause(): void {
    this.#stream?.stop()
  }
  /** Forget what the stream has sent: the session has reported the run. */
  reported(): void {
    this.fresh = []
    this.rows = []
  }

  #atOnce(steps: number, onEvent: (event: Trained) => void): Promise<void> {
    this.#stream = train(steps, undefined, onEvent)
    return this.#stream.ended
  }
  /** Ask for an event at each tick of the clock, or as soon as a late event has arrived. */
  async #paced(steps: number, pace: number, onEvent: (event: Trained) => void): Promise<void> {
    const tick = Math.max(TICK, 1000 / pace)
    const perEvent = Math.round((pace * tick) / 1000)
    const watch = Math.max(1, Math.round(pace / CLOSE_UPS / perEvent)) * perEvent
    let waiting = true
    let late = false
    const stream = (this.#stream = train(
      steps,
      perEvent,
      (event) => {
        onEvent(event)
        waiting = false
        if (late || event.done) ask()
      },
      watch,
    ))
    const ask = () => {
      late = waiting
      if (waiting) return
      waiting = true
      stream.next()
    }
    waiting = false
    ask()
    const timer = setInterval(ask, tick)
    try {
      await stream.ended
    } finally {
      clearInterval(timer)
    }
  }
}

export const experiment = new Experiment()
