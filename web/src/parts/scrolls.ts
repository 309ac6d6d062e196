// What scrolls must be reached by keyboard, and say what it is: <div {@attach scrolls('The matrices')}>.

import type { Attachment } from 'svelte/attachments'

export const scrolls =
  (label: string): Attachment<HTMLElement> =>
  (box) => {
    box.tabIndex = 0
    box.setAttribute('role', 'group')
    box.setAttribute('aria-label', label)
  }

/** How it is scrolled for the reader: smoothly, unless motion is reduced. */
export const glide = (): ScrollBehavior => (matchMedia('(prefers-reduced-motion: reduce)').matches ? 'instant' : 'smooth')
