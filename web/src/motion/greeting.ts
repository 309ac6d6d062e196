// A player plays once by itself, when its figure reaches the middle of the screen. A browser remembers which players
// have: somebody who returns is not greeted again.

import { calm } from './calm'

const KEY = 'microgpt.greeted'
const MOMENTS = ['position', 'number', 'exercise', 'present'] // parts of a link that ask for a state

function greeted(): string[] {
  try {
    return localStorage.getItem(KEY)?.split(' ') ?? []
  } catch {
    return [] // access denied
  }
}

function remember(name: string): void {
  try {
    localStorage.setItem(KEY, [...greeted(), name].join(' '))
  } catch {
    // access denied, or storage full: it may greet again
  }
}

function asked(): boolean {
  const link = new URLSearchParams(location.hash.slice(1))
  return MOMENTS.some((part) => link.has(part))
}

/** Call `play` once when the figure around a player's controls comes into view, unless the reader has used the figure.
 * Call `stop` whenever the reader touches anything in the figure except the controls. Return how to end this. */
export function greet(controls: HTMLElement, name: string, play: () => void, stop: () => void): () => void {
  const figure = controls.closest<HTMLElement>('[data-act], figure') // an act is a part of a larger figure
  if (!figure || greeted().includes(name)) return () => {}
  let begun = false
  const touch = (event: Event) => {
    if (begun && !controls.contains(event.target as Node)) stop()
    // a finger that scrolls the page has pressed the figure, too, but clicked nothing
    if (!begun && event.type !== 'pointerdown') end()
  }
  const view = new IntersectionObserver(
    (entries) => {
      if (!entries.some((entry) => entry.isIntersecting) || begun || calm.current || asked()) return
      begun = true
      view.disconnect()
      remember(name)
      play()
    },
    { rootMargin: '-49% 0px' },
  )
  const touches = ['pointerdown', 'keydown', 'click']
  for (const type of touches) figure.addEventListener(type, touch, true)
  function end() {
    view.disconnect()
    for (const type of touches) figure!.removeEventListener(type, touch, true)
  }
  view.observe(figure)
  return end
}
