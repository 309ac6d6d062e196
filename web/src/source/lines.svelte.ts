// The source of the program that computes the numbers, and the lines of its statements. The program is the installed
// package's reference, unless the reader has edited it.

import { client } from '../engine/page'
import type { Source } from '../engine/protocol'
import { latest } from '../latest'
import { app } from '../state.svelte'

let source = $state.raw<Source | null>(null)

export const reference = {
  get source() {
    return source
  },
}

/** While the component lives, request the source once, and again whenever the program changes. */
export function keepSource(): void {
  const program = $derived(app.model?.program ? app.model.run : '')
  const begin = latest()
  $effect(() => {
    void program
    const wanted = begin()
    void client.ask('source', {}).then((response) => wanted() && (source = response))
    return begin
  })
}

/** Return the number of the line that contains a piece of text, or 0; figures refer to lines by their text. */
export function lineOf(text: string): number {
  return (source?.lines.findIndex((line) => line.includes(text)) ?? -1) + 1
}
