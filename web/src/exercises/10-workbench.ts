import { three, type Asked, type Exercise, type Verdict } from './exercise'

const NONE: Verdict = {
  right: false,
  says: 'The figures still show the reference: change the file, and let all figures use it.',
}

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
    title: 'A program of your own',
    kind: 'make it so',
    hard: 2,
    stage: { section: 10, word: 'emma' },
    question:
      'Change the program, in any function that computes, and let your program make the numbers of all figures.',
    hint: {
      plain: 'There are changes to try, one button each. Then look above the file for what it can be used for.',
      technical: 'A change of a comment alone changes no function: it is the same program.',
    },
    async judge(asked) {
      const found = await edited(asked)
      if (!found) return NONE
      return {
        right: true,
        says: 'Edited: `{names}`. Untrained, your program gives “{now}” a loss of {loss}: look at any other section.',
        facts: found.facts,
      }
    },
  },
  {
    id: 'attention-without-its-brake',
    title: 'Attention of another kind',
    kind: 'make it so',
    hard: 3,
    stage: { section: 10, word: 'emma' },
    question: 'Let the figures follow a program whose attention is not the reference’s.',
    hint: {
      plain: 'The scores are divided by something before they become shares. What if they were not?',
      technical: 'In attention: `/ len(q) ** 0.5`. One of the preset changes removes it.',
    },
    async judge(asked) {
      const found = await edited(asked)
      if (!found) return NONE
      if (!found.changed.includes('attention'))
        return { right: false, says: 'Edited: `{names}`. Attention is as it was.', facts: found.facts }
      return { right: true, says: 'Edited: `{names}`. Section 5 shows its matrices now.', facts: found.facts }
    },
  },
]
