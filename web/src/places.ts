// The positions of numbers on the screen: each figure reports where it shows a number, so that arrows can connect
// numbers across figures.

type Locate = (path: string) => DOMRect | null

const figures = new Set<Locate>()

/** Register a figure, inside an effect. Return the function that unregisters the figure. */
export function draws(locate: Locate): () => void {
  figures.add(locate)
  return () => figures.delete(locate)
}

/** Return every place where the section shows a number, as a cell or as text. */
export function placesOf(path: string): DOMRect[] {
  const cells = [...figures].map((locate) => locate(path))
  const texts = [...document.querySelectorAll(`main [data-path="${CSS.escape(path)}"]`)].map((text) =>
    text.getBoundingClientRect(),
  )
  return [...cells, ...texts].filter((place): place is DOMRect => !!place && place.width > 0 && place.height > 0)
}

/** Return the index of a path in a tensor's flat buffer, or -1 if the path is not in the tensor. */
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
