// The tour: some moments of the whole program, each with a caption, in the order in which the program gets to them.
import type { Text } from '../texts/texts'
import { END } from './chapters'
import text from './tour.text'

export interface Beat {
  chapter: string
  line: string // the beginning of a line of the source; '' at the end
  nth?: number // which of the line's moments: 0 is the first, -1 (if not given) the last
  meets?: RegExp // in backward, instead of a line: the tensor that begins to pass its gradient on
  title: Text
  caption: Text
}

const MS_PER_WORD = 300 // 200 words a minute
const LEAST = 6000 // ms, so that there is time to look at the figure

// In the forward pass, the moments are those of the last letter, which has all the others to look back at. A line that
// occurs twice in a layer is named by its place from the end, so that models with more layers have the same beats.
export const beats: Beat[] = [
  { chapter: 'data', line: 'with open(path', ...text.file },
  { chapter: 'data', line: 'rng.shuffle(docs)', nth: 0, ...text.shuffle },
  { chapter: 'data', line: 'self.token_ids = {', ...text.alphabet },
  { chapter: 'data', line: 'return {name: [[Value(rng.gauss', ...text.tables },
  { chapter: 'tokens', line: 'return [self.bos', nth: 0, ...text.ids },
  { chapter: 'forward', line: 'x = [t + p for', ...text.embed },
  { chapter: 'forward', line: 'x = rmsnorm(x)', nth: -2, ...text.norm },
  { chapter: 'forward', line: 'q = linear(', ...text.search },
  { chapter: 'forward', line: 'keys[i].append(', ...text.labels },
  { chapter: 'forward', line: 'attn_logits = [', ...text.score },
  { chapter: 'forward', line: 'attn_weights = softmax(', ...text.shares },
  { chapter: 'forward', line: 'return [sum(weight * v[j]', ...text.blend },
  { chapter: 'forward', line: 'x = [a + b for', nth: -2, ...text.merge },
  { chapter: 'forward', line: 'x = [activation(', ...text.think },
  { chapter: 'forward', line: 'x = [a + b for', ...text.keep },
  { chapter: 'forward', line: 'return linear(x, state_dict["lm_head"]', ...text.scores },
  { chapter: 'forward', line: 'return [e / total', ...text.chances },
  { chapter: 'loss', line: 'losses.append(', nth: 0, ...text.surprise },
  { chapter: 'loss', line: 'return 1 / len(losses)', ...text.mean },
  { chapter: 'backward', line: 'self.grad = 1.0', ...text.blame },
  { chapter: 'backward', line: '', meets: /\.probs$/, nth: 0, ...text.twice },
  { chapter: 'backward', line: '', meets: /\.emb$/, ...text.reached },
  { chapter: 'adam', line: 'p.data -=', ...text.step },
  { chapter: 'data', line: 'for step in range(num_steps)', ...text.again },
  { chapter: 'sample', line: '[token_id] = rng.choices(', nth: 0, ...text.die },
  { chapter: 'sample', line: 'return token_ids', ...text.name },
  { chapter: END, line: '', ...text.end },
]

/** Return how many milliseconds a beat lasts: as long as it takes to read its caption. */
export function lasts(caption: string): number {
  return Math.max(LEAST, MS_PER_WORD * caption.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word)).length)
}

const places = new Map<string, number>()
let changes = 0
beats.forEach(({ chapter }, i) => {
  if (i && beats[i - 1].chapter !== chapter) changes += 1
  if (!places.has(chapter)) places.set(chapter, changes % 2)
})

/** Return which of two places keeps a chapter: two chapters that follow each other on the tour have different ones. */
export function placeOf(chapter: string): number {
  return places.get(chapter) ?? 0
}
