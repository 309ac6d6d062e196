// The prose's markup: `code`, *emphasis*, [text](address), and {fact}, which the engine fills in.

export type Piece = { kind: 'text' | 'code' | 'em' | 'fact'; text: string } | { kind: 'link'; text: string; href: string }

const PATTERN = /`([^`]+)`|\*([^*]+)\*|\[([^\]]+)\]\(([^)]+)\)|\{(\w+)\}/g

export function pieces(source: string, facts: Record<string, string>): Piece[] {
  const found: Piece[] = []
  let end = 0
  for (const match of source.matchAll(PATTERN)) {
    if (match.index > end) found.push({ kind: 'text', text: source.slice(end, match.index) })
    const [, code, em, text, href, fact] = match
    if (code) found.push({ kind: 'code', text: code.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? '…') })
    else if (em) found.push({ kind: 'em', text: em.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? '…') })
    else if (fact) found.push({ kind: 'fact', text: facts[fact] ?? '…' })
    else found.push({ kind: 'link', text, href })
    end = match.index + match[0].length
  }
  if (end < source.length) found.push({ kind: 'text', text: source.slice(end) })
  return found
}
