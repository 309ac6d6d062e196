// The part of the model that a tensor belongs to, which decides its colour.

export type Part = 'embedding' | 'attention' | 'mlp' | 'loss' | 'gradient' | 'plain'

const PARTS: [RegExp, Part][] = [
  [/(wte|wpe|emb)/, 'embedding'],
  [/(attn|\.[qkv]$)/, 'attention'],
  [/mlp/, 'mlp'],
  [/(lm_head|logits|probs|loss)/, 'loss'],
]

/** Return the part that a tensor's name or a number's path belongs to; the residual stream belongs to no part. */
export function partOf(path: string): Part {
  const name = path.replace(/\[.*/, '')
  return PARTS.find(([pattern]) => pattern.test(name))?.[1] ?? 'plain'
}

export const ink = (part: Part) => `var(--${part}-ink)`
export const fill = (part: Part) => `var(--${part})`

/** Format a number: four decimals, or three significant digits if those decimals would all be zero. */
export function show(value: number | string, decimals = 4): string {
  if (typeof value !== 'number') return String(value).replace('-', '−').replace('inf', '∞')
  const fixed = value.toFixed(decimals)
  const text = value !== 0 && Math.abs(value) < 0.5 * 10 ** -decimals ? value.toExponential(2) : fixed
  return text.replace(/^-/, '−').replace('e-', 'e−')
}
