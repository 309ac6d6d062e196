// Moves the focus off the button that opened the playhead, so that every key, even the space bar, reaches the playhead.
// On leaving, the focus returns to the button.

export function takeFocus(section: HTMLElement): (() => void) | undefined {
  const from = document.activeElement
  if (!(from instanceof HTMLButtonElement)) return
  section.focus({ preventScroll: true })
  return () => {
    if (document.activeElement === document.body) from.focus({ preventScroll: true })
  }
}
