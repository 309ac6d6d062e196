import { onLine, type Exercise } from './exercise'
import text from './1-data.text'

export const data: Exercise[] = [
  {
    id: 'a-letter-it-does-not-know',
    title: text.unknown.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 1, word: 'emma' },
    question: text.unknown.question,
    hint: text.unknown.hint,
    async judge({ seen, ask }) {
      const { unknown } = await ask('tokens', { text: seen.typed })
      if (!unknown.length) return { right: false, says: text.unknown.wrong, facts: { text: seen.typed } }
      return {
        right: true,
        says: text.unknown.right,
        facts: { char: unknown.join('”, “') },
      }
    },
  },
  {
    id: 'too-long',
    title: text.long.title,
    kind: 'make it so',
    hard: 1,
    stage: { section: 1, word: 'emma' },
    question: text.long.question,
    hint: text.long.hint,
    async judge({ seen, ask }) {
      const { cut, positions, characters } = await ask('tokens', { text: seen.typed })
      const facts = { count: String(characters.length), cut: String(cut), positions: String(positions) }
      if (!cut) return { right: false, says: text.long.wrong, facts }
      return {
        right: true,
        says: text.long.right,
        facts,
      }
    },
  },
  {
    id: 'the-rarest-letter',
    title: text.rarest.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 1, word: 'emma' },
    question: text.rarest.question,
    hint: text.rarest.hint,
    async judge({ app, ask }) {
      const { letters } = await ask('data', {})
      const rarest = letters.filter(({ char }) => char).reduce((least, one) => (one.count < least.count ? one : least))
      const first = [...app.word][0] ?? ''
      const own = letters.find(({ char }) => char === first)
      const facts = { now: app.word, first, count: (own?.count ?? 0).toLocaleString('en') }
      if (first !== rarest.char)
        return {
          right: false,
          says: text.rarest.wrong,
          facts,
        }
      return { right: true, says: text.rarest.right, facts }
    },
  },
  {
    id: 'a-seed-that-leaves-the-first',
    title: text.first.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 1, word: 'emma' },
    question: text.first.question,
    hint: text.first.hint,
    async judge({ seen, ask }) {
      const { seed } = seen.shuffle
      const { before, swaps } = await ask('shuffle', { seed, count: 8 })
      const first = swaps.at(-1)?.after[0] ?? ''
      const facts = { seed: String(seed), before: before[0], first }
      if (first !== before[0]) return { right: false, says: text.first.wrong, facts }
      return {
        right: true,
        says: text.first.right,
        facts,
      }
    },
  },
  {
    id: 'bos-at-both-ends',
    title: text.bos.title,
    kind: 'find the line',
    hard: 1,
    stage: { section: 1, word: 'emma' },
    question: text.bos.question,
    hint: text.bos.hint,
    judge: onLine(['return [self.bos, *('], text.bos.right),
  },
]
