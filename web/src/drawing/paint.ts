// Colours, borders and backgrounds as SVG: plain rgb with an opacity, regardless of the notation in the style sheet.

const SVG = 'http://www.w3.org/2000/svg'

export interface Colour {
  rgb: string
  alpha: number
}

export function element(
  name: string,
  attributes: Record<string, string | number>,
  ...children: (Node | string)[]
): SVGElement {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes))
    made.setAttribute(key, String(typeof value === 'number' ? round(value) : value))
  made.append(...children)
  return made
}

export const round = (x: number) => Math.round(x * 100) / 100

const known = new Map<string, Colour>()
let pixel: CanvasRenderingContext2D | undefined

/** Convert any CSS colour to rgb: other programs understand few of the CSS notations. */
export function colour(css: string): Colour {
  let found = known.get(css)
  if (!found) {
    pixel ??= Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', {
      willReadFrequently: true,
    })!
    pixel.clearRect(0, 0, 1, 1)
    pixel.fillStyle = css
    pixel.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = pixel.getImageData(0, 0, 1, 1).data
    known.set(css, (found = { rgb: `rgb(${r},${g},${b})`, alpha: Math.round((a / 255) * 1000) / 1000 }))
  }
  return found
}

export interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** Yield the background and the border of an element's box. */
export function* box({ x, y, width, height }: Box, style: CSSStyleDeclaration): Generator<SVGElement> {
  if (width <= 0 || height <= 0) return
  const radius = Math.min(parseFloat(style.borderTopLeftRadius) || 0, width / 2, height / 2)
  const rounded: Record<string, number> = radius ? { rx: radius } : {}
  const ground = colour(style.backgroundColor)
  if (ground.alpha) yield element('rect', { x, y, width, height, ...rounded, ...filled('fill', ground) })
  if (style.backgroundImage !== 'none' && style.backgroundSize === 'auto')
    yield* gradients({ x, y, width, height }, style.backgroundImage, rounded)

  const [, ring, spread] = /^(.*\)) 0px 0px 0px ([\d.]+)px$/.exec(style.boxShadow) ?? []
  if (ring) {
    const [half, size] = [Number(spread) / 2, Number(spread)]
    const outer = {
      x: x - half,
      y: y - half,
      width: width + size,
      height: height + size,
      ...(radius ? { rx: radius + half } : {}),
    }
    yield element('rect', { ...outer, fill: 'none', ...filled('stroke', colour(ring)), 'stroke-width': size })
  }

  const sides = (['Top', 'Right', 'Bottom', 'Left'] as const).map((side) => ({
    width: style[`border${side}Style`] === 'none' ? 0 : parseFloat(style[`border${side}Width`]),
    css: style[`border${side}Color`],
    style: style[`border${side}Style`],
  }))
  const [top] = sides
  const dashes = ({ style }: { style: string }): Record<string, string> => {
    const pattern = { dashed: '4 3', dotted: '1 2' }[style]
    return pattern ? { 'stroke-dasharray': pattern } : {}
  }
  if (top.width && sides.every((side) => side.width === top.width && side.css === top.css)) {
    const half = top.width / 2
    const inner = { x: x + half, y: y + half, width: width - top.width, height: height - top.width }
    if (colour(top.css).alpha)
      yield element('rect', {
        ...inner,
        ...rounded,
        fill: 'none',
        ...filled('stroke', colour(top.css)),
        'stroke-width': top.width,
        ...dashes(top),
      })
    return
  }
  const ends = [
    [x, y, x + width, y, 0, 1],
    [x + width, y, x + width, y + height, -1, 0],
    [x, y + height, x + width, y + height, 0, -1],
    [x, y, x, y + height, 1, 0],
  ]
  for (const [i, side] of sides.entries()) {
    if (!side.width || !colour(side.css).alpha) continue
    const [x1, y1, x2, y2, right, down] = ends[i]
    const [dx, dy] = [(right * side.width) / 2, (down * side.width) / 2]
    yield element('line', {
      x1: x1 + dx,
      y1: y1 + dy,
      x2: x2 + dx,
      y2: y2 + dy,
      ...filled('stroke', colour(side.css)),
      'stroke-width': side.width,
      ...dashes(side),
    })
  }
}

export function filled(what: 'fill' | 'stroke', { rgb, alpha }: Colour): Record<string, string | number> {
  return { [what]: rgb, ...(alpha < 1 ? { [`${what}-opacity`]: alpha } : {}) }
}

let gradientsMade = 0

/** Yield linear gradients along an axis and radial gradients from the centre to the corners, the topmost last. */
function* gradients(at: Box, image: string, rounded: Record<string, number>): Generator<SVGElement> {
  for (const layer of split(image).reverse()) {
    const [, kind, inside] = /^(linear|radial)-gradient\((.*)\)$/s.exec(layer) ?? []
    if (!inside) continue
    const parts = split(inside)
    const direction = /^(to |-?[\d.]+deg|circle|ellipse|at )/.test(parts[0]) ? parts.shift()! : 'to bottom'
    const along = /right|90deg/.test(direction) ? 'x2' : 'y2'
    const length = along === 'x2' ? at.width : at.height
    const id = `gradient${++gradientsMade}`
    const stops = parts.flatMap((part) => {
      const [, css, places] = /^(.*?\)|#\w+|\w+)\s*(.*)$/s.exec(part)!
      const where = places ? places.match(/calc\([^)]*\)|\S+/g)! : ['']
      return where.map((place) => ({ paint: colour(css), at: place && fraction(place, length) }))
    })
    yield element(
      `${kind}Gradient`,
      kind === 'radial' ? { id, r: Math.SQRT1_2 } : { id, x1: 0, y1: 0, x2: 0, y2: 0, [along]: 1 },
      ...stops.map(({ paint, at }, i) =>
        element('stop', {
          offset: at === '' ? i / Math.max(1, stops.length - 1) : at,
          'stop-color': paint.rgb,
          'stop-opacity': paint.alpha,
        }),
      ),
    )
    yield element('rect', { ...at, ...rounded, fill: `url(#${id})` })
  }
}

/** Convert '45%', '3px' or 'calc(50% - 0.5px)' to a fraction of the length. */
function fraction(place: string, length: number): number {
  let total = 0
  for (const [, sign, size, unit] of place.matchAll(/([+-]?)\s*([\d.]+)(%|px)/g))
    total += (sign === '-' ? -1 : 1) * (unit === '%' ? Number(size) / 100 : Number(size) / length)
  return total
}

/** Split a list at the commas outside parentheses. */
function split(list: string): string[] {
  const parts = ['']
  let depth = 0
  for (const char of list) {
    depth += { '(': 1, ')': -1 }[char] ?? 0
    if (char === ',' && !depth) parts.push('')
    else parts[parts.length - 1] += char
  }
  return parts.map((part) => part.trim())
}
