// The playhead's chapters, in the program's order, each with the section of the guide to which the chapter belongs.
import type { ChapterName } from '../engine/protocol'
import type { Text } from '../texts/texts'
import text from './chapters.text'

export interface Act {
  name: ChapterName
  title: Text
  about: Text
  section: number // of the guide
}

export const chapters: Act[] = [
  { name: 'data', section: 1, ...text.data },
  { name: 'tokens', section: 1, ...text.tokens },
  { name: 'forward', section: 4, ...text.forward },
  { name: 'loss', section: 6, ...text.loss },
  { name: 'backward', section: 7, ...text.backward },
  { name: 'adam', section: 7, ...text.adam },
  { name: 'sample', section: 9, ...text.sample },
]
/** Return the title of a chapter; an empty one for what is no chapter. */
export const titleOf = (name: string): Text => chapters.find((chapter) => chapter.name === name)?.title ?? ''
export const END = 'end' // the big picture, after the last chapter
export const TOUR = 'tour' // some moments of all chapters, with captions

/** For each section, the chapter that plays the section's subject, and the line where the subject starts. */
export const placeOf: Record<number, { chapter: string; line: string }> = {
  0: { chapter: 'data', line: '' },
  1: { chapter: 'data', line: 'with open(path' },
  2: { chapter: 'backward', line: '' },
  3: { chapter: 'data', line: 'table = {"wte"' },
  4: { chapter: 'forward', line: 'x = [t + p for' },
  5: { chapter: 'forward', line: 'q = linear(x' },
  6: { chapter: 'loss', line: '' },
  7: { chapter: 'backward', line: 'self.grad = 1.0' },
  8: { chapter: 'adam', line: '' },
  9: { chapter: 'sample', line: '' },
}
