// The beats of the forward pass at one position: embed; then look back, merge, think and merge in each layer; and score.

import text from './text'

export type Name = 'embed' | 'attend' | 'merge' | 'think' | 'conclude' | 'score'
export interface Beat {
  name: Name
  layer: number
  stage: number // what has been added to the residual stream so far: the index of guesses_on_the_way
}

const IN_LAYER: Name[] = ['attend', 'merge', 'think', 'conclude']

export function beats(layers: number): Beat[] {
  const inner = Array.from({ length: layers }, (_, layer) =>
    IN_LAYER.map((name, i) => ({ name, layer, stage: 2 * layer + [0, 1, 1, 2][i] })),
  )
  return [
    { name: 'embed', layer: 0, stage: 0 },
    ...inner.flat(),
    { name: 'score', layer: layers - 1, stage: 2 * layers },
  ]
}

export const words = (beat: Beat) => text.beats[beat.name]
