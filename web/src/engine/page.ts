// The page's one client, and what the state knows of it.

import { app } from '../state.svelte'
import { Client } from './client'

export const client = new Client()

const DOING: Record<string, string> = {
  python: 'loading Python',
  kernel: 'loading the kernel',
  package: 'loading the package',
  session: 'opening the model',
  restore: 'going back to where it was',
}

/** Begin. Settles when the first facts about the model are there. */
export async function start(): Promise<void> {
  client.subscribe((status) => {
    app.phase = status.state
    app.progress = status.state === 'loading' ? DOING[status.stage] : ''
    if (status.state !== 'ready' || !status.restarts) return
    app.notice = status.lost
    client.ask('model', {}).then((model) => (app.model = model)) // a model that went back is another version
  })
  app.model = await client.ask('model', {})
}
