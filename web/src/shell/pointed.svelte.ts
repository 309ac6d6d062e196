// The operand that the reader points at in the sum that is open: its arrow stands out.

class Pointed {
  path = $state('')
}
export const pointed = new Pointed()
