// Colours Python source. This is a separate module because the parser is large and the text is readable before the
// parser has loaded.

import { highlightTree, tagHighlighter, tags } from '@lezer/highlight'
import { parser } from '@lezer/python'

const style = tagHighlighter([
  { tag: tags.keyword, class: 'keyword' },
  { tag: [tags.string, tags.docString], class: 'string' },
  { tag: tags.comment, class: 'comment' },
  { tag: tags.number, class: 'number' },
  { tag: [tags.function(tags.definition(tags.variableName)), tags.definition(tags.className)], class: 'definition' },
])

export interface Token {
  text: string
  style: string
}

/** Return the tokens of each line. */
export function highlight(lines: string[]): Token[][] {
  const text = lines.join('\n')
  const found: Token[][] = [[]]
  const put = (piece: string, style: string) =>
    piece.split('\n').forEach((part, i) => {
      if (i) found.push([])
      if (part) found[found.length - 1].push({ text: part, style })
    })
  let end = 0
  highlightTree(parser.parse(text), style, (from, to, classes) => {
    put(text.slice(end, from), '')
    put(text.slice(from, to), classes)
    end = to
  })
  put(text.slice(end), '')
  return found
}
