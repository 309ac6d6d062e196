// The everyday names: every tensor and parameter of the program has one, and no name contains a path.

import { beforeEach, expect, test } from 'vitest'
import parameters from '../../../src/microgpt/parameters.py?raw'
import names from '../../../src/microgpt/tracing/names.py?raw'
import { app } from '../state.svelte'
import { everyday } from './everyday'

const tensors = [...names.matchAll(/"(pos\{t\}\.[\w.{}]+|loss)",\s+\(/g)].map(([, name]) =>
  name.replace('{t}', '3').replace('{i}', '0').replace('{h}', '2'),
)
const matrices = [...parameters.matchAll(/^ {4}"(\w+)": /gm)].map(([, name]) =>
  /^(wte|wpe|lm_head)$/.test(name) ? name : `layer0.${name}`,
)

beforeEach(() => {
  app.level = 'plain'
})

test('the tables of names were read', () => {
  expect(tensors.length).toBeGreaterThan(25)
  expect(tensors).toContain('pos3.layer0.attn_weights.head2')
  expect(matrices).toContain('layer0.mlp_fc2')
  expect(matrices).toHaveLength(9)
})

test.each([...tensors, ...matrices])('%s has an everyday name', (name) => {
  const own = new Set<string>()
  for (const path of [name, `${name}[1]`, `${name}[1].term4`, `grad ${name}[1]`, `${name}[4:8]`]) {
    const words = everyday(path)
    expect(words).not.toMatch(/[[\]_{}]|\w\.\w/)
    own.add(words)
  }
  expect(own.size).toBe(5)
})

test('different tensors have different names', () => {
  const all = [...tensors, ...matrices].map((name) => everyday(name))
  expect(new Set(all).size).toBe(all.length)
})

test.each([
  ['wte', 'letter table'],
  ['pos3.layer0.q[9]', 'number 9 of what letter 3 looks for'],
  ['pos0.layer0.k', 'the label on the start'],
  ['pos3.layer0.attn_weights.head2[1]', 'how much head 2 of letter 3 looks at letter 1'],
  ['pos2.layer0.attn_weights.head2[2]', 'how much head 2 of letter 2 looks at letter 2 itself'],
  ['layer0.attn_wq[9][5]', 'number 5 of row 9 of the search table'],
  ['layer1.attn_wq', 'search table (layer 1)'],
  ['pos3.loss.log', 'the surprise at what follows letter 3, with a minus'],
  ['pos3.probs[4].exp', 'the score behind the chance of 4 to follow letter 3, made positive'],
  ['loss.sum2', 'a running total for the average surprise at the word'],
  [
    'd pos3.loss / d pos3.logits[0]',
    'how fast the surprise at what follows letter 3 grows with the score of 0 to follow letter 3',
  ],
  ['wpe[1][5]@40', 'number 5 of the row of place 1 in the place table after 40 steps'],
  ['pos·.layer0.v[0]', 'number 0 of the message of each letter'],
  ['layer0.attn_wq[9][·]', 'row 9 of the search table'],
  ['node12', 'node12'],
  ['x', 'x'],
])('%s is “%s” in plain', (path, words) => {
  expect(everyday(path)).toBe(words)
})

test('technical readers get the path, and readers of both get both where there is room', () => {
  app.level = 'technical'
  expect(everyday('wte', true)).toBe('wte')
  app.level = 'both'
  expect(everyday('wte')).toBe('wte')
  expect(everyday('wte', true)).toBe('letter table (wte)')
})
