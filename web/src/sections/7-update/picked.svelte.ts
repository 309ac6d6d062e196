// What the section's figures share: the parameter at hand, and how the update is made.
import type { Gradients } from '../../engine/protocol'
import { pathAt } from '../../places'
import { app } from '../../state.svelte'

class Picked {
  #path = $state('') // '' until the reader has picked one
  rate = $state<number | null>(null) // null: what the schedule says
  fresh = $state(0) // 1: Adam's m and v empty, as before the first step

  /** The parameter that was picked, where this model has it; else the one with the largest gradient. */
  path(gradients: Gradients | undefined): string {
    if (this.#path && exists(this.#path)) return this.#path
    return gradients ? steepest(gradients) : ''
  }
  pick(path: string): void {
    this.#path = path
  }
  /** For the questions about an update: only what differs from the program's own way. */
  get options(): { learning_rate?: number; fresh?: boolean } {
    return { ...(this.rate === null ? {} : { learning_rate: this.rate }), ...(this.fresh ? { fresh: true } : {}) }
  }
}

export const picked = new Picked()

/** Whether the model at hand has this parameter. */
export function exists(path: string): boolean {
  const found = /^([\w.]+)\[(\d+)\]\[(\d+)\]$/.exec(path)
  const shape = app.model?.shapes.find(([name]) => name === found?.[1])
  return !!found && !!shape && Number(found[2]) < shape[1] && Number(found[3]) < shape[2]
}

/** The path of the largest gradient, of all tensors or of one. */
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

/** What a row of this matrix stands for, where it has a name: the token of wte and lm_head. */
export function rowName(tensor: string, row: number): string {
  const symbol = app.model?.symbols[row]
  if (tensor !== 'wte' && tensor !== 'lm_head') return String(row)
  return symbol === '' ? `${row} ·` : `${row} ${symbol === ' ' ? '␣' : symbol}`
}
