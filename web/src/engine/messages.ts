// What page and worker say to each other. The texts are the requests and answers of protocol.ts, as Python reads them.

export type ToWorker =
  | { root: string; lock: string } // first of all: the address of the page's folder, and a lock to hold while it lives
  | { id: number; text: string }
  | { id: number; stream: string }
  | { stop: number } // the id of a stream

export type FromWorker =
  | { loading: Stage }
  | { ready: Record<Stage, number> } // seconds that each stage took
  | { failed: string } // it cannot be loaded: trying again will not help
  | { id: number; text: string }
  | { id: number; event: string }
  | { id: number; done: true }

/** What is being done until Python answers. */
export type Stage = 'python' | 'kernel' | 'package' | 'session'
