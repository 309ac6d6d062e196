// The client with a fake worker: what it remembers, and what it restores after a worker has died.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FakeWorker, fakePage, reaches, readyClient, settled, worker } from '../testing/worker'
import { AskError, Client } from './client'

beforeEach(fakePage)
afterEach(() => void vi.useRealTimers())

const PATH = 'wte[0][0]'
const LONG = 3600_000 // ms: every timer has fired by then

/** Return the session's current weights, bypassing the cache. */
async function weights(client: Client): Promise<Record<string, number>> {
  const { state } = await client.ask('save', {})
  return JSON.parse(state)
}

async function saved(): Promise<void> {
  await vi.advanceTimersByTimeAsync(LONG)
}

describe('until Python is ready', () => {
  test('the snapshot answers, regardless of the order of the parameters', async () => {
    FakeWorker.boots = false
    FakeWorker.index.responses = { 'gradient_contributions {"word": "emma", "path": "loss"}': { grad: 1 } }
    const client = new Client('http://localhost/lab/')
    expect(await client.ask('gradient_contributions', { path: 'loss', word: 'emma' })).toEqual({ grad: 1 })
    expect(FakeWorker.all).toHaveLength(0)
  })

  test('a number that Python writes as 1.0 is found', async () => {
    FakeWorker.boots = false
    FakeWorker.index.responses = { 'softmax {"logits": [1.0, 2.0], "scales": [1.0]}': { probs: [[0.3, 0.7]] } }
    const client = new Client('http://localhost/lab/')
    expect(await client.ask('softmax', { logits: [1, 2], scales: [1] })).toEqual({ probs: [[0.3, 0.7]] })
  })

  test('a request that the snapshot cannot answer waits for Python', async () => {
    const client = new Client('http://localhost/lab/')
    const response = client.ask('forward', { word: 'emma' })
    await settled()
    expect(await response).toMatchObject({ method: 'forward' })
    expect(worker().asked).toEqual(['forward emma'])
  })

  test('a change waits for Python, and from then on the snapshot no longer answers', async () => {
    FakeWorker.boots = false
    FakeWorker.index.responses = { 'model {}': { name: 'of the snapshot' } }
    const client = new Client('http://localhost/lab/')
    const changed = client.ask('change', { path: PATH, value: 2 })
    const model = client.ask('model', {})
    await settled()
    worker().say({ ready: { python: 1, kernel: 1, package: 1, session: 1 } })
    await changed
    expect(await model).toMatchObject({ weights: { [PATH]: 2 } })
  })

  test('once Python is ready, it answers the requests that the snapshot answered before', async () => {
    FakeWorker.index.responses = { 'model {}': { name: 'of the snapshot' } }
    const client = new Client('http://localhost/lab/')
    expect(await client.ask('model', {})).toEqual({ name: 'of the snapshot' })
    await settled()
    expect(await client.ask('model', {})).toMatchObject({ method: 'model' })
  })

  test('if Python cannot be loaded, every waiting or new request is rejected', async () => {
    FakeWorker.boots = false
    const client = new Client('http://localhost/lab/')
    const early = client.ask('forward', { word: 'emma' })
    const rejected = expect(early).rejects.toThrow('no WebAssembly')
    await settled()
    worker().say({ failed: 'no WebAssembly' })
    await rejected
    expect(client.status).toMatchObject({ state: 'failed', why: 'no WebAssembly' })
    await expect(client.ask('change', { path: PATH, value: 1 })).rejects.toThrow(AskError)
    expect(worker().terminated).toBe(true)
  })
})

