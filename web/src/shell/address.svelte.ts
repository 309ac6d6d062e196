// The address: the saved form of the state. It is written when the state changes, and read when the reader goes back or
// opens a link.

import { follow } from '../follow'
import { app, read, write } from '../state.svelte'
import { takeToken } from '../token'

const OURS = 'ours' // marks this page's entries in the browser's history
const OFTEN = 350 // milliseconds: browsers limit how often the address may change; Safari allows 100 changes in 30 s

let known: string // the address as this page last read or wrote it

const momentless = (fragment: string) => fragment.replace(/\bat=\d+&?/, '').replace(/&$/, '')

/** Keep the address up to date while the component lives. A new section or chapter gets its own history entry. */
export function keepAddress(): void {
  history.replaceState(OURS, '')
  known = location.hash
  let written = -Infinity
  $effect(() => {
    const fragment = write(app.saved)
    if (fragment === location.hash || (fragment === '#' && !location.hash)) return
    const before = read(location.hash)
    const moved = before.section !== app.section || before.play !== app.play
    const record = () => {
      if (location.hash !== known) return // the reader has just changed the address: arrive() will read it
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

/** Load the state from a changed address: going back leaves the model unchanged, but a link may need another model. */
export function arrive(): void {
  takeToken()
  const { step, config } = app // of the current model
  app.load(location.hash)
  const asked = app.saved
  Object.assign(app, { step, config })
  const isLink = history.state !== OURS
  history.replaceState(OURS, '', write(app.saved))
  known = location.hash
  if (isLink && (asked.step !== step || asked.config !== config)) void follow(asked)
}
