// The words of section 0. Figures of the model and the data are filled in from the engine: {name}.
import type { Words } from '../../texts/texts'

export const intro: Words = {
  both: [
    'Nobody wrote the names below. A GPT made them up just now, in this page, one letter at a time. It is the same kind of program that answers in a chat window, and it is small enough to be looked at whole: {num_params} numbers and one Python file, which is here to be read.',
  ],
}

export const map: Words = {
  both: [
    'That is all it does: it reads the letters so far, computes with its numbers how likely each letter is to be next, and lets chance pick one. Here is the whole way of one word. Every cell is a number of the running program; point at one, or open it to see the sum that made it.',
  ],
}

export const onward: Words = {
  both: [
    'Each station has its own section. Nothing on this page is drawn from memory: what you see is the Python program at work, and whatever you change, it computes anew.',
  ],
}
