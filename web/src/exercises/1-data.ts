import { onLine, type Exercise } from './exercise'

export const data: Exercise[] = [
  {
    id: 'a-letter-it-does-not-know',
    title: 'A letter it does not know',
    kind: 'make it so',
    hard: 1,
    stage: { section: 1, word: 'emma' },
    question: 'Type something into the tokenizer that it has no token for.',
    hint: {
      plain: 'Its alphabet is what the names are written in. What is never in a name of the list?',
      technical: 'The vocabulary is the set of the characters of the training text: lower case, no digits, no umlauts.',
    },
    async judge({ seen, ask }) {
      const { unknown } = await ask('tokens', { text: seen.typed })
      if (!unknown.length) return { right: false, says: 'All of “{text}” has tokens.', facts: { text: seen.typed } }
      return {
        right: true,
        says: 'There is no token for “{char}”: the vocabulary is closed, and the program would stop with a KeyError.',
        facts: { char: unknown.join('”, “') },
      }
    },
  },
  {
    id: 'too-long',
    title: 'Longer than it can read',
    kind: 'make it so',
    hard: 1,
    stage: { section: 1, word: 'emma' },
    question: 'Type a text whose end the model does not read.',
    hint: {
      plain: 'It can look at {block_size} places in a row, no more.',
      technical: 'block_size is {block_size}: wpe has a row for each position, and there is none for a later one.',
    },
    async judge({ seen, ask }) {
      const { cut, positions, characters } = await ask('tokens', { text: seen.typed })
      const facts = { count: String(characters.length), cut: String(cut), positions: String(positions) }
      if (!cut) return { right: false, says: 'All of its {count} characters are read.', facts }
      return {
        right: true,
        says: 'Of {count} characters the last {cut} are not read: {positions} positions are computed.',
        facts,
      }
    },
  },
  {
    id: 'the-rarest-letter',
    title: 'The rarest letter',
    kind: 'make it so',
    hard: 2,
    stage: { section: 1, word: 'emma' },
    question: 'Follow a word that begins with the letter that occurs least often in the data.',
    hint: {
      plain: 'The shortest bar among the letters. Then type a word in the bar at the top.',
      technical: 'It is counted over all characters of all documents, not over first letters.',
    },
    async judge({ app, ask }) {
      const { letters } = await ask('data', {})
      const rarest = letters.filter(({ char }) => char).reduce((least, one) => (one.count < least.count ? one : least))
      const first = [...app.word][0] ?? ''
      const own = letters.find(({ char }) => char === first)
      const facts = { now: app.word, first, count: (own?.count ?? 0).toLocaleString('en') }
      if (first !== rarest.char)
        return {
          right: false,
          says: '“{now}” begins with “{first}”, which occurs {count} times. There is a rarer one.',
          facts,
        }
      return { right: true, says: '“{first}” occurs {count} times in all the names: no letter less often.', facts }
    },
  },
  {
    id: 'a-seed-that-leaves-the-first',
    title: 'A shuffle that leaves the first card',
    kind: 'make it so',
    hard: 2,
    stage: { section: 1, word: 'emma' },
    question: 'Find a seed with which the first card of the shuffle lies first again when all is done.',
    hint: {
      plain: 'Try seeds one after another. With eight cards about one in eight will do.',
      technical: 'Fisher and Yates: every order is equally likely, so the chance is 1/8 a seed.',
    },
    async judge({ seen, ask }) {
      const { seed } = seen.shuffle
      const { before, swaps } = await ask('shuffle', { seed, count: 8 })
      const first = swaps.at(-1)?.after[0] ?? ''
      const facts = { seed: String(seed), before: before[0], first }
      if (first !== before[0])
        return { right: false, says: 'With seed {seed} “{first}” comes to lie first, and not “{before}”.', facts }
      return {
        right: true,
        says: 'With seed {seed} “{before}” is first before and after: chance was kind, and will be so again for the same seed.',
        facts,
      }
    },
  },
  {
    id: 'bos-at-both-ends',
    title: 'The silence at both ends',
    kind: 'find the line',
    hard: 1,
    stage: { section: 1, word: 'emma' },
    question: 'Which line of the program puts BOS at both ends of a document?',
    hint: {
      plain: 'Look where letters become numbers: the tokenizer’s encode.',
      technical: 'A list with a starred generator in the middle.',
    },
    judge: onLine(['return [self.bos, *('], 'BOS stands before the first letter and after the last.'),
  },
]
