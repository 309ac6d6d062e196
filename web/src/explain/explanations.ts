// The explanations of the reference's lines and blocks, parsed from reference.md.
//
//     # an act
//     ## a block, with a plain and a technical explanation
//     > a line of the source, verbatim
//
// main() goes through all the acts: `act:` between its lines names the act that begins there.
// A test checks that every line of the reference has an explanation, and that every explanation has a line.

import { texts } from '../texts/texts'
import text from './reference.md?raw'

export interface Words {
  plain: string
  technical: string
}
export interface Block extends Words {
  title: string
}
export interface Lines extends Words {
  code: string[] // consecutive lines with a common explanation, verbatim, without blank lines
  act: string
  block: Block
}

export const explanations: Lines[] = []

let act = ''
let block: Block = { title: '', plain: '', technical: '' }
let now: { plain: string; technical: string } = block
for (const line of text.split('\n')) {
  const [, mark, read] = /^(#|##|>|act:|plain:|technical:) (.*)$/.exec(line) ?? []
  const [rest] = mark === '>' ? [read] : texts([read])
  if (mark === '#' || mark === 'act:') act = rest
  else if (mark === '##') {
    block = { title: rest, plain: '', technical: '' }
    now = block
  } else if (mark === 'plain:') now.plain = rest
  else if (mark === 'technical:') now.technical = rest
  else if (mark === '>') {
    const last = explanations.at(-1)
    if (last && last === now && !last.plain) last.code.push(rest)
    else {
      const lines = { code: [rest], act, block, plain: '', technical: '' }
      explanations.push(lines)
      now = lines
    }
  }
}

const SKIPPED = 40 // the most lines that an edit may have removed in one place

/** Return the explanation of each line of the source; line 1 is at index 0. A blank line has the explanation of the line
 * before it, and an edited line has none. */
export function byLine(source: string[]): (Lines | undefined)[] {
  const all = explanations.flatMap((lines) => lines.code.map((code) => ({ code: code.trim(), lines })))
  let next = 0
  return source.map((line) => {
    if (!line.trim()) return all[next - 1]?.lines
    const ahead = all.slice(next, next + SKIPPED).findIndex(({ code }) => code === line.trim())
    if (ahead < 0) return undefined
    next += ahead + 1
    return all[next - 1].lines
  })
}
