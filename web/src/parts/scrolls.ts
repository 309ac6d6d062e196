// A box that scrolls must be reachable by keyboard, have a label, and show that there is more content:
// <div {@attach scrolls('The matrices')}>.

import type { Attachment } from 'svelte/attachments'

export const scrolls =
  (label: string): Attachment<HTMLElement> =>
  (box) => {
    box.tabIndex = 0
    box.setAttribute('role', 'group')
    box.setAttribute('aria-label', label)

    // a side with more content beyond it fades out (style/base.css)
    const look = () => {
      const left = Math.abs(box.scrollLeft)
      box.toggleAttribute('data-more-left', left > 1)
      box.toggleAttribute('data-more-right', left + box.clientWidth < box.scrollWidth - 1)
    }
    const sizes = new ResizeObserver(look)
    const watch = () => {
      sizes.observe(box)
      for (const child of box.children) sizes.observe(child)
    }
    const children = new MutationObserver(watch)
    watch()
    children.observe(box, { childList: true })
    box.addEventListener('scroll', look, { passive: true })
    return () => {
      sizes.disconnect()
      children.disconnect()
      box.removeEventListener('scroll', look)
    }
  }

/** Return the behavior for automatic scrolling: smooth, unless the reader prefers reduced motion. */
export const glide = (): ScrollBehavior =>
  matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth'
