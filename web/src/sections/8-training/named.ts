// The runs that `microgpt lab RUN...` serves with the page.

import { toBase64 } from '../../engine/base64'
import { fetchFromRuns } from '../../token'

export interface NamedRun {
  name: string
  steps: number[]
  losses: number[]
  metrics: string // JSON lines, as written by the run
  checkpoint: () => Promise<string> // base64
}

/** Return the runs; an empty list if the page's host serves no runs, or not to this tab. */
export async function readRuns(): Promise<NamedRun[]> {
  const index = await fetchFromRuns('runs/index.json').catch(() => null)
  if (!index?.ok) return []
  const names: { name: string; model: string; metrics: string }[] = await index.json()
  return Promise.all(
    names.map(async ({ name, model, metrics: address }) => {
      const response = await fetchFromRuns(address)
      const [metrics, refusal] = response.ok ? [await response.text(), ''] : ['', await response.text()]
      // the last line of a run that is still training may be incomplete
      const rows = metrics
        .slice(0, metrics.lastIndexOf('\n') + 1)
        .split('\n')
        .filter(Boolean)
      const parsed = rows.flatMap(stepIn)
      return {
        name,
        steps: parsed.map((row) => row.step),
        losses: parsed.map((row) => row.loss),
        metrics: rows.map((row) => `${row}\n`).join(''),
        checkpoint: async () => {
          if (refusal) throw new Error(refusal)
          const response = await fetchFromRuns(model)
          if (!response.ok) throw new Error(await response.text())
          return toBase64(await response.arrayBuffer())
        },
      }
    }),
  )
}

/** Return a line's step, or nothing if the line is damaged; the session reports the damage when the run is opened. */
function stepIn(row: string): { step: number; loss: number }[] {
  try {
    const { step, loss } = JSON.parse(row)
    return typeof step === 'number' && typeof loss === 'number' ? [{ step, loss }] : []
  } catch {
    return []
  }
}
