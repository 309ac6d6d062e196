// Exports a figure as a standalone SVG. SVGs on the page are copied; boxes become rectangles and text becomes <text>,
// at the positions where the browser laid them out; a canvas becomes an image. The export avoids foreignObject, which
// few programs render, and uses the light theme's colours. It omits controls (sliders, buttons, options that are not
// chosen) but shows their settings: see drawing.css.

import { flushSync } from 'svelte'
import { app } from '../state.svelte'
import './drawing.css'
import { box, colour, element, filled } from './paint'
import { copied } from './svg'
import { drawnText, label } from './text'

const MARGIN = 8

/** Return the figure's complete content, including parts scrolled out of view. */
export function asSvg(figure: HTMLElement, title: string): string {
  const [theme, address] = [app.theme, location.href]
  const scrolled = [...figure.querySelectorAll('*')]
    .filter((e) => e.scrollLeft || e.scrollTop)
    .map((e) => ({ e, left: e.scrollLeft, top: e.scrollTop }))
  figure.toggleAttribute('data-drawing', true) // nothing scrolls and no transition runs: see Figure
  flushSync(() => (app.theme = 'light'))
  try {
    return drawing(figure, title, address)
  } finally {
    flushSync(() => (app.theme = theme))
    figure.removeAttribute('data-drawing')
    for (const { e, left, top } of scrolled) e.scrollTo({ left, top, behavior: 'instant' })
  }
}

function drawing(figure: HTMLElement, title: string, address: string): string {
  const { left, top } = figure.getBoundingClientRect()
  const items = [...drawn(figure, left, top)]
  const all = { right: figure.offsetWidth, bottom: figure.offsetHeight }
  for (const e of figure.querySelectorAll('*')) {
    if (!seen(e)) continue
    const { right, bottom } = e.getBoundingClientRect()
    all.right = Math.max(all.right, right - left)
    all.bottom = Math.max(all.bottom, bottom - top)
  }
  const [width, height] = [all.right + 2 * MARGIN, all.bottom + 2 * MARGIN]
  const ground = getComputedStyle(document.documentElement).backgroundColor
  const svg = element(
    'svg',
    { width, height, viewBox: `${-MARGIN} ${-MARGIN} ${Math.ceil(width)} ${Math.ceil(height)}` },
    element('title', {}, title),
    element('desc', {}, `From the microgpt lab: ${address}`),
    element('rect', { x: -MARGIN, y: -MARGIN, width, height, ...filled('fill', colour(ground)) }),
    ...items,
  )
  return new XMLSerializer().serializeToString(svg)
}

const seen = (e: Element) =>
  e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && !e.closest('.visually-hidden, [data-tool]')

function* drawn(e: Element, x: number, y: number): Generator<SVGElement> {
  if (!seen(e)) return
  const style = getComputedStyle(e)
  const faded = style.opacity === '1' ? null : element('g', { opacity: style.opacity })
  const inside = parts(e, style, x, y)
  if (!faded) return yield* inside
  faded.append(...inside)
  yield faded
}

function* parts(e: Element, style: CSSStyleDeclaration, x: number, y: number): Generator<SVGElement> {
  const { left, top, width, height } = e.getBoundingClientRect()
  const at = { x: left - x, y: top - y, width, height }
  if (e instanceof SVGSVGElement) return yield copied(e, x, y)
  if (style.display !== 'contents') {
    if (style.display === 'inline')
      for (const line of e.getClientRects())
        yield* box({ x: line.left - x, y: line.top - y, width: line.width, height: line.height }, style)
    else yield* box(at, style)
  }
  if (e instanceof HTMLCanvasElement) {
    if (e.width && e.height)
      yield element('image', {
        ...at,
        href: e.toDataURL(),
        'image-rendering': 'pixelated',
        preserveAspectRatio: 'none',
      })
  } else if (e instanceof HTMLInputElement) {
    yield label(e.type === 'checkbox' ? (e.checked ? '☑' : '☐') : e.value || e.placeholder, style, at)
  } else if (e instanceof HTMLSelectElement) {
    yield label(e.selectedOptions[0]?.text ?? '', style, at)
  } else {
    yield* pseudo(e, '::before', x, y)
    if (e.shadowRoot) {
      // an editor's shadow root contains more lines than the editor shows: clip them
      yield element(
        'svg',
        { ...at, viewBox: `${at.x} ${at.y} ${width} ${height}` },
        ...children(e.shadowRoot, style, x, y),
      )
    } else yield* children(e, style, x, y)
    yield* pseudo(e, '::after', x, y)
  }
}

function* children(of: Element | ShadowRoot, style: CSSStyleDeclaration, x: number, y: number): Generator<SVGElement> {
  for (const child of of.childNodes) {
    if (child instanceof Text) yield* drawnText(child, style, x, y)
    else if (child instanceof Element && !(child instanceof HTMLStyleElement)) yield* drawn(child, x, y)
  }
}

/** Yield the ::before or ::after of an element, if it is positioned absolutely. */
function* pseudo(e: Element, which: '::before' | '::after', x: number, y: number): Generator<SVGElement> {
  const style = getComputedStyle(e, which)
  if (style.content === 'none' || style.content === 'normal' || style.position !== 'absolute') return
  let owner: Element | null = e
  while (owner && getComputedStyle(owner).position === 'static') owner = owner.parentElement
  if (!owner) return
  const { left, top } = owner.getBoundingClientRect()
  const px = (value: string) => parseFloat(value) || 0
  const content = style.boxSizing === 'border-box' ? 0 : px(style.borderLeftWidth) + px(style.borderRightWidth)
  const moved = style.transform === 'none' ? { e: 0, f: 0 } : new DOMMatrix(style.transform)
  const [shiftX, shiftY] =
    style.translate === 'none'
      ? [0, 0]
      : style.translate
          .split(' ')
          .map((part, i) => (part.endsWith('%') ? (px(part) / 100) * px(i ? style.height : style.width) : px(part)))
  const at = {
    x: left + owner.clientLeft - x + px(style.left) + moved.e + shiftX,
    y: top + owner.clientTop - y + px(style.top) + moved.f + (shiftY ?? 0),
    width: px(style.width) + content,
    height: px(style.height) + content,
  }
  yield* box(at, style)
  const text = /^"(.+)"$/.exec(style.content)?.[1]
  if (text) yield label(text, { ...styleOf(style), textAlign: 'center' } as CSSStyleDeclaration, at)
}

const styleOf = ({ fontFamily, fontSize, fontWeight, color }: CSSStyleDeclaration) => ({
  fontFamily,
  fontSize,
  fontWeight,
  color,
})
