// The model's stages in the order of backward, derived from the tensors' names.

import { say } from '../../texts/say'
import text from './text'

export interface Stage {
  key: string
  title: string
  part: string // a tensor's name, which determines the part of the model
  norms: { name: string; position: number; norm: number }[] // position -1: the entire document
  matrices: { name: string; norm: number }[] // the matrices whose gradients are computed at this stage
  wire: 'start' | 'main' | 'open' | 'side' | 'close' | 'end' // on the residual stream, or on a branch of it
}

/** The stage at which a matrix is applied: the matrix's gradient is the stage's gradient times the matrix's input. */
const MADE: Record<string, string> = {
  lm_head: 'logits',
  mlp_fc2: 'mlp_out',
  mlp_fc1: 'mlp_pre',
  attn_wo: 'attn_out',
  attn_wq: 'q',
  attn_wk: 'k',
  attn_wv: 'v',
  wte: 'emb',
  wpe: 'emb',
}
const ON_THE_STREAM = ['loss', 'pos loss', 'probs', 'logits', 'resid_post', 'resid_mid', 'resid_pre', 'emb_norm', 'emb']
const HIDDEN = /\.(scale|mean_square)$|tok_emb$|pos_emb$|x_attn\.head/

export function stagesOf(norms: { name: string; norm: number }[], head: number, layers: boolean): Stage[] {
  const stages = new Map<string, Stage>()
  const matrices: { name: string; norm: number }[] = []
  for (const { name, norm } of norms) {
    const found = /^(?:pos(\d+)\.)?(?:layer(\d+)\.)?(.+)$/.exec(name)
    if (!found || HIDDEN.test(name)) continue
    const [, position, layer, rest] = found
    const [kind, ofHead] = rest.split('.head')
    if (position === undefined && kind in MADE) {
      matrices.push({ name, norm })
      continue
    }
    if (ofHead !== undefined && Number(ofHead) !== head) continue
    const role = kind === 'loss' && position !== undefined ? 'pos loss' : kind
    const key = `${layer ?? ''} ${role}`
    if (!stages.has(key)) {
      const title =
        role === 'pos loss'
          ? say(text.path.positionLoss)
          : layer === undefined || !layers
            ? kind
            : `layer${layer}.${kind}`
      stages.set(key, {
        key,
        title,
        part: name,
        norms: [],
        matrices: [],
        wire: ON_THE_STREAM.includes(role) ? 'main' : 'side',
      })
    }
    stages.get(key)!.norms.push({ name, position: position === undefined ? -1 : Number(position), norm })
  }
  for (const { name, norm } of matrices) {
    const [, layer, matrix] = /^(?:layer(\d+)\.)?(.+)$/.exec(name)!
    stages.get(`${layer ?? ''} ${MADE[matrix]}`)?.matrices.push({ name, norm })
  }
  const list = [...stages.values()]
  list.forEach((stage, i) => {
    if (stage.wire === 'side' && list[i - 1]?.wire === 'main') stage.wire = 'open'
    else if (stage.wire === 'side' && list[i + 1]?.wire === 'main') stage.wire = 'close'
  })
  if (list.length) [list[0].wire, list[list.length - 1].wire] = ['start', 'end']
  return list
}
