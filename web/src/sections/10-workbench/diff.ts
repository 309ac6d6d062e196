// A line diff: the longest common subsequence of two texts, and the lines outside it.

export interface Line {
  text: string
  was: number // the line's number in the old text, 0 if the line was added
  is: number // the line's number in the new text, 0 if the line was removed
}

const LARGEST = 4_000_000 // cells of the table; in a larger table, the entire middle counts as changed

export function diff(before: string, after: string): Line[] {
  const a = before.split('\n')
  const b = after.split('\n')
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let end = 0
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++
  const n = a.length - start - end
  const m = b.length - start - end
  const lines: Line[] = []
  for (let k = 0; k < start; k++) lines.push({ text: a[k], was: k + 1, is: k + 1 })

  // common[i][j]: the number of lines that a[i:] and b[j:] have in common
  const width = m + 1
  const common = n * m <= LARGEST ? new Uint32Array((n + 1) * width) : null
  if (common)
    for (let i = n - 1; i >= 0; i--)
      for (let j = m - 1; j >= 0; j--)
        common[i * width + j] =
          a[start + i] === b[start + j]
            ? common[(i + 1) * width + j + 1] + 1
            : Math.max(common[(i + 1) * width + j], common[i * width + j + 1])
  let i = 0
  let j = 0
  while (i < n || j < m) {
    if (common && i < n && j < m && a[start + i] === b[start + j]) {
      lines.push({ text: a[start + i], was: start + ++i, is: start + ++j })
    } else if (i < n && (j === m || !common || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      lines.push({ text: a[start + i], was: start + ++i, is: 0 })
    } else {
      lines.push({ text: b[start + j], was: 0, is: start + ++j })
    }
  }
  for (let k = 0; k < end; k++)
    lines.push({ text: a[a.length - end + k], was: a.length - end + k + 1, is: b.length - end + k + 1 })
  return lines
}

/** Return the changed lines with a few lines around each; null stands for omitted lines. */
export function near(lines: Line[], around = 2): (Line | null)[] {
  const kept = lines.map((_, i) =>
    lines.slice(Math.max(0, i - around), i + around + 1).some((line) => !line.was || !line.is),
  )
  return lines.flatMap((line, i) => (kept[i] ? [line] : i === 0 || kept[i - 1] ? [null] : []))
}
