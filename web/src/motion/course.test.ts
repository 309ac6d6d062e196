// A player's course: the moments come at its pace, arrivals take their share of it, and no frame skips a moment.

import { expect, test } from 'vitest'
import { advanced, arrivalOf, LONGEST, settled, type Course } from './course'

const PACE = { length: 4, pace: 500, travel: 0.6 }
const frames = (course: Course, count: number, ms = 20) => {
  const courses = [course]
  for (let i = 0; i < count; i++) courses.push(advanced(courses[i], ms, PACE))
  return courses
}

test('playing waits for the rest of a moment, then arrives at the next ones until the last', () => {
  const course = frames(settled(0, PACE, 'play'), 100)
  expect(course.map(({ at }) => at).filter((at, i, all) => at !== all[i - 1])).toEqual([0, 1, 2, 3])
  expect(course.findIndex(({ at }) => at === 1)).toBe(200 / 20)
  expect(course.findIndex(({ at }) => at === 2)).toBe((200 + 500) / 20)
  expect(course.findIndex(({ mode }) => mode === 'still')).toBe((200 + 1000 + 300) / 20) // the last has arrived
  expect(course.at(-1)).toEqual(settled(3, PACE))
})

test('an arrival rises from 0 to 1 and is complete before the next moment comes', () => {
  const shares = frames({ at: 1, passed: 0, mode: 'play' }, 24).map((course) => arrivalOf(course, PACE))
  expect(shares[0]).toBe(0)
  expect(shares[6]).toBeCloseTo(120 / 300)
  expect(shares.slice(15)).toEqual(Array(10).fill(1))
})

test('a step arrives and stays', () => {
  const course = frames({ at: 1, passed: 0, mode: 'step' }, 50)
  expect(new Set(course.map(({ at }) => at))).toEqual(new Set([1]))
  expect(course.findIndex(({ mode }) => mode === 'still')).toBe(300 / 20)
})

test('a pause stops on the way, and play continues there', () => {
  const [, , there] = frames({ at: 1, passed: 0, mode: 'play' }, 2)
  const paused: Course = { ...there, mode: 'still' }
  expect(arrivalOf(paused, PACE)).toBeCloseTo(40 / 300)
  expect(advanced({ ...paused, mode: 'play' }, 20, PACE)).toEqual({ at: 1, passed: 60, mode: 'play' })
})

test('a frame leads to the next moment at most, however short the pace is', () => {
  const fast = { ...PACE, length: 20, pace: 10 }
  let course = settled(0, fast, 'play')
  for (let at = 1; at < 20; at++) {
    course = advanced(course, LONGEST, fast)
    expect(course.at).toBe(at)
    expect(course.passed).toBeLessThanOrEqual(LONGEST)
  }
})
