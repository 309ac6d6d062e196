// Copies an SVG of the page: the same elements, with their computed styles written as attributes.

import { colour, element, filled, round } from './paint'

const KEPT = [
  'stroke-width', 'stroke-dasharray', 'stroke-linecap', 'stroke-linejoin', 'font-family', 'font-size', 'font-weight', 'font-style',
  'text-anchor', 'dominant-baseline', 'paint-order', 'clip-path', 'marker-end', 'vector-effect',
] // prettier-ignore
const DEFAULT = new Set(['none', 'normal', 'auto', 'start', 'butt', 'miter'])
const PLACED = ['cx', 'cy', 'r', 'x', 'y', 'width', 'height', 'rx'] // a style sheet may set these too

/** Return a copy of an SVG at its position in the figure. */
export function copied(svg: SVGSVGElement, x: number, y: number): SVGElement {
  const box = svg.getBoundingClientRect()
  const shown = element('svg', {
    x: box.left - x,
    y: box.top - y,
    width: box.width,
    height: box.height,
    overflow: 'visible',
    ...(svg.hasAttribute('viewBox') ? { viewBox: svg.getAttribute('viewBox')! } : {}),
    ...(svg.hasAttribute('preserveAspectRatio')
      ? { preserveAspectRatio: svg.getAttribute('preserveAspectRatio')! }
      : {}),
  })
  for (const child of svg.childNodes) append(child, shown)
  return shown
}

function append(node: Node, to: SVGElement): void {
  if (node instanceof Text) return void (node.data.trim() && to.append(node.data.replace(/\s+/g, ' ').trim()))
  if (!(node instanceof SVGElement)) return
  const style = getComputedStyle(node)
  if (style.display === 'none' || style.visibility === 'hidden') return
  const made = document.createElementNS('http://www.w3.org/2000/svg', node.localName)
  for (const { name, value } of node.attributes)
    if (!/^(class|style|on.*|aria-.*|role|tabindex|xmlns.*)$/.test(name)) made.setAttribute(name, value)
  for (const what of ['fill', 'stroke'] as const) {
    const paint = style[what]
    if (paint === 'none') made.setAttribute(what, 'none')
    else if (paint.startsWith('url')) made.setAttribute(what, paint)
    else {
      const { rgb, alpha } = colour(paint)
      const opacity = alpha * Number(style[`${what}Opacity`])
      for (const [name, value] of Object.entries(filled(what, { rgb, alpha: round(opacity) })))
        made.setAttribute(name, String(value))
    }
  }
  if (style.opacity !== '1') made.setAttribute('opacity', style.opacity)
  for (const name of KEPT) {
    const value = style.getPropertyValue(name)
    if (value && !DEFAULT.has(value)) made.setAttribute(name, value)
  }
  for (const name of PLACED) {
    const value = style.getPropertyValue(name)
    if (!made.hasAttribute(name) && /^-?[\d.]+px$/.test(value) && node.matches('circle, rect, ellipse'))
      made.setAttribute(name, value)
  }
  if (style.transform !== 'none' && !node.hasAttribute('transform')) made.setAttribute('transform', style.transform)
  for (const child of node.childNodes) append(child, made)
  to.append(made)
}
