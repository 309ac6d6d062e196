// Ways: both ends are exact, and between them something is where it has to be.

import { expect, test } from 'vitest'
import { along, arc, between, ease, mix, part, walked } from './ways'

const STEPS = Array.from({ length: 21 }, (_, i) => i / 20)
const [from, to] = [
  { x: 0.1, y: 0.7 },
  { x: 30.3, y: 40.9 },
]

test('easing goes from 0 to 1 without turning back, and is as slow at the end as at the start', () => {
  const shares = STEPS.map(ease)
  expect([shares[0], shares[10], shares[20]]).toEqual([0, 0.5, 1])
  expect(shares).toEqual([...shares].sort((a, b) => a - b))
  for (const [i, share] of shares.entries()) expect(share + shares[20 - i]).toBeCloseTo(1)
  expect(shares[1]).toBeLessThan(STEPS[1] / 10)
  expect([ease(-1), ease(2)]).toEqual([0, 1])
})

test('a part of the way is 0 before it and 1 after it', () => {
  expect([0, 0.2, 0.3, 0.4, 1].map((t) => part(t, 0.2, 0.4))).toEqual([0, 0, expect.closeTo(0.5), 1, 1])
  expect([0.2, 0.3].map((t) => part(t, 0.3, 0.3))).toEqual([0, 1])
})

test('every way begins and ends exactly at its ends', () => {
  expect(mix(0.1, 0.3, 1)).toBe(0.3)
  for (const way of [
    (t: number) => between(from, to, t),
    (t: number) => arc(from, to, t, 20),
    (t: number) => along([from, { x: 3, y: 3 }, to], t),
  ]) {
    expect(way(0)).toEqual(from)
    expect(way(1)).toEqual(to)
  }
})

test('two that change places with the same bend pass each other on opposite sides, the first on its right', () => {
  const [top, bottom] = [
    { x: 50, y: 0 },
    { x: 50, y: 100 },
  ]
  expect(arc(top, bottom, 0.5, 20)).toEqual({ x: 30, y: 50 }) // down the screen, right is to the west
  expect(arc(bottom, top, 0.5, 20)).toEqual({ x: 70, y: 50 })
  expect(arc(top, top, 0.5, 20)).toEqual(top) // nowhere to go
})

test('a way through several points is walked steadily, around its corners', () => {
  const way = [
    { x: 0, y: 0 },
    { x: 10, y: 0 },
    { x: 10, y: 30 },
  ]
  expect(along(way, 0.125)).toEqual({ x: 5, y: 0 })
  expect(along(way, 0.25)).toEqual({ x: 10, y: 0 })
  expect(along(way, 0.5)).toEqual({ x: 10, y: 10 })
  expect(walked(way, 0.5)).toEqual([way[0], way[1], { x: 10, y: 10 }])
  expect(walked(way, 1)).toEqual(way)
  expect(walked([way[0], way[0]], 0.5)).toEqual([way[0], way[0]]) // no length
})
