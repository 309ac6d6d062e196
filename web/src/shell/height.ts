// How high that is which sticks to an edge of the window, for all that must keep clear of it: <header {@attach height('--head')}>
// keeps the variable --head of the page at its height.

import type { Attachment } from 'svelte/attachments'

export const height =
  (name: '--head' | '--dock' | '--sheet'): Attachment<HTMLElement> =>
  (box) => {
    const { style } = document.documentElement
    const watch = new ResizeObserver(() => style.setProperty(name, `${box.getBoundingClientRect().height}px`))
    watch.observe(box)
    return () => {
      watch.disconnect()
      style.removeProperty(name)
    }
  }
