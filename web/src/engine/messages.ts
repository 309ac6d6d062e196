// The messages between page and worker: requests and responses (protocol.ts) as objects.

import type { Method, Streams } from './protocol'

/** A request, or the start of a stream. */
export interface SessionRequest<M extends string = Method | keyof Streams> {
  method: M
  params: object
}

/** A response: a result, or an error message for the reader. */
export type SessionResponse = { result: unknown } | { error: string }

export type ToWorker =
  | { root: string; lock: string } // the first message: the address of the page's folder, and a lock to hold as long as the worker lives
  | { id: number; ask: SessionRequest }
  | { id: number; stream: SessionRequest; paced?: boolean } // paced: each event waits until the page asks for it
  | { next: number } // the id of a paced stream
  | { stop: number } // the id of a stream

export type FromWorker =
  | { loading: Stage }
  | { ready: Record<Stage, number> } // seconds that each stage took
  | { failed: string } // Python cannot be loaded: trying again will not help
  | { id: number; response: SessionResponse } // the response to a request, or one of a stream's responses
  | { id: number; done: true }

/** The stages of loading, until Python answers. */
export type Stage = 'python' | 'kernel' | 'package' | 'session'
