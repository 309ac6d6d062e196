// What an exercise is. It is judged by what the figures are set to and by what the session says of that, never by what
// somebody claims: a judge reads the state, asks, and tells what is right or wrong with the real numbers.

import type { Config, Method, Requests } from '../engine/protocol'
import { show } from '../palette'
import { reference } from '../source/lines.svelte'
import type { app } from '../state.svelte'
import type { seen } from './seen.svelte'

export type Kind = 'predict' | 'find the line' | 'find the number' | 'make it so'

/** Where an exercise begins. config and step: of a model that is trained for it; none for the pretrained one. */
export interface Stage {
  section: number
  word?: string
  position?: number
  layer?: number
  head?: number
  config?: Partial<Config>
  step?: number
  set?: () => () => void // what figures share, put back; gives the way to undo that
}

/** What a judge may look at. chosen: the option of a prediction, '' before there is one. */
export interface Asked {
  app: typeof app
  seen: typeof seen
  chosen: string
  ask: <M extends Method>(method: M, params: Requests[M]['params']) => Promise<Requests[M]['result']>
}

/** says: in the prose's markup; its {facts} are numbers of the session. */
export interface Verdict {
  right: boolean
  says: string
  facts?: { [name: string]: string | undefined }
}

export interface Option {
  value: string
  text: string
}

export interface Exercise {
  id: string
  title: string
  kind: Kind
  hard: 1 | 2 | 3
  stage: Stage
  question: string
  facts?: (asked: Asked) => Promise<Record<string, string>> // of the question
  options?: (asked: Asked) => Promise<Option[]> // of a prediction
  hint: { plain: string; technical: string }
  judge: (asked: Asked) => Promise<Verdict>
}

export const three = (x: number | string) => show(x, 3)
export const percent = (x: number) => `${show(100 * x, 1)} %`

/** The letter that a token writes. */
export const letter = ({ app }: Asked, id: number) => app.model?.symbols[id] || 'BOS'

export const NO_CHOICE: Verdict = { right: false, says: 'Nothing is chosen yet: choose one of the answers first.' }

/** Whether the reader chose the option; truth: what is so, in words with the numbers. */
export function predicted(asked: Asked, answer: string, truth: string, facts: Record<string, string> = {}): Verdict {
  if (!asked.chosen) return NO_CHOICE
  const right = asked.chosen === answer
  return { right, says: truth, facts }
}

/** A judge of the line that is chosen in the source panel: one that holds one of the pieces. why: what it does. */
export function onLine(pieces: string[], why: string): Exercise['judge'] {
  return async ({ seen: { line } }) => {
    if (!line) return { right: false, says: 'No line is chosen: click the number of one in the source panel.' }
    const text = reference.source?.lines[line - 1] ?? ''
    const facts = { line: String(line), text: text.trim() || 'nothing' }
    if (pieces.some((piece) => text.includes(piece))) return { right: true, says: `Line {line} it is: ${why}`, facts }
    return { right: false, says: 'Line {line} is chosen, and it says `{text}`: that is another step.', facts }
  }
}

/** What to say where no number is open, or another. */
export function notOpen({ app }: Asked, instead: string): Verdict {
  if (!app.number) return { right: false, says: `No number is open: click one, or find it by its name. ${instead}` }
  return { right: false, says: `\`{path}\` is open. ${instead}`, facts: { path: app.number } }
}

/** Where the largest number is, by default; the first of equals. */
export function best<T>(all: T[], by: (one: T) => number): number {
  return all.reduce((best, one, i) => (by(one) > by(all[best]) ? i : best), 0)
}
