// The playhead: a moment of a chapter, which is an execution of the reference that the session recorded.
//
// A moment is the arrival at a statement or, inside the weighted sums of linear(), one row of the matrix; in backward,
// whose line runs tens of thousands of times, a moment is one +=. A moment's depth determines what stepping over skips.

import type { Chapter, BackwardStep, PlayEvent } from '../engine/protocol'
import { latest } from '../latest'
import { app } from '../state.svelte'
import { reference, lineOf } from '../source/lines.svelte'
import { END, chapters } from './chapters'

export interface Moment {
  event?: PlayEvent
  row: number // the row of the matrix in a weighted sum; -1 for the statement itself
  step: number // the step of backward, -1 before the first step and elsewhere
  line: number
  depth: number
}

/** The lines of backward() before its first +=: they list the graph and start the gradients. */
const PREAMBLE = ['order, seen, stack', 'while stack:', 'self.grad = 1.0']

/** The chapter that plays the lines of a function. */
const CHAPTER_OF: Record<string, string> = {
  ...{ documents: 'data', main: 'data', 'Tokenizer.__init__': 'data', shapes: 'data', init: 'data' },
  ...{ 'Tokenizer.encode': 'tokens', 'Tokenizer.decode': 'tokens', 'Value.backward': 'backward' },
  ...{ linear: 'forward', softmax: 'forward', rmsnorm: 'forward', attention: 'forward', gpt: 'forward' },
  ...{ loss: 'loss', adam: 'adam', sample: 'sample' },
}

class Playhead {
  story = $state.raw<Chapter>() // the chapter app.play, once it has arrived
  passing = $state.raw<BackwardStep>() // the current += in backward
  wanted = $state('') // the beginning of the line to go to when the chapter arrives
  #opening = latest(() => `${app.play} ${app.at}`)
  #wants = () => false // whether that line is still the place to go to
  playing = $state(false)
  speed = $state(1)
  error = $state('')

  constructor() {
    $effect.root(() => {
      $effect(() => {
        if (app.play) return
        // no matter how the reader leaves, even before the chapter has arrived
        this.playing = false
        this.wanted = ''
      })
    })
  }

  /** The moments of a chapter that is played event by event: [event, row]. */
  #moments = $derived.by(() => {
    const found: [number, number][] = []
    this.story?.events.forEach((event, i) => {
      found.push([i, -1])
      if (event.function !== 'linear') return
      const made = this.story!.variables[event.changed.return]
      const rows = made && 'path' in made ? (this.story!.tensors[made.path]?.shape[0] ?? 0) : 0
      for (let row = 0; row < rows; row++) found.push([i, row])
    })
    return found
  })
  #isBackward = $derived(this.story?.chapter === 'backward')
  #landmarks = $derived(new Set(this.story?.facts.tensors_met?.map(([step]) => step)))
  #starts = $derived(new Set(this.story?.facts.numbers_met))

  length = $derived(this.#isBackward ? PREAMBLE.length + (this.story?.facts.steps ?? 0) : this.#moments.length)
  at = $derived(Math.max(0, Math.min(app.at, this.length - 1)))
  now = $derived(this.length ? this.moment(this.at) : undefined)

  moment(at: number): Moment {
    if (this.#isBackward) {
      const step = at - PREAMBLE.length
      const known = this.passing?.step === step ? this.passing.line : lineOf('node.a.grad +=') // one of two such lines
      const line = step < 0 ? lineOf(PREAMBLE[at]) : known
      return { row: -1, step: Math.max(-1, step), line, depth: this.depth(at) }
    }
    const [i, row] = this.#moments[at]
    const event = this.story!.events[i]
    return { event, row, step: -1, line: event.line, depth: this.depth(at) }
  }

  depth(at: number): number {
    if (this.#isBackward) {
      const step = at - PREAMBLE.length
      return step < 0 || this.#landmarks.has(step) ? 0 : this.#starts.has(step) ? 1 : 2
    }
    const [i, row] = this.#moments[at]
    return this.story!.events[i].depth + (row < 0 ? 0 : 1)
  }

  // --- The moment that a step leads to, or the chapter's end or beginning if there is no such moment

  into(): number {
    return Math.min(this.at + 1, this.length - 1)
  }
  over(depth = this.depth(this.at)): number {
    for (let i = this.at + 1; i < this.length; i++) if (this.depth(i) <= depth) return i
    return this.length - 1
  }
  out(): number {
    return this.over(this.depth(this.at) - 1)
  }
  back(): number {
    const depth = this.depth(this.at)
    for (let i = this.at - 1; i >= 0; i--) if (this.depth(i) <= depth) return i
    return 0
  }
  /** The next moment during play: skips rows, and skips numbers in backward, unless the reader stepped into them. */
  next(): number {
    if (this.#isBackward) return this.over()
    if (this.now && this.now.row >= 0) return this.into()
    for (let i = this.at + 1; i < this.length; i++) if (this.#moments[i][1] < 0) return i
    return this.length - 1
  }

  go(at: number): void {
    if (this.length) app.at = Math.max(0, Math.min(at, this.length - 1))
  }
  step(at: number): void {
    this.playing = false
    this.go(at)
  }
  /** Open a chapter, at a line if one is given. */
  open(chapter: string, line = ''): void {
    this.playing = false
    this.wanted = line
    app.play = chapter
    app.at = 0
    this.#wants = this.#opening()
  }
  /** Go to the requested line. */
  arrive(): void {
    if (this.wanted && this.#wants()) this.run(lineOf(this.wanted), 0)
    this.wanted = ''
  }
  /** Go to the next moment at a line, or to the first such moment if no more follow. */
  run(line: number, from = this.at + 1): void {
    const most = Math.min(this.length, 20_000) // after its first steps, backward is always on the same two lines
    for (let i = 0; i < most; i++) {
      const at = (from + i) % this.length
      if (this.moment(at).line === line) return this.step(at)
    }
    const called = reference.source?.functions.findLast(({ first, last }) => first <= line && line <= last)?.name ?? ''
    const other = CHAPTER_OF[called]
    if (other && other !== app.play) this.open(other, reference.source!.lines[line - 1])
  }
  /** Return the next chapter; the big picture follows the last chapter. */
  following(): string {
    const i = chapters.findIndex(({ name }) => name === app.play)
    return chapters[i + 1]?.name ?? END
  }
  leave(): void {
    this.playing = false
    app.play = ''
    app.at = 0
  }
  get text(): string {
    return (reference.source?.lines[(this.now?.line ?? 0) - 1] ?? '').trim().replace(/ {2}# .*/, '')
  }
}

export const playhead = new Playhead()
