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

const STREAMS = { attend: 'resid_pre', merge: 'resid_mid', think: 'resid_mid', conclude: 'resid_post', score: 'resid_post' } // prettier-ignore

/** Return the name of the residual stream at a beat; a beat that adds has added by then. */
export function streamOf({ name, layer }: Beat, position: number): string {
  return name === 'embed' ? `pos${position}.emb_norm` : `pos${position}.layer${layer}.${STREAMS[name]}`
}

/** Return the name of what a beat adds to the stream, or '' if it adds nothing. */
export function adds({ name, layer }: Beat, position: number): string {
  const found = { merge: 'attn_out', conclude: 'mlp_out' }[name as string]
  return found ? `pos${position}.layer${layer}.${found}` : ''
}

export const words = (beat: Beat) => text.beats[beat.name]
