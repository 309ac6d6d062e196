// A position's way through the program: its statements one after another, and what is there when each is reached.

import type { Play } from '../../engine/protocol'

export type Moment = Play['events'][number]

export interface Walk {
  moments: Moment[] // the statements, in the order in which the program arrives at them
  ready: Map<string, number> // tensor -> the first moment at which it is there; moments.length: at the end
}

/** A statement that calls others is done when the program arrives at one that lies no deeper. */
function done(moments: Moment[], i: number): number {
  for (let k = i + 1; k < moments.length; k++) if (moments[k].depth <= moments[i].depth) return k
  return moments.length
}

export function walk(play: Play, position: number, tensors: string[]): Walk {
  const here = `pos${position}`
  const moments = play.events.filter(({ owner }) => owner === here || owner.startsWith(`${here}.`))
  const ready = new Map<string, number>()
  moments.forEach((moment, i) => {
    const at = done(moments, i)
    for (const path of moment.paths) {
      const name = path.replace(/(\[\d+\])+$/, '')
      ready.set(name, Math.min(at, ready.get(name) ?? at))
    }
  })
  // what the program only hands on is there as soon as what stands before it in the table of names
  let last = 0
  for (const name of tensors.filter((name) => name.startsWith(`${here}.`))) {
    if (!ready.has(name)) ready.set(name, last)
    last = Math.max(last, ready.get(name)!)
  }
  return { moments, ready }
}
