// What page and worker say to each other: requests and answers (protocol.ts) as objects.

import type { Method, Streams } from './protocol'

/** A request, or the beginning of a stream. */
export interface Question<M extends string = Method | keyof Streams> {
  method: M
  params: object
}

/** What is answered: a result, or what went wrong in a sentence for people. */
export type Answer = { result: unknown } | { error: string }

export type ToWorker =
  | { root: string; lock: string } // first of all: the address of the page's folder, and a lock to hold while it lives
  | { id: number; ask: Question }
  | { id: number; stream: Question }
  | { stop: number } // the id of a stream

export type FromWorker =
  | { loading: Stage }
  | { ready: Record<Stage, number> } // seconds that each stage took
  | { failed: string } // it cannot be loaded: trying again will not help
  | { id: number; answer: Answer } // to a request, or one of a stream's many
  | { id: number; done: true }

/** What is being done until Python answers. */
export type Stage = 'python' | 'kernel' | 'package' | 'session'
