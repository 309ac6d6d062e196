// Work that has been overtaken by later work or by a later state is not wanted.

import { expect, test } from 'vitest'
import { latest } from './latest'
import { app } from './state.svelte'
import { flushSync, inComponent, leave } from './testing/component.svelte'

test('only the work that began last is wanted', () => {
  const begin = latest()
  const first = begin()
  expect(first()).toBe(true)
  const second = begin()
  expect([first(), second()]).toEqual([false, true])
})

test('work is not wanted once its part of the state has changed, whatever else changes', () => {
  const begin = latest(() => app.section)
  const wanted = begin()
  app.word = 'anna'
  expect(wanted()).toBe(true)
  app.section = 3
  expect(wanted()).toBe(false)
  expect(begin()()).toBe(true)
  app.load('')
})

test('an effect’s work is wanted until the effect runs again or its component is gone, in any order of arrival', () => {
  const works: (() => boolean)[] = []
  inComponent(() => {
    const begin = latest(() => app.section)
    $effect(() => {
      void app.word
      works.push(begin())
      return begin
    })
  })
  expect(works.map((wanted) => wanted())).toEqual([true])
  app.word = 'anna'
  flushSync()
  expect(works.map((wanted) => wanted())).toEqual([false, true])
  app.section = 3 // not a dependency of the effect, which does not run again
  flushSync()
  expect(works.map((wanted) => wanted())).toEqual([false, false])
  app.word = 'zoe'
  flushSync()
  expect(works.map((wanted) => wanted())).toEqual([false, false, true])
  leave()
  expect(works.map((wanted) => wanted())).toEqual([false, false, false])
  app.load('')
})
