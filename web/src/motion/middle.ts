// Where something is inside a box, however deep, in the box's own pixels: the same at every zoom.

import type { Point } from './ways'

/** Return the middle of an element inside a positioned box. */
export function middle(e: HTMLElement, box: HTMLElement): Point {
  let [x, y] = [e.offsetWidth / 2, e.offsetHeight / 2]
  for (let inner = e; inner !== box;) {
    const outer = inner.offsetParent as HTMLElement | null
    x += inner.offsetLeft
    y += inner.offsetTop
    if (!outer || outer === box) break
    x += outer.clientLeft // its border
    y += outer.clientTop
    inner = outer
  }
  return { x, y }
}
