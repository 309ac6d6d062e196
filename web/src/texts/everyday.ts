// The everyday names of the program's matrices, tensors and numbers, for readers who chose plain words. The technical
// names are those of src/microgpt/tracing/names.py; a dot in the place of an index stands for all of them.
import { app } from '../state.svelte'
import text from './everyday.text'

const MATRICES: Record<string, string> = text.matrices
const TENSORS: Record<string, string> = text.tensors
const ELEMENTS: Record<string, string> = text.elements
const ABOUT: Record<string, string> = text.about
const INNER: Record<string, string> = text.inner

const NAME = /^(?:pos(\d+|·)\.)?(?:layer(\d+)\.)?([a-z_]\w*(?:\.[a-z_]+)?)(?:\.head(\d+))?$/
const PATH = /^([a-z_][\w.·]*)((?:\[(?:\d+(?::\d+)?|·)\])*)(?:\.(term|sum|total|inverse|[a-z_]+)\d*)?$/

const fill = (words: string, facts: Record<string, string | number>) =>
  words.replace(/\{(\w+)\}/g, (all, key: string) => String(facts[key] ?? all))

const letterAt = (t: string | number) =>
  t === '·' ? text.eachLetter : Number(t) ? fill(text.letter, { t }) : text.start

function symbolOf(i: number): string {
  const symbol = app.model?.symbols[i]
  if (symbol === undefined) return String(i)
  return symbol ? fill(text.quoted, { symbol }) : text.bos
}

function inLayer(name: string, layer: string | undefined): string {
  const isDeep = Number(layer) > 0 || (app.model?.config.n_layer ?? 1) > 1
  return layer !== undefined && isDeep ? fill(text.inLayer, { name, layer }) : name
}

/** Return the name of a parameter's row or number. */
function partOfMatrix(matrix: string, name: string, index: number[]): string {
  const [row, column] = index
  if (row === undefined) return name
  const facts = { name, i: row, symbol: symbolOf(row) }
  const rowWords = /^(wte|lm_head)$/.test(matrix) ? text.symbolRow : matrix === 'wpe' ? text.placeRow : text.row
  const rowName = fill(rowWords, facts)
  return column === undefined ? rowName : fill(text.number, { i: column, name: rowName })
}

/** Return the everyday name of a tensor, a row or a number; undefined if the program computes nothing of this name. */
export function inPlain(path: string): string | undefined {
  const about = /^(grad|m|v|delta) (.+)$/.exec(path) ?? /^d (?<name>.+) \/ d (?<other>.+)$/.exec(path)
  if (about?.groups) {
    const [name, other] = [inPlain(about.groups.name), inPlain(about.groups.other)]
    return name && other && fill(text.about.local, { name, other })
  }
  if (about) {
    const name = inPlain(about[2])
    return name && fill(ABOUT[about[1]], { name })
  }
  const [, before, step] = /^(.+)@(\d+)$/.exec(path) ?? []
  if (before) {
    const name = inPlain(before)
    return name && fill(text.about.step, { name, step })
  }
  return tensorName(path)
}

function tensorName(given: string): string | undefined {
  const path = given.replace(/(\[·\])+$/, '')
  const [, whole, brackets = '', role] = PATH.exec(path) ?? []
  if (!whole) return undefined
  if (role) {
    const name = tensorName(path.replace(/\.\w+$/, ''))
    return name && fill(INNER[role] ?? text.inner.other, { name })
  }
  const slice = /\[(\d+):(\d+)\]$/.exec(brackets)
  if (slice) {
    const name = tensorName(path.slice(0, -slice[0].length))
    return name && fill(text.numbers, { name, from: slice[1], to: Number(slice[2]) - 1 })
  }
  const [, t, layer, kind, head] = NAME.exec(whole) ?? []
  const index = [...brackets.matchAll(/\d+/g)].map(Number)
  if (kind in MATRICES) return inLayer(partOfMatrix(kind, MATRICES[kind], index), layer)
  const key = [t !== undefined && `pos.${kind}`, head !== undefined && `${kind}.head`, kind].find(
    (key) => key && key in TENSORS,
  )
  if (!key) return innerName(path, whole)
  const facts = { letter: letterAt(t ?? ''), head: head ?? '' }
  const [i] = index
  if (i !== undefined && kind in ELEMENTS) {
    const own = t === String(i) ? ELEMENTS[`${kind}.own`] : undefined // a letter looks at itself
    return inLayer(fill(own ?? ELEMENTS[kind], { ...facts, i, other: letterAt(i), symbol: symbolOf(i) }), layer)
  }
  const name = fill(TENSORS[key], facts)
  return inLayer(i === undefined ? name : fill(text.number, { i, name }), layer)
}

/** Return the name of a number on the way to a tensor without an index, such as pos3.loss.log. */
function innerName(path: string, whole: string): string | undefined {
  const [, owner, role] = /^(.+)\.([a-z_]+)\d*$/.exec(whole) ?? []
  const name = owner && path === whole ? tensorName(owner) : undefined
  return name && fill(INNER[role] ?? text.inner.other, { name })
}

/** Return the name of a matrix, tensor or number for the reader: an everyday name in plain, and the technical name
 * otherwise. Where there is room for both, that is what readers at the level "both" get. */
export function everyday(name: string, room = false): string {
  if (app.level === 'technical' || (app.level === 'both' && !room)) return name
  const words = inPlain(name)
  if (!words) return name
  return app.level === 'both' ? fill(text.both, { everyday: words, name }) : words
}
