// The responses that the build computed with the package, used until Python is ready.

import type { Method } from './protocol'

interface Index {
  responses: Record<string, unknown>
  files: Record<string, string> // the files that contain the long responses; most of these files are never fetched
}

/** Return a request as one string that does not depend on the order of its parameters. */
export function keyOf(method: Method, params: unknown): string {
  return `${method} ${JSON.stringify(params, sortedKeys)}`
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

export class Snapshot {
  #root: string
  #responses: Promise<Map<string, () => Promise<unknown>>>

  constructor(root: string) {
    this.#root = root
    this.#responses = this.#read<Index>('snapshot.json').then(
      ({ responses, files }) =>
        new Map([
          ...Object.entries(responses).map(([key, response]) => [canonical(key), async () => response] as const),
          ...Object.entries(files).map(([key, file]) => [canonical(key), () => this.#read(file)] as const),
        ]),
      () => new Map(), // no snapshot: the page waits for Python
    )
  }

  /** Return a response; rejects if the build did not compute it. */
  async response(key: string): Promise<unknown> {
    const fetched = (await this.#responses).get(key)
    if (!fetched) throw new Error(`not in the snapshot: ${key}`)
    return fetched()
  }

  async #read<T>(file: string): Promise<T> {
    const response = await fetch(new URL(file, this.#root))
    if (!response.ok) throw new Error(`${file}: ${response.status} ${response.statusText}`)
    return response.json()
  }
}

/** Rewrite a key as keyOf would: Python writes 1.0 where JavaScript writes 1. */
function canonical(key: string): string {
  const space = key.indexOf(' ')
  return keyOf(key.slice(0, space) as Method, JSON.parse(key.slice(space + 1)))
}