describe('the cache', () => {
  test('shares one response between equal requests', async () => {
    const client = await readyClient()
    const first = client.ask('gradient_contributions', { word: 'emma', path: 'loss' })
    const second = client.ask('gradient_contributions', { path: 'loss', word: 'emma' })
    expect(await second).toBe(await first)
    expect(worker().asked).toEqual(['gradient_contributions loss'])
  })

  test('is emptied when the model changes', async () => {
    const client = await readyClient()
    await client.ask('forward', { word: 'emma' })
    await client.ask('change', { path: PATH, value: 2 })
    expect(await client.ask('forward', { word: 'emma' })).toMatchObject({ version: 1 })
    expect(worker().asked).toEqual(['forward emma', `change ${PATH}`, 'forward emma'])
  })

  test('holds the last 100 responses', async () => {
    const client = await readyClient()
    for (let i = 0; i <= 100; i++) await client.ask('forward', { word: `word${i}` })
    await client.ask('forward', { word: 'word1' })
    expect(worker().asked).toHaveLength(101)
    await client.ask('forward', { word: 'word0' })
    expect(worker().asked).toHaveLength(102)
  })

  test('a request is sent with the values it had when it was asked, even from reactive objects', async () => {
    const client = await readyClient()
    const inputs = { x: 1 }
    const response = client.ask('expression', new Proxy({ source: 'y = x', inputs: new Proxy(inputs, {}) }, {}))
    inputs.x = 2
    await response
    expect(worker().received.at(-1)).toMatchObject({ ask: { params: { source: 'y = x', inputs: { x: 1 } } } })
  })

  test('an error is a response too, and names its cause', async () => {
    const client = await readyClient()
    await expect(client.ask('history', { word: 'emma', path: 'wrong' })).rejects.toThrow(
      new AskError('no such weight: wrong'),
    )
    expect(client.status.state).toBe('ready')
  })
})

describe('a stream', () => {
  test('passes on its events in order, and settles at its end', async () => {
    const client = await readyClient()
    const steps: number[] = []
    const stream = client.stream('train', { steps: 2 }, ({ step }) => steps.push(step))
    worker().event({ result: { step: 1 } })
    worker().event({ result: { step: 2 } }, true)
    await stream.ended
    expect(steps).toEqual([1, 2])
  })

  test('passes on no events after it has been stopped', async () => {
    const client = await readyClient()
    const steps: number[] = []
    const stream = client.stream('train', { steps: 9 }, ({ step }) => steps.push(step))
    worker().event({ result: { step: 1 } })
    await settled()
    worker().event({ result: { step: 2 } }) // already sent when the page stops the stream
    stream.stop()
    await stream.ended
    await settled()
    expect(steps).toEqual([1])
    expect(worker().received).toContainEqual({ stop: expect.any(Number) })
  })

  test('rejects with the error of its event', async () => {
    const client = await readyClient()
    const stream = client.stream('train', { steps: 2 }, () => {})
    worker().event({ error: 'out of data' }, true)
    await expect(stream.ended).rejects.toThrow(new AskError('out of data'))
  })

  test('keeps responses out of the cache while it changes the model', async () => {
    const client = await readyClient()
    const stream = client.stream('train', { steps: 1 }, () => {})
    await client.ask('forward', { word: 'emma' })
    await client.ask('forward', { word: 'emma' })
    worker().event({ result: { step: 1 } }, true)
    await stream.ended
    await client.ask('forward', { word: 'emma' })
    expect(worker().asked.filter((name) => name === 'forward emma')).toHaveLength(3)
  })

  test('saves the state while it runs, at most every three seconds, and at its end', async () => {
    const client = await readyClient()
    const saves = () => worker().asked.filter((name) => name === 'save').length
    const stream = client.stream('train', { steps: 60 }, () => {})
    for (let step = 1; step <= 60; step++) {
      worker().event({ result: { step } })
      await vi.advanceTimersByTimeAsync(100)
    }
    expect(saves()).toBeGreaterThanOrEqual(1)
    expect(saves()).toBeLessThanOrEqual(1 + 6000 / 3000)
    const before = saves()
    worker().event({ result: { step: 61 } }, true)
    await stream.ended
    await settled()
    expect(saves()).toBe(before + 1)
  })

  test('is rejected when the worker dies, and is not restarted', async () => {
    const client = await readyClient()
    const stream = client.stream('train', { steps: 2 }, () => {})
    const rejected = expect(stream.ended).rejects.toThrow('Python crashed')
    worker().die()
    await rejected
    await reaches(client, 'ready')
    expect(worker().received.filter((message) => 'stream' in message)).toEqual([])
  })
})

