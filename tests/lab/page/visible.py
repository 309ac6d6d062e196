"""The visible part of a section: its texts, and the top of its first drawing of data."""

from __future__ import annotations

from lab.page.browser import Visit

# The first drawing of data that is at least `least` pixels high: a picture, or the numbers of a part of the page
# without headings, prose and controls. An editor's text is the workbench's drawing. A canvas always draws data, in
# however few pixels; an svg can be an icon
DRAWING = """(least) => {
  const main = document.getElementById('main')
  const seen = (e) => e.checkVisibility() && e.getBoundingClientRect().height > 0
  const pictures = [...main.querySelectorAll('figure :is(svg, canvas)')].filter(
    (e) => seen(e) && !e.closest('button') && (e.matches('canvas') || e.getBoundingClientRect().height >= 30))
  const numbers = [...main.querySelectorAll('figure [data-path]')].filter(seen)
  const roots = [main, ...[...main.querySelectorAll('*')].flatMap((e) => e.shadowRoot ?? [])]  // the editor has its own
  const fields = roots.flatMap((root) => [...root.querySelectorAll("[role=textbox][aria-multiline=true]")])
  const editors = fields.filter(seen)
  const not = 'h1, h2, h3, h4, figcaption, .prose, details, input, select, textarea, [role=radiogroup]'
  const found = []
  const note = (parts) => {
    const boxes = parts.map((e) => e.getBoundingClientRect())
    const top = Math.min(...boxes.map((b) => b.top)) + scrollY
    const bottom = Math.max(...boxes.map((b) => b.bottom)) + scrollY
    if (bottom - top >= least) found.push([Math.round(top), Math.round(bottom)])
  }
  for (const picture of [...pictures, ...editors]) note([picture])
  for (const part of main.querySelectorAll('figure *')) {
    const inside = numbers.filter((e) => part.contains(e))
    const drawn = pictures.filter((e) => part.contains(e))
    // a heading inside a drawing, below its beginning, belongs to it
    const first = drawn[0]?.getBoundingClientRect().top ?? -1
    const above = [...part.querySelectorAll(not)].some(
      (e) => !e.matches('h4') || first < 0 || e.getBoundingClientRect().top < first)
    if (part.matches(not) || above || part.closest('details, figcaption, .prose')) continue
    if (inside.length > 3 || drawn.length > 1) note([...inside, ...drawn])
  }
  return found.sort((a, b) => a[0] - b[0])[0] ?? null
}"""

# The visible texts of the page or of a part of it, one by one, with the labels that screen readers read. Left out:
# whatever matches `without`
TEXTS = """([root, without]) => {
  const found = []
  for (const one of document.querySelectorAll(root)) {
    const walk = document.createTreeWalker(one, NodeFilter.SHOW_TEXT)
    for (let node; (node = walk.nextNode()); ) {
      const parent = node.parentElement
      const text = node.textContent.trim()
      if (text && parent.checkVisibility({ visibilityProperty: true }) && !(without && parent.closest(without)))
        found.push(text)
    }
  }
  return found
}"""
LABELS = """([root, without]) => {
  const names = ['aria-label', 'title', 'placeholder', 'alt', 'aria-valuetext']
  return [...document.querySelectorAll(root)].flatMap((one) => [...one.querySelectorAll('*')]).flatMap((e) =>
    e.checkVisibility() && !(without && e.closest(without)) ? names.map((n) => e.getAttribute(n)).filter(Boolean) : [])
}"""


def first_drawing(tab: Visit, least: int = 150) -> tuple[int, int] | None:
    """Return the top and the bottom of a section's first drawing of data, in pixels from the page's top."""
    found = tab.page.evaluate(DRAWING, least)
    return tuple(found) if found else None


def texts(tab: Visit, root: str, without: str = "") -> list[str]:
    found: list[str] = tab.page.evaluate(TEXTS, [root, without])
    return found


def labels(tab: Visit, root: str, without: str = "") -> list[str]:
    found: list[str] = tab.page.evaluate(LABELS, [root, without])
    return found
