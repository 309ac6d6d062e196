// All tensors that the current chapter can refer to: the tensors that it computed, and the parameters.

import type { Parameters } from '../engine/protocol'
import type { Tensors } from './numbers'
import { playhead } from './playhead.svelte'

class Shown {
  parameters = $state.raw<Parameters['tensors']>({})
  tensors: Tensors = $derived({ ...this.parameters, ...playhead.story?.tensors })

  /** Whether the session can open a number: a sample's numbers belong to a different word. */
  opens(path: string): boolean {
    return playhead.story?.chapter !== 'sample' || path.replace(/\[.*/, '') in this.parameters
  }
}
export const shown = new Shown()
