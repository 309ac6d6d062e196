// The words of section 10's exercises. Facts of the answer are filled in: {name}.
import { texts } from '../texts/texts'

export default texts({
  none: 'The figures still show the reference: change the file, then let all figures use it.',
  own: {
    title: 'A program of your own',
    question:
      'Change the program, in any function that computes, and let your program compute the numbers of all figures.',
    hint: {
      plain: 'There are changes to try, one button each. The button to use the program is above the file.',
      technical: 'Changing a comment changes no function: it is the same program.',
    },
    right: 'Edited: `{names}`. Untrained, your program gives “{now}” a loss of {loss}. Look at any other section.',
  },
  attention: {
    title: 'Attention of another kind',
    question: 'Let the figures follow a program whose attention differs from the reference’s.',
    hint: {
      plain: 'The scores are divided by something before they become shares. What if they were not?',
      technical: 'In attention: `/ len(q) ** 0.5`. One of the preset changes removes it.',
    },
    wrong: 'Edited: `{names}`. Attention is unchanged.',
    right: 'Edited: `{names}`. Section 5 shows its matrices now.',
  },
})
