// Where the reader is in a section, and the way back there. The figures of a section that comes again grow as their answers
// come; until they rest, or the reader moves, what stood at the top of the window is held there.

import { untrack } from 'svelte'
import { sections } from '../sections'
import { app } from '../state.svelte'

const PATIENCE = 3000 // milliseconds

/** A section opens at its top, but after the playhead where the reader had left it. */
export function keepReading(): void {
  let left: Reading | undefined // for the playhead, in this section
  let played = app.play
  $effect.pre(() => {
    // before the section goes, or comes back
    if (app.play && !played) left = untrack(() => readingOf(app.section))
    played = app.play
  })
  $effect(() => {
    void [app.section, app.play]
    untrack(() => {
      const { title } = sections[app.section] ?? sections[0]
      document.title = `${app.play ? 'The program, played' : title} · microgpt lab`
      if (!app.play) app.lines = []
    })
    document.getElementById('main')?.scrollTo({ top: 0 })
    scrollTo({ top: 0 })
    if (app.play) return
    const back = left?.section === app.section ? left : undefined
    left = undefined
    return back && goBack(back)
  })
}

interface Reading {
  section: number
  part: number // of the section: the first that is seen
  top: number // where it stands in the window
}

const parts = () => [...document.querySelectorAll<HTMLElement>('#main > :not(.exercise)')]

function readingOf(section: number): Reading | undefined {
  if (!scrollY) return
  const all = parts()
  const part = all.findIndex((one) => one.getBoundingClientRect().bottom > 0)
  return part < 0 ? undefined : { section, part, top: all[part].getBoundingClientRect().top }
}

/** Gives what ends it. */
function goBack({ part, top }: Reading): () => void {
  const main = document.getElementById('main')!
  const hold = () => {
    const one = parts()[part]
    if (one) scrollBy({ top: one.getBoundingClientRect().top - top, behavior: 'instant' })
  }
  const watch = new ResizeObserver(hold)
  const see = () => parts().forEach((one) => watch.observe(one))
  const grown = new MutationObserver(see)
  const end = () => {
    watch.disconnect()
    grown.disconnect()
    clearTimeout(timer)
    for (const name of MOVES) removeEventListener(name, end, true)
  }
  const timer = setTimeout(end, PATIENCE)
  for (const name of MOVES) addEventListener(name, end, true)
  grown.observe(main, { childList: true })
  see()
  return end
}

const MOVES = ['wheel', 'touchstart', 'pointerdown', 'keydown']
