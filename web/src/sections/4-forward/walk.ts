// A position's path through the program: the statements that compute something new, and the tensors that exist after
// each of them.

import type { Chapter, PlayEvent, Variable } from '../../engine/protocol'

export interface Walk {
  stops: PlayEvent[] // the statements that make a tensor, in the order in which they are done
  ready: Map<string, number> // tensor -> the number of stops after which it exists
}

/** Return the moment at which a statement is done: when the program reaches a statement that is no deeper. */
function done(moments: PlayEvent[], i: number): number {
  for (let k = i + 1; k < moments.length; k++) if (moments[k].depth <= moments[i].depth) return k
  return moments.length
}

/** Return the paths of the numbers that a variable holds. */
function paths(variable: Variable): string[] {
  if ('path' in variable) return [variable.path]
  if ('paths' in variable) return variable.paths
  return 'list' in variable ? variable.list.flatMap(paths) : []
}

export function walk(story: Chapter, position: number, tensors: string[]): Walk {
  const here = `pos${position}`
  const moments = story.events.filter(({ owner }) => owner === here || owner.startsWith(`${here}.`))
  const exists = new Map<string, number>() // tensor -> the first moment at which it exists
  const makers = new Map<number, PlayEvent>() // moment -> the statement whose tensors exist from then on
  moments.forEach((moment, i) => {
    const at = done(moments, i)
    for (const path of Object.values(moment.changed).flatMap((index) => paths(story.variables[index]))) {
      const name = path.replace(/(\[\d+\])+$/, '')
      if (!name.startsWith(`${here}.`)) continue
      if ((exists.get(name) ?? Infinity) <= at) continue
      exists.set(name, at)
      makers.set(at, moment)
    }
  })
  // a tensor that the program only passes on exists as soon as the preceding tensor in the table of names
  let last = 0
  for (const name of tensors.filter((name) => name.startsWith(`${here}.`))) {
    if (!exists.has(name)) exists.set(name, last)
    last = Math.max(last, exists.get(name)!)
  }
  const lit = [...new Set([...exists.values()].filter((at) => makers.has(at)))].sort((a, b) => a - b)
  const ready = new Map([...exists].map(([name, at]) => [name, lit.filter((other) => other <= at).length]))
  return { stops: lit.map((at) => makers.get(at)!), ready }
}
