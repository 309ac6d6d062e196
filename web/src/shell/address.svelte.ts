// The address: the saved form of the state, written as the state changes, read when the reader goes back or opens a link.

import { follow } from '../follow'
import { app, read, write } from '../state.svelte'

const OURS = 'ours' // what a place in the browser's history is marked with
const OFTEN = 350 // milliseconds: browsers refuse an address that changes all the time, Safari after 100 times in 30 s

let known = location.hash // the address as this page last read or wrote it

const momentless = (fragment: string) => fragment.replace(/\bat=\d+&?/, '').replace(/&$/, '')

/** Keep the address up to date while the component lives. Another section or chapter is a place to come back to. */
export function keepAddress(): void {
  history.replaceState(OURS, '')
  let written = -Infinity
  $effect(() => {
    const fragment = write(app.saved)
    if (fragment === location.hash || (fragment === '#' && !location.hash)) return
    const before = read(location.hash)
    const moved = before.section !== app.section || before.play !== app.play
    const record = () => {
      if (location.hash !== known) return // the reader has just changed it: arrive() reads it, so leave it as it is
      history[moved ? 'pushState' : 'replaceState'](OURS, '', fragment)
      known = location.hash
      written = performance.now()
    }
    const wait = written + OFTEN - performance.now()
    if (wait <= 0 || momentless(fragment) !== momentless(location.hash)) return record()
    const timer = setTimeout(record, wait)
    return () => clearTimeout(timer)
  })
}

/** Take over an address that has changed: a way back leaves the model as it is, a link may ask for another. */
export function arrive(): void {
  const { step, config } = app // of the model at hand
  app.load(location.hash)
  const asked = app.saved
  Object.assign(app, { step, config })
  const isLink = history.state !== OURS
  history.replaceState(OURS, '', write(app.saved))
  known = location.hash
  if (isLink && (asked.step !== step || asked.config !== config)) void follow(asked)
}
