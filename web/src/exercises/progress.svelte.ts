// The solved exercises: saved in the browser if the browser permits storage, and exported to a file on request.

import { say } from '../texts/say'
import words from './text'

const KEY = 'microgpt.exercises'
const KIND = 'progress in the exercises of the microgpt lab'

/** The progress in one exercise. `tries` counts its checks; `solved` is the date of the first correct check, or ''. */
export interface Record {
  tries: number
  solved: string
}
type Records = { [id: string]: Record }

class Progress {
  #records = $state.raw<Records>(stored())
  kept = $state(true) // whether the browser has saved the progress

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
  /** Return the progress as the text of a file. */
  text(): string {
    return JSON.stringify({ kind: KIND, exercises: this.#records }, null, 2)
  }
  /** Merge a file's progress into the current progress without losing a solution. Return the file's exercise count. */
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
      this.kept = false // access denied, or storage full: the page works without it
    }
  }
}

function stored(): Records {
  try {
    return parsed(localStorage.getItem(KEY) ?? '')
  } catch {
    return {} // access denied, nothing stored, or edited by hand
  }
}

/** Return the progress in a file's text. Throws an error for the reader if the text is not a progress file. */
function parsed(text: string): Records {
  let given: { kind?: unknown; exercises?: unknown }
  try {
    given = JSON.parse(text)
  } catch {
    throw new Error(say(words.progress.notJson))
  }
  if (given?.kind !== KIND || typeof given.exercises !== 'object' || !given.exercises) {
    throw new Error(say(words.progress.other))
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
