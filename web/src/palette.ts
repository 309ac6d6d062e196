// The part of the model to which a tensor belongs; the part determines the tensor's colour.

export type Part = 'embedding' | 'attention' | 'mlp' | 'loss' | 'gradient' | 'plain'

const PARTS: [RegExp, Part][] = [
  [/(wte|wpe|emb)/, 'embedding'],
  [/(attn|\.[qkv]$)/, 'attention'],
  [/mlp/, 'mlp'],
  [/(lm_head|logits|probs|loss)/, 'loss'],
]

/** Return the part to which a tensor or number belongs, from its name or path; the residual stream has no part. */
export function partOf(path: string): Part {
  const name = path.replace(/\[.*/, '')
  return PARTS.find(([pattern]) => pattern.test(name))?.[1] ?? 'plain'
}

export const ink = (part: Part) => `var(--${part}-ink)`
export const fill = (part: Part) => `var(--${part})`

/** Return how opaque a cell is, from 0 to 1; `most` is the magnitude shown in full color. */
export const shade = (x: number, most: number) => Math.min(1, Math.sqrt(Math.abs(x) / most)) * (x < 0 ? 0.75 : 1)

/** Format a probability in percent: with one decimal, or two significant digits if it would round to zero. */
export function percent(probability: number): string {
  const x = 100 * probability
  return `${x !== 0 && x < 0.05 ? x.toFixed(Math.min(20, 1 - Math.floor(Math.log10(x)))) : x.toFixed(1)}%`
}

/** Format a number with a fixed number of decimals, or with three significant digits if it would round to zero. */
export function show(value: number | string, decimals = 4): string {
  if (typeof value !== 'number') return String(value).replace('-', '−').replace('inf', '∞')
  const fixed = value.toFixed(decimals)
  const text = value !== 0 && Math.abs(value) < 0.5 * 10 ** -decimals ? value.toExponential(2) : fixed
  return text.replace(/^-/, '−').replace('e-', 'e−')
}
