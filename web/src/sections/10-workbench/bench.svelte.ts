// What is on the workbench: the text as it was edited, which stays while other sections are read and goes nowhere else:
// it is in no address and in no storage.

import type { Program } from '../../engine/protocol'
import { change } from '../../live.svelte'
import { reference } from '../../source/lines.svelte'
import { app } from '../../state.svelte'

class Bench {
  original = $state('') // the file
  source = $state('') // as it is edited now
  line = $state(0) // the line that the last error speaks of, 0 for none
  error = $state('') // why the program cannot be taken
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
  begin(file: string): void {
    if (this.original) return
    this.original = this.source = file
  }
  write(source: string): void {
    this.source = source
    this.line = 0
    this.error = ''
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
