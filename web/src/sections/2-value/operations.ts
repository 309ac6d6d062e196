// The operations of the program's Value, as expressions of a, and of b if they have two operands.
import type text from './text'

export interface Operation {
  id: keyof (typeof text)['operations']['rules']
  of: (a: string) => string
  from: number // where its curve begins; the curve ends at REACH
  line: string // a piece of the source line that implements it
}

export const REACH = 2
export const OPERATIONS: Operation[] = [
  { id: 'add', of: (a) => `${a} + b`, from: -REACH, line: 'def __add__' },
  { id: 'multiply', of: (a) => `${a} * b`, from: -REACH, line: 'def __mul__' },
  { id: 'square', of: (a) => `${a}**2`, from: -REACH, line: 'def __pow__' },
  { id: 'inverse', of: (a) => `${a}**-1`, from: 0.2, line: 'def __pow__' },
  { id: 'log', of: (a) => `log(${a})`, from: 0.1, line: 'def log(self)' },
  { id: 'exp', of: (a) => `exp(${a})`, from: -REACH, line: 'def exp(self)' },
  { id: 'relu', of: (a) => `relu(${a})`, from: -REACH, line: 'def relu(self)' },
]
export const hasTwo = ({ id }: Operation) => id === 'add' || id === 'multiply'
export const inputsOf = (operation: Operation, a: number, b: number): Record<string, number> =>
  hasTwo(operation) ? { a, b } : { a }
