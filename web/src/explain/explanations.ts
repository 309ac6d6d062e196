// What is said of each line and block of the reference: reference.md, read line by line.
//
//     # an act          ## a block, with its own plain and technical words          > a line of the source, as it stands
//
// main() runs through all acts: an act: among its lines says which one begins there.
// A test holds the lines against the file: none without words, no words without a line.

import text from './reference.md?raw'

export interface Words {
  plain: string
  technical: string
}
export interface Block extends Words {
  title: string
}
export interface Lines extends Words {
  code: string[] // lines that are explained together, as they stand in the file, without the blank ones
  act: string
  block: Block
}

export const explanations: Lines[] = []

let act = ''
let block: Block = { title: '', plain: '', technical: '' }
let now: { plain: string; technical: string } = block
for (const line of text.split('\n')) {
  const [, mark, rest] = /^(#|##|>|act:|plain:|technical:) (.*)$/.exec(line) ?? []
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

const SKIPPED = 40 // lines that an edit may have left out in one place

/** For each line of the source, from line 1 at index 0, what is said of it; blank lines belong to the line before. Of a
 * line that was edited nothing is said. */
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
