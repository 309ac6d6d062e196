// Where the reader is in a section, and the way back there. The figures of a section that comes again grow as their answers
// come; until they rest, or the reader moves, what stood at the top of the window is held there.

const PATIENCE = 3000 // milliseconds

export interface Reading {
  section: number
  part: number // of the section: the first that is seen
  top: number // where it stands in the window
}

const parts = () => [...document.querySelectorAll<HTMLElement>('#main > :not(.exercise)')]

export function readingOf(section: number): Reading | undefined {
  if (!scrollY) return
  const all = parts()
  const part = all.findIndex((one) => one.getBoundingClientRect().bottom > 0)
  return part < 0 ? undefined : { section, part, top: all[part].getBoundingClientRect().top }
}

/** Gives what ends it. */
export function goBack({ part, top }: Reading): () => void {
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
