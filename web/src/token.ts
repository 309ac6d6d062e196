// The token that requests for the runs carry, so that other users of the machine cannot read the runs. The page receives
// a token in the address that `microgpt lab RUN...` prints or opens, and takes it out of the address, which the reader
// may copy. The address that the command opens in a browser has a token that is valid once, since other users can see
// the browser's command line; the page exchanges it for the lasting one.

const KEY = 'microgpt.token' // in the tab's storage, so that the runs are still there after a reload

let token = Promise.resolve(stored())

function stored(): string {
  try {
    return sessionStorage.getItem(KEY) ?? ''
  } catch {
    return '' // storage may be blocked
  }
}

/** Move the token, if there is one, out of the address. */
export function takeToken(): void {
  const fragment = new URLSearchParams(location.hash.slice(1))
  const given = fragment.get('token')
  if (given === null) return
  fragment.delete('token')
  history.replaceState(history.state, '', `${location.pathname}${location.search}#${fragment}`.replace(/#$/, ''))
  token = exchanged(given).catch(stored)
}

/** Return the lasting token for a token from an address; the tab's earlier one if it is not valid, or '' without one. */
async function exchanged(given: string): Promise<string> {
  const response = await fetch('runs/token', carrying(given))
  if (!response.ok) return stored()
  const lasting = await response.text()
  try {
    sessionStorage.setItem(KEY, lasting)
  } catch {
    // storage may be blocked
  }
  return lasting
}

const carrying = (token: string): RequestInit => (token ? { headers: { Authorization: `Bearer ${token}` } } : {})

/** Request a file of the runs. */
export async function fetchFromRuns(address: string): Promise<Response> {
  return fetch(address, carrying(await token))
}
