// The type of an exercise, and helpers that judge a solution. A judge never takes the reader's word: it reads the
// figures' settings, asks the session, and explains with real numbers why the solution is right or wrong.

import type { Config, Method, Requests } from '../engine/protocol'
import { show } from '../palette'
import { reference } from '../source/lines.svelte'
import type { app } from '../state.svelte'
import { say } from '../texts/say'
import type { Text } from '../texts/texts'
import type { seen } from './seen.svelte'
import text from './text'

export type Kind = 'predict' | 'find the line' | 'find the number' | 'make it so'

/** The state in which an exercise starts. `config` and `step` describe a model trained for the exercise; without
 * `step`, the exercise uses the pretrained model. */
export interface Stage {
  section: number
  word?: string
  position?: number
  layer?: number
  head?: number
  config?: Partial<Config>
  step?: number
  set?: () => () => void // sets the state that figures share; returns a function that undoes it
}

/** What a judge can read. `chosen` is the reader's prediction, or '' if nothing is chosen. */
export interface Asked {
  app: typeof app
  seen: typeof seen
  chosen: string
  ask: <M extends Method>(method: M, params: Requests[M]['params']) => Promise<Requests[M]['result']>
}

/** A judge's decision. `says` uses the prose's markup; its {facts} are numbers from the session. */
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
  facts?: (asked: Asked) => Promise<Record<string, string>> // for the question
  options?: (asked: Asked) => Promise<Option[]> // for a prediction
  hint: { plain: string; technical: string }
  judge: (asked: Asked) => Promise<Verdict>
}

export const three = (x: number | string) => show(x, 3)
export const percent = (x: number) => `${show(100 * x, 1)}%`

/** Return a token's character, or BOS. */
export const letter = ({ app }: Asked, id: number) => app.model?.symbols[id] || 'BOS'

export const NO_CHOICE: Verdict = { right: false, says: text.judge.choose }

/** Return whether the reader chose the answer. `truth` states the facts, including their numbers. */
export function predicted(asked: Asked, answer: string, truth: string, facts: Record<string, string> = {}): Verdict {
  if (!asked.chosen) return NO_CHOICE
  const right = asked.chosen === answer
  return { right, says: truth, facts }
}

/** Return a judge that accepts a source line containing one of the pieces. `why` explains what the line does. */
export function onLine(pieces: string[], why: Text): Exercise['judge'] {
  return async ({ seen: { line } }) => {
    if (!line) return { right: false, says: text.judge.noLine }
    const code = reference.source?.lines[line - 1] ?? ''
    const facts = { line: String(line), text: code.trim() || say(text.judge.nothing), why: say(why) }
    if (pieces.some((piece) => code.includes(piece))) return { right: true, says: text.judge.line, facts }
    return { right: false, says: text.judge.otherLine, facts }
  }
}

/** Return the verdict if no number is open, or if the wrong number is open. */
export function notOpen({ app }: Asked, instead: Text): Verdict {
  if (!app.number) return { right: false, says: text.judge.noNumber, facts: { instead: say(instead) } }
  return { right: false, says: text.judge.otherNumber, facts: { path: app.number, instead: say(instead) } }
}

/** Return the index of the item with the largest value of `by`; on a tie, the first. */
export function best<T>(all: T[], by: (one: T) => number): number {
  return all.reduce((best, one, i) => (by(one) > by(all[best]) ? i : best), 0)
}
