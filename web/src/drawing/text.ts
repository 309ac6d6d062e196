// The page's text as SVG: one <text> per line, at its measured position.

import { colour, element, filled } from './paint'

const measure = document.createElement('canvas').getContext('2d')!

interface Run {
  text: string
  box: DOMRect
}

/** Return the lines that a text node fills. */
function runs(node: Text): Run[] {
  const text = node.data
  const range = document.createRange()
  const of = (from: number, to: number) => {
    range.setStart(node, from)
    range.setEnd(node, to)
    return range
  }
  const [first, end] = [text.search(/\S/), text.trimEnd().length]
  if (first < 0) return []
  const boxes = of(first, end).getClientRects()
  if (boxes.length === 1) return [{ text: text.slice(first, end), box: boxes[0] }]

  const found: Run[] = [] // several lines: the position of each word shows which line it is on
  let [start, last] = [-1, -1]
  const put = () =>
    start >= 0 && found.push({ text: text.slice(start, last), box: of(start, last).getBoundingClientRect() })
  let top = NaN
  for (const { index, 0: word } of text.matchAll(/\S+/g)) {
    for (const [from, to] of pieces(word, index, of)) {
      const box = of(from, to).getBoundingClientRect()
      if (Math.abs(box.top - top) > box.height / 2 || Number.isNaN(top)) {
        put()
        ;[start, top] = [from, box.top]
      }
      last = to
    }
  }
  put()
  return found
}

/** Split a word that is broken across lines into its letters. */
function pieces(word: string, index: number, of: (from: number, to: number) => Range): [number, number][] {
  if (of(index, index + word.length).getClientRects().length === 1) return [[index, index + word.length]]
  return [...word].map((_, i) => [index + i, index + i + 1])
}

export function* drawnText(node: Text, style: CSSStyleDeclaration, x: number, y: number): Generator<SVGElement> {
  const font = {
    'font-family': style.fontFamily,
    'font-size': parseFloat(style.fontSize),
    'font-weight': style.fontWeight,
  }
  measure.font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`
  for (const { text, box } of runs(node)) {
    if (!box.width) continue
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = measure.measureText(text)
    const said = text.replace(/\s+/g, ' ')
    yield element(
      'text',
      {
        x: box.left - x,
        y: box.top - y + (box.height - up - down) / 2 + up,
        // the same length even if the font is missing
        textLength: box.width,
        lengthAdjust: 'spacingAndGlyphs',
        ...font,
        ...(style.fontStyle === 'normal' ? {} : { 'font-style': style.fontStyle }),
        ...(style.textDecorationLine === 'none' ? {} : { 'text-decoration': style.textDecorationLine }),
        ...filled('fill', colour(style.color)),
      },
      style.textTransform === 'uppercase' ? said.toUpperCase() : said,
    )
  }
}

/** Return the text of a control, which is not a text node, vertically centred. */
export function label(
  text: string,
  style: CSSStyleDeclaration,
  box: { x: number; y: number; width: number; height: number },
): SVGElement {
  const middle = style.textAlign === 'center'
  return element(
    'text',
    {
      x: middle ? box.x + box.width / 2 : box.x + parseFloat(style.paddingLeft || '0') + 1,
      y: box.y + box.height / 2,
      'dominant-baseline': 'central',
      ...(middle ? { 'text-anchor': 'middle' } : {}),
      'font-family': style.fontFamily,
      'font-size': parseFloat(style.fontSize),
      'font-weight': style.fontWeight,
      ...filled('fill', colour(style.color)),
    },
    text,
  )
}
