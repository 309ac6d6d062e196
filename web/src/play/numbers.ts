// Looks up the values of a tensor, row or slice by path among the loaded tensors.

import type { Chapter, Variable, Tensor } from '../engine/protocol'
import { pathAt } from '../places'

export type Tensors = Record<string, Tensor>

export interface Numbers {
  name: string // the prefix of its values' paths: 'wte[4]'
  shape: number[]
  data: number[]
  paths: string[]
}

/** Return the values of 'pos3.layer0.q', 'pos3.layer0.q[4:8]' or 'wte[4]'; undefined if there is no such tensor. */
export function numbersOf(path: string, tensors: Tensors): Numbers | undefined {
  const [, name, row, start, stop] = /^(.*?)(?:\[(\d+)\]|\[(\d+):(\d+)\])?$/.exec(path) ?? []
  const tensor = tensors[name]
  if (!tensor) return undefined
  const { shape, data } = tensor
  const paths = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => pathAt(name, shape, from + i))
  if (row !== undefined) {
    if (shape.length < 2) return { name: path, shape: [], data: [data[+row]], paths: [path] }
    const from = +row * shape[1]
    return {
      name: path,
      shape: [shape[1]],
      data: data.slice(from, from + shape[1]),
      paths: paths(from, from + shape[1]),
    }
  }
  if (start !== undefined)
    return { name: path, shape: [+stop - +start], data: data.slice(+start, +stop), paths: paths(+start, +stop) }
  return { name, shape, data, paths: paths(0, data.length) }
}

/** Return an event's variable by its name; if `after`, with the value that the statement assigns to it. */
export function variable(
  story: Chapter,
  event: Chapter['events'][number],
  name: string,
  after = true,
): Variable | undefined {
  const index = (after ? event.changed[name] : undefined) ?? event.known[name]
  return index === undefined ? undefined : story.variables[index]
}

/** Return the temperature at which a chapter's probabilities are computed: 1, except where the program samples. */
export function temperatureOf(story: Chapter): number {
  const index = story.events.find(({ known }) => 'temperature' in known)?.known.temperature
  const found = index === undefined ? undefined : story.variables[index]
  return found && 'value' in found ? Number(found.value) : 1
}

export function pathOf(found: Variable | undefined): string {
  return found && 'path' in found ? found.path : ''
}
