// Where something is on its way, as a pure function of the share of the way, `t` from 0 to 1.

export interface Point {
  x: number
  y: number
}

const clamp = (t: number) => Math.max(0, Math.min(1, t))

/** Return the share of the way of something that starts slowly and stops slowly. */
export function ease(t: number): number {
  const s = clamp(t)
  return s < 0.5 ? 4 * s ** 3 : 1 - 4 * (1 - s) ** 3
}

/** Return the share of a part of the way: 0 until `from`, 1 after `to`. */
export function part(t: number, from: number, to: number): number {
  return to > from ? clamp((t - from) / (to - from)) : Number(t >= to)
}

/** Return a number between two others. */
export function mix(from: number, to: number, t: number): number {
  return t === 1 ? to : from + (to - from) * t // exact at both ends
}

/** Return the point at a share of the straight way. */
export function between(from: Point, to: Point, t: number): Point {
  return { x: mix(from.x, to.x, t), y: mix(from.y, to.y, t) }
}

/** Return the point at a share of an arc that is `bend` away from the straight way in its middle.
 *
 * A positive bend leads to the right of somebody who walks the way on the screen: two that change places with the same
 * bend pass each other on opposite sides.
 */
export function arc(from: Point, to: Point, t: number, bend: number): Point {
  const straight = between(from, to, t)
  const length = Math.hypot(to.x - from.x, to.y - from.y)
  if (!length) return straight
  const side = (4 * bend * t * (1 - t)) / length // a parabola
  return { x: straight.x - (to.y - from.y) * side, y: straight.y + (to.x - from.x) * side }
}

/** Return a way's points up to a share of its length; the last one is where somebody is who walks it steadily. */
export function walked(way: Point[], t: number): Point[] {
  const lengths = way.slice(1).map((to, i) => Math.hypot(to.x - way[i].x, to.y - way[i].y))
  let left = clamp(t) * lengths.reduce((sum, length) => sum + length, 0)
  const passed = way.slice(0, 1)
  for (const [i, length] of lengths.entries()) {
    if (left < length) return [...passed, between(way[i], way[i + 1], left / length)]
    left -= length
    passed.push(way[i + 1])
  }
  return passed
}

/** Return the point at a share of the length of a way through several points. */
export function along(way: Point[], t: number): Point {
  return clamp(t) === 1 ? way[way.length - 1] : walked(way, t).at(-1)!
}
