// The client with a worker that is no Python: what it remembers, and what it brings back when a worker has ended.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { FakeWorker, fakePage, reaches, readyClient, settled, worker } from '../testing/worker'
import { AskError, Client } from './client'

beforeEach(fakePage)
afterEach(() => void vi.useRealTimers())

const PATH = 'wte[0][0]'
const LONG = 3600_000 // ms: whatever waits for the clock has happened by then

/** The weights that the session has now; asked in a way that no cache answers. */
async function weights(client: Client): Promise<Record<string, number>> {
  const { state } = await client.ask('save', {})
  return JSON.parse(state)
}

async function saved(): Promise<void> {
  await vi.advanceTimersByTimeAsync(LONG)
}

describe('until Python is ready', () => {
  test('the snapshot answers, whatever the order of the parameters', async () => {
    FakeWorker.boots = false
    FakeWorker.index.answers = { 'blame {"word": "emma", "path": "loss"}': { grad: 1 } }
    const client = new Client('http://localhost/lab/')
    expect(await client.ask('blame', { path: 'loss', word: 'emma' })).toEqual({ grad: 1 })
    expect(FakeWorker.all).toHaveLength(0)
  })

  test('a number that Python writes as 1.0 is found', async () => {
    FakeWorker.boots = false
    FakeWorker.index.answers = { 'softmax {"logits": [1.0, 2.0], "scale": 1.0}': { probs: [0.3, 0.7] } }
    const client = new Client('http://localhost/lab/')
    expect(await client.ask('softmax', { logits: [1, 2], scale: 1 })).toEqual({ probs: [0.3, 0.7] })
  })

  test('what the snapshot lacks waits for Python', async () => {
    const client = new Client('http://localhost/lab/')
    const answer = client.ask('forward', { word: 'emma' })
    await settled()
    expect(await answer).toMatchObject({ method: 'forward' })
    expect(worker().asked).toEqual(['forward emma'])
  })

  test('a change waits for Python, and the snapshot speaks of the model no longer', async () => {
    FakeWorker.boots = false
    FakeWorker.index.answers = { 'model {}': { name: 'of the snapshot' } }
    const client = new Client('http://localhost/lab/')
    const changed = client.ask('change', { path: PATH, value: 2 })
    const model = client.ask('model', {})
    await settled()
    worker().say({ ready: { python: 1, kernel: 1, package: 1, session: 1 } })
    await changed
    expect(await model).toMatchObject({ weights: { [PATH]: 2 } })
  })

  test('when Python is ready, it is asked what the snapshot had answered', async () => {
    FakeWorker.index.answers = { 'model {}': { name: 'of the snapshot' } }
    const client = new Client('http://localhost/lab/')
    expect(await client.ask('model', {})).toEqual({ name: 'of the snapshot' })
    await settled()
    expect(await client.ask('model', {})).toMatchObject({ method: 'model' })
  })

  test('a Python that cannot be loaded rejects every question, now and later', async () => {
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
  test('equal questions share one answer', async () => {
    const client = await readyClient()
    const first = client.ask('blame', { word: 'emma', path: 'loss' })
    const second = client.ask('blame', { path: 'loss', word: 'emma' })
    expect(await second).toBe(await first)
    expect(worker().asked).toEqual(['blame loss'])
  })

  test('a change of the model ends it', async () => {
    const client = await readyClient()
    await client.ask('forward', { word: 'emma' })
    await client.ask('change', { path: PATH, value: 2 })
    expect(await client.ask('forward', { word: 'emma' })).toMatchObject({ version: 1 })
    expect(worker().asked).toEqual(['forward emma', `change ${PATH}`, 'forward emma'])
  })

  test('it holds the last 100 answers', async () => {
    const client = await readyClient()
    for (let i = 0; i <= 100; i++) await client.ask('forward', { word: `word${i}` })
    await client.ask('forward', { word: 'word1' })
    expect(worker().asked).toHaveLength(101)
    await client.ask('forward', { word: 'word0' })
    expect(worker().asked).toHaveLength(102)
  })

  test('a question is sent as it was when it was asked, whatever it is made of', async () => {
    const client = await readyClient()
    const inputs = { x: 1 }
    const answer = client.ask('expression', new Proxy({ source: 'y = x', inputs: new Proxy(inputs, {}) }, {}))
    inputs.x = 2
    await answer
    expect(worker().received.at(-1)).toMatchObject({ ask: { params: { source: 'y = x', inputs: { x: 1 } } } })
  })

  test('an error is an answer, and names its cause', async () => {
    const client = await readyClient()
    await expect(client.ask('history', { path: 'wrong' })).rejects.toThrow(new AskError('no such weight: wrong'))
    expect(client.status.state).toBe('ready')
  })
})

describe('a stream', () => {
  test('hands on its events in order, and settles at its end', async () => {
    const client = await readyClient()
    const steps: number[] = []
    const stream = client.stream('train', { steps: 2 }, ({ step }) => steps.push(step))
    worker().event({ result: { step: 1 } })
    worker().event({ result: { step: 2 } }, true)
    await stream.ended
    expect(steps).toEqual([1, 2])
  })

  test('tells of no event after it was stopped', async () => {
    const client = await readyClient()
    const steps: number[] = []
    const stream = client.stream('train', { steps: 9 }, ({ step }) => steps.push(step))
    worker().event({ result: { step: 1 } })
    await settled()
    worker().event({ result: { step: 2 } }) // on its way while the page says stop
    stream.stop()
    await stream.ended
    await settled()
    expect(steps).toEqual([1])
    expect(worker().received).toContainEqual({ stop: expect.any(Number) })
  })

  test('rejects with the error that its event tells', async () => {
    const client = await readyClient()
    const stream = client.stream('train', { steps: 2 }, () => {})
    worker().event({ error: 'out of data' }, true)
    await expect(stream.ended).rejects.toThrow(new AskError('out of data'))
  })

  test('keeps answers out of the cache while it changes the model', async () => {
    const client = await readyClient()
    const stream = client.stream('train', { steps: 1 }, () => {})
    await client.ask('forward', { word: 'emma' })
    await client.ask('forward', { word: 'emma' })
    worker().event({ result: { step: 1 } }, true)
    await stream.ended
    await client.ask('forward', { word: 'emma' })
    expect(worker().asked.filter((name) => name === 'forward emma')).toHaveLength(3)
  })

  test('saves the state on its way, at most every three seconds, and at its end', async () => {
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

  test('is rejected when the worker dies, and is not begun again', async () => {
    const client = await readyClient()
    const stream = client.stream('train', { steps: 2 }, () => {})
    const rejected = expect(stream.ended).rejects.toThrow('Python broke down')
    worker().die()
    await rejected
    await reaches(client, 'ready')
    expect(worker().received.filter((message) => 'stream' in message)).toEqual([])
  })
})

describe('a worker that ends', () => {
  test('is followed by one with the same state: the saved one, and the changes since', async () => {
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

  test('is noticed by its lock if it says nothing', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    worker().vanish()
    await reaches(client, 'loading')
    expect(await reaches(client, 'ready')).toMatchObject({ restarts: 1 })
    expect(await weights(client)).toEqual({ [PATH]: 2 })
  })

  test('leaves its questions to the next one, once', async () => {
    const client = await readyClient()
    worker().holds = true
    const asked = client.ask('forward', { word: 'emma' })
    worker().die()
    await reaches(client, 'ready')
    expect(await asked).toMatchObject({ method: 'forward' })
    FakeWorker.deadly = 'wpe'
    await expect(client.ask('history', { path: 'wpe[0][0]' })).rejects.toThrow('Python broke down over this')
    expect(FakeWorker.all).toHaveLength(4) // one more for each try
  })

  test('does not make a change twice that may have killed it', async () => {
    const client = await readyClient()
    FakeWorker.deadly = PATH
    await expect(client.ask('change', { path: PATH, value: 1 })).rejects.toThrow('Python broke down over this')
    await reaches(client, 'ready')
    expect(worker().asked).toEqual([])
  })

  test('takes its answers with it', async () => {
    const client = await readyClient()
    await client.ask('forward', { word: 'emma' })
    worker().die()
    await reaches(client, 'ready')
    await client.ask('forward', { word: 'emma' })
    expect(worker().asked).toEqual(['forward emma'])
  })

  test('three times while it loads is given up', async () => {
    FakeWorker.boots = false
    const client = new Client('http://localhost/lab/')
    await settled()
    for (let i = 0; i < 3; i++) worker().die()
    expect(client.status).toMatchObject({ state: 'failed', why: expect.stringContaining('3 times') })
    expect(FakeWorker.all).toHaveLength(3)
  })

  test('over its saved state starts without it, and says so', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    await saved()
    FakeWorker.deadly = PATH
    worker().die()
    expect(await reaches(client, 'ready')).toMatchObject({ lost: expect.stringContaining('is lost') })
    expect(await weights(client)).toEqual({})
  })

  test('over the changes since gives up these alone', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    await saved()
    await client.ask('change', { path: 'wpe[0][0]', value: 3 })
    FakeWorker.deadly = 'wpe'
    worker().die()
    expect(await reaches(client, 'ready')).toMatchObject({ lost: expect.stringContaining('is lost') })
    expect(await weights(client)).toEqual({ [PATH]: 2 })
  })
})

describe('stop', () => {
  test('rejects what is asked, ends the worker, and goes back to its state', async () => {
    const client = await readyClient()
    await client.ask('change', { path: PATH, value: 2 })
    const first = worker()
    first.holds = true
    const rejected = expect(client.ask('forward', { word: 'emma' })).rejects.toThrow(new AskError('it was stopped'))
    client.stop()
    await rejected
    expect(first.terminated).toBe(true)
    expect(await reaches(client, 'ready')).toMatchObject({ restarts: 1 }) // its lock, left behind, starts no third
    expect(FakeWorker.all).toHaveLength(2)
    expect(await weights(client)).toEqual({ [PATH]: 2 })
  })

  test('an answer of the worker that was ended is not heard', async () => {
    const client = await readyClient()
    const first = worker()
    client.stop()
    first.onmessage({ data: { failed: 'too late' } })
    expect(client.status.state).toBe('loading')
  })
})

test('silence counts from the question, or from the last word since', async () => {
  const client = await readyClient()
  expect(client.silence).toBe(0)
  worker().holds = true
  const asked = client.ask('forward', { word: 'emma' })
  vi.advanceTimersByTime(700)
  expect(client.silence).toBe(700)
  worker().onmessage({ data: { id: -1, answer: { result: null } } })
  vi.advanceTimersByTime(200)
  expect(client.silence).toBe(200)
  worker().release()
  await asked
  expect(client.silence).toBe(0)
})

test('a listener hears the status now and at each change, until it ends that', async () => {
  const client = new Client('http://localhost/lab/')
  const heard: string[] = []
  const end = client.subscribe(({ state }) => heard.push(state))
  await settled()
  expect(heard).toEqual(['loading', 'loading', 'ready'])
  end()
  client.stop()
  expect(heard).toHaveLength(3)
})
