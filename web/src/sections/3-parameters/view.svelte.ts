// The selection that the figures of section 3 share: a matrix, and the quantity to show for its weights.

import type { Gradients, Parameters } from '../../engine/protocol'
import { app } from '../../state.svelte'
import type { Text } from '../../texts/texts'
import text from './text'

export type Quantity = '' | 'grad' | 'm' | 'v'

class View {
  matrix = $state('wte')
  quantity = $state<Quantity>('')
}
export const view = new View()

/** Return the parameters to request: Adam's moments are sent only if they are shown. */
export const wanted = () => (/^[mv]$/.test(view.quantity) ? { moments: true } : {})

/** Return the request for gradients, or null unless they are shown. */
export const pulls = () => (view.quantity === 'grad' ? { word: app.word } : null)

/** Return the shown quantity for one matrix's weights. */
export function numbers(
  name: string,
  quantity: Quantity,
  parameters: Parameters,
  gradients: Gradients | undefined,
): number[] {
  if (quantity === 'grad') return gradients?.grads[name] ?? []
  if (quantity) return parameters[quantity][name] ?? []
  return parameters.tensors[name]?.data ?? []
}

/** Return a short name for each row of a matrix. */
export function rowNames(name: string, rows: number): string[] {
  const symbols = app.model?.symbols ?? []
  if (/^(wte|lm_head)$/.test(name)) return symbols.map((symbol) => symbol.trim() || (symbol ? '␣' : 'BOS'))
  return Array.from({ length: rows }, (_, row) => String(row))
}
/** Return what a token is drawn as: a space is visible, and BOS is a dot. */
export const sign = (symbol: string) => symbol.trim() || (symbol ? '␣' : '·')
/** Return the name of a matrix without its layer. */
export const kind = (name: string) => name.replace(/^layer\d+\./, '')

/** Return what the rows and columns of a matrix mean. */
export function rowMeans(name: string): Text {
  const { rows } = text.zoom
  if (/^(wte|lm_head)$/.test(name)) return rows.tokens
  if (name === 'wpe') return rows.positions
  if (/attn_w[qkv]/.test(name)) return rows.heads
  if (/attn_wo/.test(name)) return rows.merge
  return /fc1/.test(name) ? rows.units : rows.answers
}
export function bands(name: string): [number, number] {
  const { model } = app
  const head = model && model.config.n_head > 1 ? model.head_dim : 0
  return [/attn_w[qkv]/.test(name) ? head : 0, /attn_wo/.test(name) ? head : 0]
}
/** Return the values from before weights were changed by hand, so that the changed cells get a ring. */
export function before(name: string, data: number[]): number[] | undefined {
  const changes = app.model?.changes.filter((change) => change.path.startsWith(`${name}[`)) ?? []
  if (!changes.length) return undefined
  const columns = app.model!.shapes.find(([other]) => other === name)![2]
  const was = [...data]
  for (const { path, before } of changes) {
    const [row, column] = [...path.slice(name.length).matchAll(/\d+/g)].map(Number)
    was[row * columns + column] = before
  }
  return was
}
