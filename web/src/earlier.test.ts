// Links and files from version 0.1.0 keep their meaning: tests/fixtures/earlier was made with that version's code.

import { expect, test } from 'vitest'
import exercises from '../../tests/fixtures/earlier/exercises.json'
import earlier from '../../tests/fixtures/earlier/links.json'
import { progress } from './exercises/progress.svelte'
import { sections } from './sections'
import { read, write } from './state.svelte'

test.each(Object.entries(earlier.links))('the link %s', (link, { section, says }) => {
  const state = read(link)
  expect((sections[state.section] ?? sections[0]).title).toBe(section)
  expect(state).toMatchObject({ ...earlier.unsaid, ...says })
  expect(read(write(state))).toEqual(state)
})

test('the file of solved exercises', () => {
  expect(progress.read(JSON.stringify(exercises))).toBe(2)
  expect(progress.of('break-causality')).toEqual({ tries: 2, solved: '2026-11-28' })
  expect(progress.of('the-greatest-surprise')).toEqual({ tries: 1, solved: '' })
})
