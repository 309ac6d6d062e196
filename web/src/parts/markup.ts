// The prose's markup: `code`, *emphasis*, [text](address), [word](term:loss) for a word that the glossary explains, and
// {fact}, which the fact's value replaces.

/** A piece of text and, if the text is a fact's value, the fact's name. */
export interface Part {
  text: string
  fact?: string
}
export type Piece =
  | { kind: 'text' | 'code' | 'em'; parts: Part[] }
  | { kind: 'link'; text: string; href: string }
  | { kind: 'term'; text: string; term: string }

const TERM = 'term:'

const PATTERN = /`([^`]+)`|\*([^*]+)\*|\[([^\]]+)\]\(([^)]+)\)/g

export function pieces(source: string, facts: Record<string, string>): Piece[] {
  const found: Piece[] = []
  let end = 0
  const text = (to: number) => to > end && found.push({ kind: 'text', parts: filled(source.slice(end, to), facts) })
  for (const match of source.matchAll(PATTERN)) {
    text(match.index)
    const [, code, em, words, href] = match
    if (code || em) found.push({ kind: code ? 'code' : 'em', parts: filled(code || em, facts) })
    else if (href.startsWith(TERM)) found.push({ kind: 'term', text: words, term: href.slice(TERM.length) })
    else found.push({ kind: 'link', text: words, href })
    end = match.index + match[0].length
  }
  text(source.length)
  return found
}

function filled(text: string, facts: Record<string, string>): Part[] {
  const parts = text.split(/\{(\w+)\}/) // every second part is a fact's name
  return parts
    .map((part, i) => (i % 2 ? { text: facts[part] ?? '…', fact: part } : { text: part }))
    .filter(({ text }) => text)
}
