// What the section's figures share: the chosen weight, and the options of the update.
import type { Gradients } from '../../engine/protocol'
import { pathAt } from '../../places'
import { app } from '../../state.svelte'

class Picked {
  #path = $state('') // '' until the reader has picked a weight
  rate = $state<number | null>(null) // null: the scheduled rate
  fresh = $state(0) // 1: Adam's m and v are empty, as at the first step

  /** Return the chosen weight, if this model has it; otherwise the weight with the largest gradient. */
  path(gradients: Gradients | undefined): string {
    if (this.#path && exists(this.#path)) return this.#path
    return gradients ? steepest(gradients) : ''
  }
  pick(path: string): void {
    this.#path = path
  }
  /** The options of a request about an update: only options that differ from the program's. */
  get options(): { learning_rate?: number; fresh?: boolean } {
    return { ...(this.rate === null ? {} : { learning_rate: this.rate }), ...(this.fresh ? { fresh: true } : {}) }
  }
}

export const picked = new Picked()

/** Return whether the current model has this weight. */
export function exists(path: string): boolean {
  const found = /^([\w.]+)\[(\d+)\]\[(\d+)\]$/.exec(path)
  const shape = app.model?.shapes.find(([name]) => name === found?.[1])
  return !!found && !!shape && Number(found[2]) < shape[1] && Number(found[3]) < shape[2]
}

/** Return the path of the largest gradient, in all tensors or in one tensor. */
export function steepest({ grads }: Gradients, tensor?: string): string {
  let [best, path] = [-1, '']
  for (const [name, rows, columns] of app.model?.shapes ?? []) {
    if (tensor && name !== tensor) continue
    grads[name]?.forEach((grad, i) => {
      if (Math.abs(grad) > best) [best, path] = [Math.abs(grad), pathAt(name, [rows, columns], i)]
    })
  }
  return path
}

/** Return the name of a row; in wte and lm_head, the name includes the token. */
export function rowName(tensor: string, row: number): string {
  const symbol = app.model?.symbols[row]
  if (tensor !== 'wte' && tensor !== 'lm_head') return String(row)
  return symbol === '' ? `${row} ·` : `${row} ${symbol === ' ' ? '␣' : symbol}`
}
