// Runs that `microgpt lab RUN...` serves beside the page.

export interface NamedRun {
  name: string
  steps: number[]
  losses: number[]
  metrics: string // JSON lines, as the run wrote them
  checkpoint: () => Promise<string> // base64
}

/** None where the page stands on a host that serves no runs. */
export async function readRuns(): Promise<NamedRun[]> {
  const index = await fetch('runs/index.json').catch(() => null)
  if (!index?.ok) return []
  const names: { name: string; model: string; metrics: string }[] = await index.json()
  return Promise.all(
    names.map(async ({ name, model, metrics: address }) => {
      const metrics = await (await fetch(address)).text()
      // the last line of a run that is still training may be half written
      const rows = metrics.slice(0, metrics.lastIndexOf('\n') + 1).split('\n').filter(Boolean)
      const parsed = rows.map((row) => JSON.parse(row) as { step: number; loss: number })
      return {
        name,
        steps: parsed.map((row) => row.step),
        losses: parsed.map((row) => row.loss),
        metrics: rows.map((row) => `${row}\n`).join(''),
        checkpoint: async () => toBase64(new Uint8Array(await (await fetch(model)).arrayBuffer())),
      }
    }),
  )
}

export function toBase64(bytes: Uint8Array): string {
  let binary = ''
  for (let i = 0; i < bytes.length; i += 0x8000) binary += String.fromCharCode(...bytes.subarray(i, i + 0x8000))
  return btoa(binary)
}