describe('a worker that dies', () => {
  test('is replaced by a worker with the same state: the saved state and the changes since', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    await saved()
    await client.ask('change', { path: 'wpe[0][0]', value: 3 })
    worker().die()
    expect(await reaches(client, 'ready')).toMatchObject({ restarts: 1, lost: '' })
    expect(FakeWorker.all).toHaveLength(2)
    expect(worker().asked).toEqual(['restore', 'change wpe[0][0]'])
    expect(await weights(client)).toEqual({ [PATH]: 2, 'wpe[0][0]': 3 })
  })

  test('is detected through its lock if it dies silently', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    worker().vanish()
    await reaches(client, 'loading')
    expect(await reaches(client, 'ready')).toMatchObject({ restarts: 1 })
    expect(await weights(client)).toEqual({ [PATH]: 2 })
  })

  test('passes its requests on to the next worker, once', async () => {
    const client = await readyClient()
    worker().holds = true
    const asked = client.ask('forward', { word: 'emma' })
    worker().die()
    await reaches(client, 'ready')
    expect(await asked).toMatchObject({ method: 'forward' })
    FakeWorker.deadly = 'wpe'
    await expect(client.ask('history', { word: 'emma', path: 'wpe[0][0]' })).rejects.toThrow(
      'Python crashed on this request',
    )
    expect(FakeWorker.all).toHaveLength(4) // a new worker for each try
  })

  test('is not followed by a repeat of the change that may have killed it', async () => {
    const client = await readyClient()
    FakeWorker.deadly = PATH
    await expect(client.ask('change', { path: PATH, value: 1 })).rejects.toThrow('Python crashed on this request')
    await reaches(client, 'ready')
    expect(worker().asked).toEqual([])
  })

  test('empties the cache', async () => {
    const client = await readyClient()
    await client.ask('forward', { word: 'emma' })
    worker().die()
    await reaches(client, 'ready')
    await client.ask('forward', { word: 'emma' })
    expect(worker().asked).toEqual(['forward emma'])
  })

  test('is not restarted after three deaths while loading', async () => {
    FakeWorker.boots = false
    const client = new Client('http://localhost/lab/')
    await settled()
    for (let i = 0; i < 3; i++) worker().die()
    expect(client.status).toMatchObject({ state: 'failed', why: expect.stringContaining('3 times') })
    expect(FakeWorker.all).toHaveLength(3)
  })

  test('loses the saved state if it dies while restoring that state, and the status says so', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    await saved()
    FakeWorker.deadly = PATH
    worker().die()
    expect(await reaches(client, 'ready')).toMatchObject({ lost: expect.stringContaining('are lost') })
    expect(await weights(client)).toEqual({})
  })

  test('loses only the changes since the save if it dies while repeating them', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    await saved()
    await client.ask('change', { path: 'wpe[0][0]', value: 3 })
    FakeWorker.deadly = 'wpe'
    worker().die()
    expect(await reaches(client, 'ready')).toMatchObject({ lost: expect.stringContaining('are lost') })
    expect(await weights(client)).toEqual({ [PATH]: 2 })
  })
})

describe('stop', () => {
  test('rejects the open requests, terminates the worker, and restores its state', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    const first = worker()
    first.holds = true
    const rejected = expect(client.ask('forward', { word: 'emma' })).rejects.toThrow(new AskError('stopped'))
    client.stop()
    await rejected
    expect(first.terminated).toBe(true)
    expect(await reaches(client, 'ready')).toMatchObject({ restarts: 1 }) // the first worker's free lock does not start a third
    expect(FakeWorker.all).toHaveLength(2)
    expect(await weights(client)).toEqual({ [PATH]: 2 })
  })

  test('a response from a terminated worker is ignored', async () => {
    const client = await readyClient()
    const first = worker()
    client.stop()
    first.onmessage({ data: { failed: 'too late' } })
    expect(client.status.state).toBe('loading')
  })
})

test('silence is measured from the request, or from the last message after it', async () => {
  const client = await readyClient()
  expect(client.silence).toBe(0)
  worker().holds = true
  const asked = client.ask('forward', { word: 'emma' })
  vi.advanceTimersByTime(700)
  expect(client.silence).toBe(700)
  worker().onmessage({ data: { id: -1, response: { result: null } } })
  vi.advanceTimersByTime(200)
  expect(client.silence).toBe(200)
  worker().release()
  await asked
  expect(client.silence).toBe(0)
})

test('a listener gets the status at once and at each change, until it unsubscribes', async () => {
  const client = new Client('http://localhost/lab/')
  const heard: string[] = []
  const end = client.subscribe(({ state }) => heard.push(state))
  await settled()
  expect(heard).toEqual(['loading', 'loading', 'ready'])
  end()
  client.stop()
  expect(heard).toHaveLength(3)
})
