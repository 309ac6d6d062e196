// Which exercises are solved: kept in this browser, where it allows it, and in a file that the reader may keep.

const KEY = 'microgpt.exercises'
const KIND = 'progress in the exercises of the microgpt lab'

/** tries: how often it was judged; solved: the day on which it was right for the first time, '' before. */
export interface Record {
  tries: number
  solved: string
}
type Records = { [id: string]: Record }

class Progress {
  #records = $state.raw<Records>(stored())
  kept = $state(true) // whether the browser keeps it

  of(id: string): Record {
    return this.#records[id] ?? { tries: 0, solved: '' }
  }
  get solved(): number {
    return Object.values(this.#records).filter(({ solved }) => solved).length
  }
  judged(id: string, right: boolean): void {
    const { tries, solved } = this.of(id)
    const today = new Date().toISOString().slice(0, 10)
    this.#set({ ...this.#records, [id]: { tries: tries + 1, solved: solved || (right ? today : '') } })
  }
  reset(): void {
    this.#set({})
  }
  /** As the text of a file. */
  text(): string {
    return JSON.stringify({ kind: KIND, exercises: this.#records }, null, 2)
  }
  /** What a file says, beside what is known: nothing that was solved is lost. Gives how many it tells of. */
  read(text: string): number {
    const found = parsed(text)
    const both = { ...this.#records }
    for (const [id, { tries, solved }] of Object.entries(found)) {
      const own = this.of(id)
      both[id] = { tries: Math.max(tries, own.tries), solved: [own.solved, solved].filter(Boolean).sort()[0] ?? '' }
    }
    this.#set(both)
    return Object.keys(found).length
  }
  #set(records: Records): void {
    this.#records = records
    try {
      localStorage.setItem(KEY, this.text())
      this.kept = true
    } catch {
      this.kept = false // it is denied, or full: the page goes on without
    }
  }
}

function stored(): Records {
  try {
    return parsed(localStorage.getItem(KEY) ?? '')
  } catch {
    return {} // denied, empty, or changed by hand
  }
}

/** Throws, in words, for what is no such file. */
function parsed(text: string): Records {
  let given: { kind?: unknown; exercises?: unknown }
  try {
    given = JSON.parse(text)
  } catch {
    throw new Error('This is no JSON: choose a file that was exported here.')
  }
  if (given?.kind !== KIND || typeof given.exercises !== 'object' || !given.exercises) {
    throw new Error('This is no file of exercises: choose one that was exported here.')
  }
  const records = Object.entries(given.exercises as { [id: string]: Partial<Record> })
  return Object.fromEntries(
    records.map(([id, { tries, solved }]) => [
      id.slice(0, 100),
      {
        tries: Number.isSafeInteger(tries) ? Number(tries) : 0,
        solved: /^\d{4}-\d\d-\d\d$/.test(String(solved)) ? String(solved) : '',
      },
    ]),
  )
}

export const progress = new Progress()
