// The source of the program that makes the numbers, and where its statements are: the reference's as it stands in the
// installed package, unless it was edited.

import type { Source } from '../engine/protocol'

let source = $state.raw<Source | null>(null)

export const reference = {
  get source() {
    return source
  },
  set(loaded: Source) {
    source = loaded
  },
}

/** The number of the line that holds this piece of text, 0 if none does: figures name their lines by what stands there. */
export function lineOf(text: string): number {
  return (source?.lines.findIndex((line) => line.includes(text)) ?? -1) + 1
}
