// Where numbers are on the screen: each figure tells where it draws a path, so that arrows can be drawn between figures.

type Locate = (path: string) => DOMRect | null

const figures = new Set<Locate>()

/** For an effect: register, and give what takes it back. */
export function draws(locate: Locate): () => void {
  figures.add(locate)
  return () => figures.delete(locate)
}

/** The cell of that number in a figure, else the text that shows it, where the page shows it at all. */
export function placeOf(path: string): DOMRect | null {
  for (const locate of figures) {
    const found = locate(path)
    if (found?.width) return found
  }
  const text = document.querySelector(`main [data-path="${CSS.escape(path)}"]`)?.getBoundingClientRect()
  return text?.width ? text : null
}

/** The index of a path within a tensor's flat buffer, -1 if it is no number of it. */
export function positionIn(name: string, shape: number[], path: string): number {
  if (!path.startsWith(name)) return -1
  const rest = path.slice(name.length)
  if (!/^(\[\d+\])*$/.test(rest)) return -1
  const index = [...rest.matchAll(/\d+/g)].map(Number)
  if (index.length !== shape.length || index.some((i, axis) => i >= shape[axis])) return -1
  return index.reduce((position, i, axis) => position * shape[axis] + i, 0)
}

export function pathAt(name: string, shape: number[], position: number): string {
  let index = ''
  for (const size of [...shape].reverse()) {
    index = `[${position % size}]${index}`
    position = Math.floor(position / size)
  }
  return name + index
}
