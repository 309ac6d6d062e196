// Measures an element that sticks to an edge of the window, for other elements that must keep clear of it:
// <header {@attach height('--head')}> keeps the page's variable --head equal to the header's height.

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
