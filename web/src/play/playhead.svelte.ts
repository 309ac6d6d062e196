// The playhead: a moment of a chapter, which is an execution of the reference that the session recorded. The tour places
// it at the moment of its current beat.
//
// A moment is the arrival at a statement or, inside the weighted sums of linear(), one row of the matrix; in backward,
// whose line runs tens of thousands of times, a moment is one +=. A moment's depth determines what stepping over skips.

import type { Chapter, BackwardStep, PlayEvent } from '../engine/protocol'
import { latest } from '../latest'
import { app } from '../state.svelte'
import { reference, lineOf } from '../source/lines.svelte'
import { END, TOUR, chapters } from './chapters'
import { beats, type Beat } from './tour'

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

const textAt = (line: number) => (reference.source?.lines[line - 1] ?? '').trim()

class Playhead {
  told = $state.raw<Chapter>() // the chapter that arrived last
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

  beat = $derived(app.play === TOUR ? beats[Math.min(app.at, beats.length - 1)] : undefined)
  chapter = $derived<string>(this.beat?.chapter ?? app.play)
  /** The current chapter, once it has arrived: what is shown never belongs to another one. */
  story = $derived(this.told?.chapter === this.chapter && reference.source ? this.told : undefined)

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
  at = $derived(Math.max(0, Math.min(this.beat ? this.momentOf(this.beat) : app.at, this.length - 1)))
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

  /** Return the moment of a beat of the current chapter. */
  momentOf({ line, nth = -1, meets }: Beat): number {
    if (meets) {
      const met = this.story?.facts.tensors_met?.filter(([, name]) => meets.test(name)) ?? []
      return PREAMBLE.length + ((met.at(nth) ?? met[0])?.[0] ?? 0)
    }
    if (this.#isBackward) return PREAMBLE.indexOf(line)
    const found = this.#moments.flatMap(([i, row], at) =>
      row < 0 && textAt(this.story!.events[i].line).startsWith(line) ? [at] : [],
    )
    return found.at(nth) ?? found[0] ?? 0
  }
  /** Return the beat at the current moment, or the last one before it. */
  nearest(): number {
    const own = beats.flatMap((beat, i) => (beat.chapter === this.chapter ? [{ i, at: this.momentOf(beat) }] : []))
    const before = own.filter(({ at }) => at <= this.at)
    return before.length
      ? before.reduce((best, one) => (one.at >= best.at ? one : best)).i
      : Math.max(0, (own[0]?.i ?? 0) - 1)
  }
  /** Change between the tour and every statement, at the same moment. */
  switch(): void {
    this.playing = false
    const to = this.beat ? ([this.chapter, this.at] as const) : ([TOUR, this.nearest()] as const)
    ;[app.play, app.at] = to
  }

  /** Go forward or back by a number of beats of the tour, if there are as many. */
  turn(by: number): void {
    const to = Math.min(app.at, beats.length - 1) + by
    if (this.beat && to in beats) app.at = to
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
    if (!this.length) return
    app.play = this.chapter // the moments between the beats are not on the tour
    app.at = Math.max(0, Math.min(at, this.length - 1))
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
    if (other && other !== this.chapter) this.open(other, reference.source!.lines[line - 1])
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
    return textAt(this.now?.line ?? 0).replace(/ {2}# .*/, '')
  }
}

export const playhead = new Playhead()
