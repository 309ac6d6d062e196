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

/** Start the client. Settles when the first facts about the model have arrived. */
export async function start(): Promise<void> {
  client.subscribe((status) => {
    app.phase = status.state
    app.progress = status.state === 'loading' ? DOING[status.stage] : ''
    if (status.state !== 'ready' || !status.restarts) return
    app.notice = status.lost
    client.ask('model', {}).then((model) => (app.model = model)) // the restored model has a new version
  })
  app.model = await client.ask('model', {})
}
