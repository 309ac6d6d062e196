// A stand-in for a component: an owner of effects that a test can destroy.

import { flushSync } from 'svelte'

const ends: (() => void)[] = []

export function inComponent<T>(make: () => T): T {
  let made: T
  ends.push($effect.root(() => void (made = make())))
  flushSync()
  return made!
}

/** Destroy every component that a test has created. */
export function leave(): void {
  for (const end of ends.splice(0)) end()
}

export { flushSync }
