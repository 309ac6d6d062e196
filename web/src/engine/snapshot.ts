// The answers that the build computed with the package, for the time until Python answers.

import type { Method } from './protocol'

export type Snapshot = Map<string, unknown>

/** A question as one text, whatever the order of its parameters. */
export function keyOf(method: Method, params: unknown): string {
  return `${method} ${JSON.stringify(params, sortedKeys)}`
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Where there is none, an empty one: the page then waits for Python. */
export async function readSnapshot(root: string): Promise<Snapshot> {
  try {
    const response = await fetch(new URL('snapshot.json', root))
    const answers: Record<string, unknown> = response.ok ? await response.json() : {}
    return new Map(Object.entries(answers).map(([key, answer]) => [ours(key), answer]))
  } catch {
    return new Map()
  }
}

/** Python writes 1.0 where JavaScript writes 1. */
function ours(key: string): string {
  const space = key.indexOf(' ')
  return keyOf(key.slice(0, space) as Method, JSON.parse(key.slice(space + 1)))
}
