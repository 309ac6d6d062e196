// Live responses and model changes, with a fake session: what is sent, when it is sent, and what the link contains.

import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Requests } from './engine/protocol'
import { fakePage, reaches, settled, worker } from './testing/worker'

/** Return the page's own modules, freshly loaded for each test, with a worker that is ready. */
async function page() {
  vi.resetModules()
  const [component, { app }, { client, start }, live] = await Promise.all([
    import('./testing/component.svelte'),
    import('./state.svelte'),
    import('./engine/page'),
    import('./live.svelte'),
  ])
  const started = start()
  await settled()
  await started
  await reaches(client, 'ready')
  worker().received = []
  return { app, client, ...component, ...live }
}

beforeEach(fakePage)
afterEach(() => void vi.useRealTimers())

test('a response is requested again when its parameters or the model change', async () => {
  const { app, live, change, flushSync, inComponent } = await page()
  const forward = inComponent(() => live('forward', () => ({ word: app.word })))
  expect(forward.waiting).toBe(true)
  await settled()
  expect(forward).toMatchObject({ value: { method: 'forward' }, error: '', waiting: false })
  app.word = 'anna'
  flushSync()
  await settled()
  await change('change', { path: 'wte[0][0]', value: 2 })
  flushSync()
  await settled()
  expect(worker().asked).toEqual(['forward emma', 'forward anna', 'change wte[0][0]', 'forward anna'])
  expect(forward.value).toMatchObject({ version: 1, weights: { 'wte[0][0]': 2 } })
})

test('only the last of the waiting requests is sent', async () => {
  const { app, live, flushSync, inComponent } = await page()
  const forward = inComponent(() => live('forward', () => ({ word: app.word })))
  worker().holds = true
  for (const word of ['a', 'an', 'ann', 'anna']) {
    app.word = word
    flushSync()
  }
  worker().release()
  await settled()
  await settled()
  expect(worker().asked).toEqual(['forward emma', 'forward anna'])
  expect(forward.waiting).toBe(false)
})

test('nothing is sent while the parameters are null, and a response that arrives then is not shown', async () => {
  const { app, live, flushSync, inComponent } = await page()
  const forward = inComponent(() => live('forward', () => (app.word ? { word: app.word } : null)))
  worker().holds = true
  app.word = ''
  flushSync()
  worker().release()
  await settled()
  expect(worker().asked).toEqual(['forward emma'])
  expect(forward.value).toBeUndefined()
})

test('an error is reported, and the last response stays until the next response arrives', async () => {
  const { app, live, flushSync, inComponent } = await page()
  const history = inComponent(() => live('history', () => ({ word: 'emma', path: app.number || 'loss' })))
  await settled()
  app.number = 'wrong'
  flushSync()
  await settled()
  expect(history).toMatchObject({
    value: { method: 'history' },
    error: expect.stringMatching(/^no such weight: wrong\. The figure still shows/),
  })
  app.number = ''
  flushSync()
  await settled()
  expect(history.error).toBe('')
})

test('a destroyed component asks nothing and receives nothing', async () => {
  const { app, live, flushSync, inComponent, leave } = await page()
  const forward = inComponent(() => live('forward', () => ({ word: app.word })))
  worker().holds = true
  leave()
  worker().release()
  app.word = 'anna'
  flushSync()
  await settled()
  expect(forward.value).toBeUndefined()
  expect(worker().asked).toEqual(['forward emma'])
})

type Model = Requests['model']['result']

const model = (run: string, step: number) => ({ run, step, version: 1 }) as Model

/** Let the session return these models in turn. */
function session(client: { ask: unknown }, responses: Model[]) {
  vi.spyOn(client as { ask: () => Promise<Model> }, 'ask').mockImplementation(async () => responses.shift()!)
}

test('a link describes a run that was started here, with its settings and step', async () => {
  const { app, client, change } = await page()
  app.model = model('names', 1000)
  session(client, [model('run1', 0), model('run1', 5), model('run2', 0), model('names', 1000)])
  await change('reset', { config: { n_embd: 8 } })
  expect([app.step, app.config]).toEqual([0, '{"n_embd":8}'])
  await change('scrub', { step: 5 })
  expect([app.step, app.config]).toEqual([5, '{"n_embd":8}'])
  await change('reset', { config: { seed: 1 } })
  expect([app.step, app.config]).toEqual([0, '{"n_embd":8,"seed":1}'])
  await change('pretrained', {})
  expect([app.step, app.config]).toEqual([-1, ''])
})

test('a link names the published run, which is not the one that the page opens with', async () => {
  const { app, client, change } = await page()
  app.model = model('names', 1000)
  session(client, [model('published', 1000), model('names', 1000)])
  await change('pretrained', { run: 'published' })
  expect([app.run, app.step, app.config]).toEqual(['published', -1, ''])
  await change('pretrained', {})
  expect([app.run, app.step, app.config]).toEqual(['', -1, ''])
})

test('a link does not describe a run on the reader’s own text', async () => {
  const { app, client, change } = await page()
  app.model = model('names', 1000)
  session(client, [model('run1', 0), model('run2', 0)])
  await change('load_data', { name: 'mine.txt', base64: '' })
  expect(app.step).toBe(-1)
  await change('reset', { config: { n_embd: 8 } })
  expect([app.step, app.config]).toEqual([-1, ''])
})

test('a link has the held-out fraction of its run', async () => {
  const { app, client, change } = await page()
  app.model = model('names', 1000)
  const held = (run: string, val_fraction: number) => ({ ...model(run, 0), val_fraction })
  session(client, [held('run1', 0.1), held('run2', 0.2), held('run3', 0)])
  await change('reset', { config: { seed: 1 } })
  expect(app.config).toBe('{"seed":1,"val_fraction":0.1}')
  await change('reset', { config: {}, val_fraction: 0.2 })
  expect(app.config).toBe('{"seed":1,"val_fraction":0.2}')
  await change('reset', { config: {}, val_fraction: 0 })
  expect(app.config).toBe('{"seed":1}')
})

test('a change that fails is reported in the page header', async () => {
  const { app, attempt } = await page()
  await attempt('change', { path: 'wrong', value: 1 })
  expect(app.notice).toBe('no such weight: wrong')
  await attempt('change', { path: 'wte[0][0]', value: 1 })
  expect(app.notice).toBe('')
})

test('a restarted worker has its previous model', async () => {
  const { app, client, change } = await page()
  await change('change', { path: 'wte[0][0]', value: 2 })
  expect(app.phase).toBe('ready')
  worker().die()
  expect([app.phase, app.progress]).toEqual(['loading', 'loading Python'])
  await reaches(client, 'ready')
  await settled()
  expect([app.phase, app.notice]).toEqual(['ready', ''])
  expect(app.model).toMatchObject({ weights: { 'wte[0][0]': 2 } })
})
