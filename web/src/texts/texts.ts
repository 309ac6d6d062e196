// The page's texts. Each section keeps all its words (prose, titles, labels, captions, messages) in its text.ts, apart
// from the code; a translation would be a file beside it. Components show them with `say` and Inline.
//
// With `?locale=pseudo` in the address every text is accented and lengthened: a text that is still in the code stays as
// it is, and a layout without room for other languages breaks.

/** A text: the same at every level, or one for each. At the level "both" the technical text is shown, unless `both` is
 * given. */
export type Text = string | { plain: string; technical: string; both?: string }

/** Paragraphs: for everyone, in everyday words, and in technical words. */
export interface Words {
  both?: string[]
  plain?: string[]
  technical?: string[]
}

/** A question that a learner asks; its answer is folded behind it. */
export interface Question {
  asks: Text
  words: Words
}

/** The claims about the model in the texts that have been loaded, each with the expression that checks it. */
export const claims: { text: string; check: string }[] = []

/** Return a text that claims something of the model on show. The build evaluates the Python expression `check`
 * (lab/claims.py has its functions), and fails if it is false. */
export function claim(text: string, check: string): string {
  claims.push({ text, check })
  return text
}

const LETTERS = new Map([...'aceinosuyACEINOSUY'].map((letter, i) => [letter, [...'áçéíñóšúýÁÇÉÍÑÓŠÚÝ'][i]]))
const KEPT = /(`[^`]*`|\{\w+\}|\]\([^)]*\))/ // code, facts and addresses
const IS_PSEUDO = typeof location !== 'undefined' && new URLSearchParams(location.search).get('locale') === 'pseudo'

/** Return a text accented, and about 40% longer: by words, since no language has words of fifty letters. */
export function pseudo(text: string): string {
  const accented = text
    .split(KEPT)
    .map((part, i) => (i % 2 ? part : part.replace(/[a-z]/gi, (letter) => LETTERS.get(letter) ?? letter)))
    .join('')
  const letters = text.replace(KEPT, '').length
  return `${accented} ${'·õ·ö'.repeat(Math.ceil((0.4 * letters) / 4)).replace(/.{12}(?=.)/g, '$& ')}`
}

function localized<T>(value: T): T {
  if (typeof value === 'string') return pseudo(value) as T
  if (Array.isArray(value)) return value.map(localized) as T
  if (value && typeof value === 'object')
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, localized(part)])) as T
  return value
}

/** Return a fact to be filled into a text. The pseudo-locale marks it, since it needs no translation. */
export function filled(fact: string | number): string {
  return IS_PSEUDO ? `⟦${fact}⟧` : String(fact)
}

/** Return a file's texts in the page's language. Every text.ts passes its texts through it. */
export function texts<T extends object>(all: T): T {
  return IS_PSEUDO ? localized(all) : all
}
