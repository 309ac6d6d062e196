// The PyTorch equivalent of each line of the reference, parsed from torch.md.
//
//     > a line of the reference
//     = a line of microgpt_torch.py
//     ~ a line of PyTorch that is not in that file
//     nothing: why PyTorch needs no equivalent
//     note: a remark
//
// A test compares the lines with both files.

import { texts } from '../texts/texts'
import text from './torch.md?raw'
import whole from './microgpt_torch.py?raw'

export { whole }

export interface Pair {
  lines: number[] // line numbers in the reference
  code: string[]
  torch: { text: string; line: number }[] // line: the line in microgpt_torch.py, or 0 if it is not in that file
  nothing: string
  note: string
}

/** Return the pairs in the order of the reference's lines, which are given. Blank lines are skipped. */
export function pairs(source: string[]): Pair[] {
  const found: Pair[] = []
  const ours = whole.split('\n')
  const theirs = source.flatMap((line, i) => (line.trim() ? [i + 1] : []))
  let pair: Pair | undefined
  for (const line of text.split('\n')) {
    const [, mark, rest] = /^(>|=|~|nothing:|note:) (.*)$/.exec(line) ?? []
    if (mark === '>') {
      if (!pair || pair.torch.length || pair.nothing)
        found.push((pair = { lines: [], code: [], torch: [], nothing: '', note: '' }))
      pair.lines.push(theirs.shift()!)
      pair.code.push(rest)
    } else if (mark === '=') pair!.torch.push({ text: rest, line: ours.indexOf(rest) + 1 })
    else if (mark === '~') pair!.torch.push({ text: rest, line: 0 })
    else if (mark === 'nothing:') [pair!.nothing] = texts([rest])
    else if (mark === 'note:') [pair!.note] = texts([rest])
  }
  return found
}
