// The state and its saved form: what a link contains, how a link is written, and how an invalid link is read.

import { describe, expect, test } from 'vitest'
import { chapters } from './play/chapters'
import { sections } from './sections'
import { NAMES } from './sections/names'
import { app, read, write, type Saved } from './state.svelte'

const OTHER: Saved = {
  section: 5,
  word: 'zoë & co = #1',
  position: 0,
  layer: 1,
  head: 2,
  off: '0,2',
  number: 'pos3.layer0.q[9]',
  level: 'plain',
  theme: 'dark',
  play: 'forward',
  at: 700,
  weight: 'wte[0][0]',
  run: 'published',
  step: 20,
  exercise: 'break-causality',
  config: '{"n_embd":8}',
  present: 2,
  hide: 'source,prose',
}

test('an empty fragment is read as the default state, which is written as an empty fragment', () => {
  expect(write(read(''))).toBe('#')
  expect(write(read('#'))).toBe('#')
  expect(read('')).toMatchObject({ section: 0, word: 'emma', position: 3, level: 'both', step: -1 })
})

test('reading returns what was written, for each part alone and for all parts together', () => {
  expect(read(write(OTHER))).toEqual(OTHER)
  for (const [key, value] of Object.entries(OTHER)) {
    const one = { ...read(''), [key]: value }
    expect(read(write(one))).toEqual(one)
    expect([...new URLSearchParams(write(one).slice(1)).keys()]).toEqual([key])
  }
})

test('the parts of a link are written in a fixed order, whatever order they were read in', () => {
  expect(write(read('#word=anna&section=forward'))).toBe('#section=forward&word=anna')
})

test('invalid parts of a link are ignored', () => {
  const invalid = '#section=nowhere&position=1e9&head=-&layer=99999999&level=loud&theme=pink&at=0.5&unknown=1'
  expect(read(invalid)).toEqual(read(''))
  expect(read(`#word=${'a'.repeat(2000)}`).word).toHaveLength(500)
})

const NONSENSE = ['', '-1', '-9999999', '99', '9999999', '1e99', '9'.repeat(400), 'NaN', 'Infinity', '0.5', ' 1', '0x1']
const WORDS = ['nowhere', 'constructor', '__proto__', '%zz', '%', '%ff', '%00', 'null', 'undefined', '[]', '{}', '🙂']

describe.each(Object.keys(OTHER) as (keyof Saved)[])('an invalid value of %s', (key) => {
  test.each([...NONSENSE, ...WORDS])('%j leads to a state that exists', (text) => {
    const fragment = `#${key}=${text}`
    const state = read(fragment)
    expect({ ...state, [key]: 0 }).toEqual({ ...read(''), [key]: 0 })
    expect(read(write(state))).toEqual(state)
    expect(sections[state.section]).toBeDefined()
    for (const at of [state.position, state.layer, state.head, state.at, state.present])
      expect(at).toBeGreaterThanOrEqual(0)
    expect(state.step).toBeGreaterThanOrEqual(-1)
    expect(['', 'end', ...chapters.map(({ name }) => name)]).toContain(state.play)
    expect(state.exercise).toMatch(/^[a-z0-9-]*$/)
    expect(['', 'bar', 'contents', 'source', 'prose', 'captions']).toContain(state.hide)
    const twice = read(`${fragment}&${key}=${OTHER[key]}`)
    expect(twice).toEqual(state) // the first of two counts
  })
})

describe('a section', () => {
  const NUMBERED = [
    'minute',
    'data',
    'value',
    'parameters',
    'forward',
    'attention',
    'surprise',
    'update',
    'training',
    'generation',
    'workbench',
    'chatgpt',
  ]

  test('is written as its name', () => {
    expect(write({ ...read(''), section: 4 })).toBe('#section=forward')
  })

  test('is read from its name', () => {
    for (const [i, name] of NAMES.entries()) expect(read(`#section=${name}`).section).toBe(i)
  })

  test('that an older link identifies by number is the section that the number has always meant', () => {
    for (const [i, name] of NUMBERED.entries()) expect(NAMES[read(`#section=${i}`).section]).toBe(name)
  })

  test('has a unique name, which its folder shares', () => {
    expect(new Set(NAMES).size).toBe(sections.length)
    for (const [i, { load }] of sections.entries()) expect(String(load)).toContain(`/${i}-${NAMES[i]}/`)
  })
})

describe('the state of the page', () => {
  test('is loaded from a fragment, and saved as the same fragment', () => {
    app.load('#section=update&word=anna&hide=bar%2Cprose')
    expect(write(app.saved)).toBe('#section=update&word=anna&hide=bar%2Cprose')
    expect([app.hides('bar'), app.hides('prose'), app.hides('source')]).toEqual([true, true, false])
    app.load('')
    expect(write(app.saved)).toBe('#')
  })

  test('opens a number, and closes it when it is opened again', () => {
    app.open('loss')
    expect(app.number).toBe('loss')
    app.open('loss')
    expect(app.number).toBe('')
  })

  test('has no facts before there is a model', () => {
    expect(app.facts).toEqual({})
  })
})
