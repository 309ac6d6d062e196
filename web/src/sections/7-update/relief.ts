// A contour map on a canvas: bands of equal width in loss, separated by lines.

const SCALE = 14 // pixels per cell of the grid
const BANDS = 18
const STEEP = 2.5 // the drawn heights, in units of the descent from the start to the lowest point

/** Render rows x columns heights, with the first row at the bottom, in the canvas's color and background color. Heights
 * far above `start` all have the strongest color, so that a cliff doesn't hide the valleys. */
export function shade(
  canvas: HTMLCanvasElement,
  heights: (number | string)[],
  columns: number,
  rows: number,
  start: number,
): void {
  const [width, height] = [(columns - 1) * SCALE, (rows - 1) * SCALE]
  canvas.width = width
  canvas.height = height
  const context = canvas.getContext('2d')!
  const style = getComputedStyle(canvas)
  const [ink, ground] = [style.color, style.backgroundColor].map(rgb)
  const known = heights.map(Number).filter(Number.isFinite)
  const low = Math.min(...known)
  const high = Math.min(Math.max(...known), low + STEEP * Math.max(start - low, 1e-9))
  const band = (z: number) => Math.min(BANDS - 1, Math.floor(((z - low) / (high - low || 1)) * BANDS))

  const bands = new Int16Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [column, row] = [x / SCALE, (height - 1 - y) / SCALE]
      const [i, j] = [Math.floor(row), Math.floor(column)]
      const [v, u] = [row - i, column - j]
      const z = (i: number, j: number) => Number(heights[i * columns + j])
      const near = (1 - v) * ((1 - u) * z(i, j) + u * z(i, j + 1)) + v * ((1 - u) * z(i + 1, j) + u * z(i + 1, j + 1))
      bands[y * width + x] = Number.isFinite(near) ? band(near) : BANDS
    }
  }
  const picture = context.createImageData(width, height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x
      const edge = (x > 0 && bands[i] !== bands[i - 1]) || (y > 0 && bands[i] !== bands[i - width])
      const share = 0.06 + (0.62 * bands[i]) / BANDS + (edge ? 0.28 : 0)
      for (let c = 0; c < 3; c++) picture.data[4 * i + c] = ground[c] + (ink[c] - ground[c]) * Math.min(1, share)
      picture.data[4 * i + 3] = 255
    }
  }
  context.putImageData(picture, 0, 0)
}

const rgb = (color: string) => (color.match(/[\d.]+/g) ?? ['0', '0', '0']).slice(0, 3).map(Number)
