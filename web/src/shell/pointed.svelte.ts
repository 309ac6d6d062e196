// The operand that the reader points at in the open breakdown: its arrow is highlighted.

class Pointed {
  path = $state('')
}
export const pointed = new Pointed()
