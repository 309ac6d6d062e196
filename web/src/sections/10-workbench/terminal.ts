// Printed text as a terminal shows it: \r returns to the start of the line, and the text after it overwrites the line.

const MOST = 3000 // the maximum number of stored lines

export class Terminal {
  lines = ['']
  left = 0 // the number of lines that were dropped
  #column = 0

  feed(text: string): void {
    for (const piece of text.split(/([\r\n])/)) {
      const last = this.lines.length - 1
      if (piece === '\n') {
        if (this.lines.length < MOST) this.lines.push('')
        else this.left += 1
        this.#column = 0
      } else if (piece === '\r') this.#column = 0
      else if (piece && !this.left) {
        const line = this.lines[last]
        this.lines[last] = line.slice(0, this.#column) + piece + line.slice(this.#column + piece.length)
        this.#column += piece.length
      }
    }
  }
}
