// The workbench's state: the edited text, which survives visits to other sections. It is saved neither in the address
// nor in any storage.

import type { Program } from '../../engine/protocol'
import { latest } from '../../latest'
import { change } from '../../live.svelte'
import { reference } from '../../source/lines.svelte'
import { app } from '../../state.svelte'
import { diff } from './diff'

class Bench {
  original = $state('') // the file
  source = $state('') // the edited text
  line = $state(0) // the line of the last error, 0 if there is no error
  error = $state('') // why the program cannot be used
  shown = $state.raw<{ line: number } | null>(null) // the line that the editor should show
  diff = $state(false) // whether the diff is unfolded
  applied = $state('') // the preset change in the text, '' once the reader has edited the text
  #checking = latest(() => this.source)
  #folded = false // whether the reader has closed the diff, so that it no longer opens by itself
  applying = $state(false) // whether a preset change has been requested
  taking = $state(false) // whether the session is checking the program
  own = $state.raw<{ name: string; text: string } | null>(null) // the reader's own documents, last loaded

  get changed(): boolean {
    return this.source !== this.original
  }
  get program(): Program | null {
    return app.model?.program ?? null
  }
  /** Whether this text is the program that computes the figures' numbers. */
  get used(): boolean {
    const { source } = reference
    return !!source?.name && source.lines.join('\n').trimEnd() === this.source.trimEnd()
  }
  /** Both texts, line by line. */
  readonly lines = $derived(diff(this.original, this.source))

  begin(file: string): void {
    if (this.original) return
    this.original = this.source = file
  }
  write(source: string): void {
    if (source !== this.source) this.applied = ''
    this.source = source
    this.line = 0
    this.error = ''
    if (!this.changed) this.diff = false
  }
  /** Apply a preset change to the text: the editor shows the first changed line, and the diff unfolds. */
  apply(name: string, source: string): void {
    this.write(source)
    this.applied = name
    const first = this.lines.findIndex((line) => !line.was || !line.is)
    this.shown = { line: this.lines.slice(first).find((line) => line.is)?.is ?? 1 }
    if (!this.#folded) this.diff = this.changed
  }
  /** Fold or unfold the diff, by the reader's choice. */
  unfold(open: boolean): void {
    this.diff = open
    this.#folded = !open
  }
  /** Let the program compute the numbers of every figure. */
  async take(): Promise<boolean> {
    this.error = ''
    this.line = 0
    this.taking = true
    const wanted = this.#checking()
    try {
      await change('edit', { source: this.source })
      return true
    } catch (reason) {
      if (wanted()) this.fail((reason as Error).message) // the error is about a line of this text
      return false
    } finally {
      this.taking = false
    }
  }
  fail(error: string): void {
    this.error = error
    this.line = Number(/\bline (\d+)/.exec(error)?.[1] ?? 0)
  }
}

export const bench = new Bench()
