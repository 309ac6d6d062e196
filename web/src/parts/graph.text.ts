// The labels inside a graph of numbers.
import { texts } from '../texts/texts'

export default texts({
  input: 'input',
  weight: 'weight',
  constant: 'constant',
  aConstant: 'a constant',
  value: 'value',
  grad: { plain: 'gradient', technical: 'grad' },
  local: { plain: 'rate ', technical: 'local gradient ' },
})
