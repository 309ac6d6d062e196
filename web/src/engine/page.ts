// The page's only client, and the part of the state that follows the client's status.

import { app } from '../state.svelte'
import { Client } from './client'

export const client = new Client()

const DOING: Record<string, string> = {
  python: 'loading Python',
  kernel: 'loading the kernel',
  package: 'loading the package',
  session: 'opening the model',
  restore: 'restoring the state',
}

let isStarted: () => void

/** Settles when the first facts about the model have arrived and Python is ready or could not be loaded. */
export const started = new Promise<void>((settle) => (isStarted = settle))

/** Start the client. Settles when the first facts about the model have arrived. */
export async function start(): Promise<void> {
  client.subscribe((status) => {
    app.phase = status.state
    app.progress = status.state === 'loading' ? DOING[status.stage] : ''
    if (status.state !== 'ready' || !status.restarts) return
    app.notice = status.lost
    client.ask('model', {}).then((model) => (app.model = model)) // the restored model has a new version
  })
  const model = await client.ask('model', {})
  app.model ??= model // unless the snapshot was slower than Python, and the reader has changed the model since
  client.subscribe(({ state }) => state !== 'loading' && isStarted())
}
