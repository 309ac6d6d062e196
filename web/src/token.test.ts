// The token for the runs: it leaves the address at once, stays in the tab, and only requests for the runs carry it.

import { beforeEach, expect, test, vi } from 'vitest'

const stored = new Map<string, string>()
const fetched = vi.fn()

/** Open a page at an address; return the module, freshly loaded. */
async function open(hash: string) {
  vi.resetModules()
  vi.stubGlobal('location', { pathname: '/lab/', search: '?again', hash })
  vi.stubGlobal('history', { state: 'theirs', replaceState: vi.fn() })
  vi.stubGlobal('fetch', fetched)
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
  })
  return import('./token')
}

const carrying = (token: string) => ({ headers: { Authorization: `Bearer ${token}` } })

beforeEach(() => {
  stored.clear()
  fetched.mockReset().mockImplementation(async () => new Response('lasting'))
})

test('the token leaves the address, and requests for the runs carry the lasting one, also after a reload', async () => {
  const first = await open('#token=a-b_c&section=training')
  first.takeToken()
  expect(history.replaceState).toHaveBeenCalledExactlyOnceWith('theirs', '', '/lab/?again#section=training')
  await first.fetchFromRuns('runs/index.json')
  const reloaded = await open('#section=training')
  reloaded.takeToken()
  expect(history.replaceState).not.toHaveBeenCalled()
  await reloaded.fetchFromRuns('runs/index.json')
  expect(fetched.mock.calls).toEqual([
    ['runs/token', carrying('a-b_c')],
    ['runs/index.json', carrying('lasting')],
    ['runs/index.json', carrying('lasting')],
  ])
})

test('an address that contains nothing else becomes that of the page', async () => {
  const { takeToken } = await open('#token=abc')
  takeToken()
  expect(history.replaceState).toHaveBeenCalledExactlyOnceWith('theirs', '', '/lab/?again')
})

test('without a token, or with one that is not valid, requests carry none', async () => {
  const { takeToken, fetchFromRuns } = await open('')
  takeToken()
  await fetchFromRuns('runs/index.json')
  expect(history.replaceState).not.toHaveBeenCalled()
  expect(fetched.mock.calls).toEqual([['runs/index.json', {}]])
  const late = await open('#token=used')
  fetched.mockResolvedValueOnce(new Response('403 Forbidden', { status: 403 }))
  late.takeToken()
  await late.fetchFromRuns('runs/index.json')
  expect(fetched).toHaveBeenLastCalledWith('runs/index.json', {})
  expect(stored.size).toBe(0)
})

test('if the storage is blocked, the token is kept until a reload', async () => {
  const { takeToken, fetchFromRuns } = await open('#token=abc')
  vi.stubGlobal('sessionStorage', undefined)
  takeToken()
  await fetchFromRuns('runs/index.json')
  expect(fetched).toHaveBeenLastCalledWith('runs/index.json', carrying('lasting'))
})
