// Remembers the reader's place in a section and returns to it. After a return, the figures grow as their responses
// arrive; until they stop growing, or the reader moves, the part at the top of the window is held there.

import { untrack } from 'svelte'
import { sections } from '../sections'
import { app } from '../state.svelte'
import { say } from '../texts/say'
import text from './text'

const PATIENCE = 3000 // milliseconds

/** Open a section at its top or, after the playhead closes, at the place where the reader left the section. */
export function keepReading(): void {
  let left: Reading | undefined // where the reader left the section for the playhead
  let played = app.play
  $effect.pre(() => {
    // before the section is removed or shown again
    if (app.play && !played) left = untrack(() => readingOf(app.section))
    played = app.play
  })
  $effect(() => {
    void [app.section, app.play]
    untrack(() => {
      const { title } = sections[app.section] ?? sections[0]
      document.title = say(text.page.titled, { title: say(app.play ? text.page.playing : title) })
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
  part: number // the index of the section's first visible part
  top: number // its position in the window
}

const parts = () => [...document.querySelectorAll<HTMLElement>('#main > :not(.exercise)')]

function readingOf(section: number): Reading | undefined {
  if (!scrollY) return
  const all = parts()
  const part = all.findIndex((one) => one.getBoundingClientRect().bottom > 0)
  return part < 0 ? undefined : { section, part, top: all[part].getBoundingClientRect().top }
}

/** Return to a place and hold the scroll position there. Return the function that stops holding it. */
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
