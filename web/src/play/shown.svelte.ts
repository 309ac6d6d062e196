// All tensors that the chapter at hand can speak of: those that it made, and the parameters.

import type { Parameters } from '../engine/protocol'
import type { Tensors } from './numbers'
import { playhead } from './playhead.svelte'

class Shown {
  parameters = $state.raw<Parameters['tensors']>({})
  tensors: Tensors = $derived({ ...this.parameters, ...playhead.story?.tensors })

  /** Whether the session can open a number: those of a sample belong to another word than the one that is followed. */
  opens(path: string): boolean {
    return playhead.story?.chapter !== 'sample' || path.replace(/\[.*/, '') in this.parameters
  }
}
export const shown = new Shown()
