// The source of the program that makes the numbers, and where its statements are: the reference's as it stands in the
// installed package, unless it was edited.

import { client } from '../engine/page'
import type { Source } from '../engine/protocol'
import { app } from '../state.svelte'

let source = $state.raw<Source | null>(null)

export const reference = {
  get source() {
    return source
  },
}

/** Ask for the source while the component lives: once, and again whenever another program makes the numbers. */
export function keepSource(): void {
  const program = $derived(app.model?.program ? app.model.run : '')
  $effect(() => {
    void program
    void client.ask('source', {}).then((answer) => (source = answer))
  })
}

/** The number of the line that holds this piece of text, 0 if none does: figures name their lines by what stands there. */
export function lineOf(text: string): number {
  return (source?.lines.findIndex((line) => line.includes(text)) ?? -1) + 1
}
