// A position's path through the program: its statements in order, and the tensors that exist at each statement.

import type { Chapter, PlayEvent, Variable } from '../../engine/protocol'

export interface Walk {
  moments: PlayEvent[] // the statements, in the order in which the program reaches them
  ready: Map<string, number> // tensor -> the first moment at which it exists; moments.length: at the end
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
  const ready = new Map<string, number>()
  moments.forEach((moment, i) => {
    const at = done(moments, i)
    for (const path of Object.values(moment.changed).flatMap((index) => paths(story.variables[index]))) {
      const name = path.replace(/(\[\d+\])+$/, '')
      ready.set(name, Math.min(at, ready.get(name) ?? at))
    }
  })
  // a tensor that the program only passes on exists as soon as the preceding tensor in the table of names
  let last = 0
  for (const name of tensors.filter((name) => name.startsWith(`${here}.`))) {
    if (!ready.has(name)) ready.set(name, last)
    last = Math.max(last, ready.get(name)!)
  }
  return { moments, ready }
}
