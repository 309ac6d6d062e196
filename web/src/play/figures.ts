// Chooses the figure that shows what a statement does, using the statement's function and the text of its line.

import type { Chapter, PlayEvent } from '../engine/protocol'
import { say } from '../texts/say'
import { pathOf, variable } from './numbers'
import type { Strip } from './Strips.svelte'
import text from './text'

const { figures: titles } = text

export type Kind =
  | 'documents'
  | 'letters'
  | 'passing'
  | 'adam'
  | 'die'
  | 'product'
  | 'head'
  | 'chances'
  | 'losses'
  | 'place'
  | 'alphabet'
  | 'shapes'
  | 'settings'
  | 'loop'
  | 'keys'
  | 'values'
  | 'vectors'

export interface StatementFigure {
  kind: Kind
  title: string
}

export function figureOf(story: Chapter, event: PlayEvent | undefined, line: string): StatementFigure {
  if (story.chapter === 'backward') return { kind: 'passing', title: say(titles.passing) }
  if (event?.function === '__init__') return { kind: 'alphabet', title: say(titles.alphabet) }
  if (story.chapter === 'tokens') return { kind: 'letters', title: say(titles.letters) }
  if (story.chapter === 'data' && event) {
    if (['shapes', 'init'].includes(event.function) || line.startsWith('state_dict = '))
      return { kind: 'shapes', title: say(titles.shapes) }
    if (line.startsWith('for step in ')) return { kind: 'loop', title: say(titles.loop) }
    const reads = event.function !== 'main' || line.startsWith('rng')
    return reads
      ? { kind: 'documents', title: say(titles.documents) }
      : { kind: 'settings', title: say(titles.settings) }
  }
  if (story.chapter === 'adam') return { kind: 'adam', title: say(titles.adam) }
  if (!event) return { kind: 'vectors', title: '' }
  const inHead = /head\d+$/.test(event.owner)
  if (event.function === 'linear') return { kind: 'product', title: say(titles.product) }
  if (inHead && (event.function === 'attention' || event.function === 'softmax' || line.includes('attention('))) {
    return { kind: 'head', title: say(titles.head, { head: /\d+$/.exec(event.owner)![0] }) }
  }
  if (/^(for |keys, values, |x_attn = \[\]|head = )/.test(line)) return { kind: 'place', title: say(titles.place) }
  if (line.startsWith('keys[i].append')) return { kind: 'keys', title: say(titles.keys) }
  if (line.startsWith('values[i].append')) return { kind: 'values', title: say(titles.values) }
  if (
    line.includes('rng.choices') ||
    line.startsWith('return token_ids') ||
    line.includes('token_id == bos') ||
    line.includes('token_ids.append')
  )
    return { kind: 'die', title: say(titles.die) }
  if (event.function === 'softmax' || line.includes('softmax(')) return { kind: 'chances', title: say(titles.chances) }
  if (line.startsWith('losses.append') || line.startsWith('return 1 / len'))
    return { kind: 'losses', title: say(titles.losses) }
  if (event.function === 'rmsnorm' || line.includes('rmsnorm(')) return { kind: 'vectors', title: say(titles.scaled) }
  if (line.includes('activation(')) return { kind: 'vectors', title: say(titles.gate) }
  if (line.startsWith('x = [') && line.includes('zip(')) return { kind: 'vectors', title: say(titles.added) }
  if (line.includes('linear(')) return { kind: 'vectors', title: say(titles.weighted) }
  return { kind: 'vectors', title: say(titles.where) }
}

/** Return the vectors that a line reads and computes; if it computes none, return the vectors that its function knows. */
export function strips(story: Chapter, event: PlayEvent, line: string): Strip[] {
  const of = (name: string, after: boolean) => pathOf(variable(story, event, name, after))
  const made = Object.keys(event.changed).filter((name) => of(name, true))
  const plain = (name: string): Strip => ({ label: name, path: of(name, false) })
  const results = made.map((name): Strip => ({
    label: name === 'return' ? say(text.strips.result) : name,
    path: of(name, true),
    sign: '=',
    made: true,
  }))
  const value = (name: string) => {
    const found = variable(story, event, name, false)
    return found && 'value' in found ? String(found.value) : ''
  }
  if (!made.length)
    return Object.keys(event.known)
      .filter((name) => of(name, false) && name !== 'w')
      .map(plain)
  if (line.includes('state_dict["wte"]')) {
    return [
      { label: say(text.strips.token), path: `wte[${value('token_id')}]` },
      { label: say(text.strips.position), path: `wpe[${value('pos_id')}]`, sign: '+' },
      ...results,
    ]
  }
  const taken = Object.keys(event.known).filter(
    (name) => of(name, false) && new RegExp(`\\b${name}\\b`).test(line.replace(/^\w+ = /, '')),
  )
  const matrix = /state_dict\[f?"([^"]+)"\]/.exec(line)?.[1].replace('{i}', value('i'))
  const signs = line.startsWith('x = [') && line.includes('zip(') ? '+' : ''
  return [
    ...taken.map((name, i): Strip => ({ ...plain(name), sign: i ? signs : '' })),
    ...(matrix ? [{ label: say(text.strips.matrix), path: matrix, sign: '×' }] : []),
    ...results,
  ]
}
