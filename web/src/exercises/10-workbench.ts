import { three, type Asked, type Exercise } from './exercise'
import text from './10-workbench.text'

const NONE = { right: false, says: text.none }

/** What is edited in the program that makes the numbers, and what the word costs it. */
async function edited({ app, ask }: Asked) {
  const program = app.model?.program
  if (!program?.changed.length) return null
  const { mean } = await ask('loss', { word: app.word })
  return { changed: program.changed, facts: { names: program.changed.join('`, `'), loss: three(mean), now: app.word } }
}

export const workbench: Exercise[] = [
  {
    id: 'a-program-of-your-own',
    title: text.own.title,
    kind: 'make it so',
    hard: 2,
    stage: { section: 10, word: 'emma' },
    question: text.own.question,
    hint: text.own.hint,
    async judge(asked) {
      const found = await edited(asked)
      return found ? { right: true, says: text.own.right, facts: found.facts } : NONE
    },
  },
  {
    id: 'attention-without-its-brake',
    title: text.attention.title,
    kind: 'make it so',
    hard: 3,
    stage: { section: 10, word: 'emma' },
    question: text.attention.question,
    hint: text.attention.hint,
    async judge(asked) {
      const found = await edited(asked)
      if (!found) return NONE
      const right = found.changed.includes('attention')
      return { right, says: right ? text.attention.right : text.attention.wrong, facts: found.facts }
    },
  },
]
