// What PyTorch has for each line of the reference: torch.md, read line by line.
//
//     > a line of the reference      = a line of microgpt_torch.py      ~ a line that stands in no file
//     nothing: why nothing is needed                                    note: a word besides
//
// A test holds the lines against both files.

import text from './torch.md?raw'
import whole from './microgpt_torch.py?raw'

export { whole }

export interface Pair {
  lines: number[] // of the reference
  code: string[]
  torch: { text: string; line: number }[] // line: of the whole version, 0 for a snippet
  nothing: string
  note: string
}

/** In the order of the reference, whose lines are given; its blank ones are left out. */
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
    else if (mark === 'nothing:') pair!.nothing = rest
    else if (mark === 'note:') pair!.note = rest
  }
  return found
}
