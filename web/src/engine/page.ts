// The page's one client, and what the state knows of it.

import { reference } from '../source/lines.svelte'
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

/** The model that the link speaks of: the pretrained one, or one that is trained here once more, to the same bits. */
async function follow(config: string, step: number): Promise<void> {
  if (step < 0) return
  app.model = await client.ask('reset', { config: config ? JSON.parse(config) : {} })
  if (step > 0) await client.stream('train', { steps: step }, () => {}).ended
  app.model = await client.ask('model', {})
}

export async function start(): Promise<void> {
  client.subscribe((status) => {
    app.phase = status.state
    app.progress = status.state === 'loading' ? DOING[status.stage] : ''
  })
  const { config, step } = app.saved
  client.ask('source', {}).then((source) => reference.set(source))
  app.model = await client.ask('model', {})
  await follow(config, step)
}
