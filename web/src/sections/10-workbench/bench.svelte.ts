// What is on the workbench: the text as it was edited, which stays while other sections are read and goes nowhere else:
// it is in no address and in no storage.

import type { Program } from '../../engine/protocol'
import { change } from '../../live.svelte'
import { reference } from '../../source/lines.svelte'
import { app } from '../../state.svelte'
import { diff } from './diff'

class Bench {
  original = $state('') // the file
  source = $state('') // as it is edited now
  line = $state(0) // the line that the last error speaks of, 0 for none
  error = $state('') // why the program cannot be taken
  shown = $state.raw<{ line: number } | null>(null) // the line that the editor is to show
  diff = $state(false) // whether what was changed is unfolded
  applied = $state('') // the prepared change that stands in it, '' once somebody has written on
  #folded = false // the reader has closed it, and it opens no more by itself
  applying = $state(false) // a prepared change is on its way
  taking = $state(false) // the session is trying it
  own = $state.raw<{ name: string; text: string } | null>(null) // the reader's own documents, as loaded last

  get changed(): boolean {
    return this.source !== this.original
  }
  get program(): Program | null {
    return app.model?.program ?? null
  }
  /** Whether this text is the program that makes the figures' numbers. */
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
  /** A prepared change in the place of what was edited: the editor shows its first line, and what was changed unfolds. */
  apply(name: string, source: string): void {
    this.write(source)
    this.applied = name
    const first = this.lines.findIndex((line) => !line.was || !line.is)
    this.shown = { line: this.lines.slice(first).find((line) => line.is)?.is ?? 1 }
    if (!this.#folded) this.diff = this.changed
  }
  /** What was changed, unfolded or folded by the reader. */
  unfold(open: boolean): void {
    this.diff = open
    this.#folded = !open
  }
  /** Let it make the numbers of every figure. */
  async take(): Promise<boolean> {
    this.error = ''
    this.line = 0
    this.taking = true
    try {
      await change('edit', { source: this.source })
      return true
    } catch (reason) {
      this.fail((reason as Error).message)
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
