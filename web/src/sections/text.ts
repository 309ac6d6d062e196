// The sections' titles.
import { texts, type Text } from '../texts/texts'

const titles: Record<string, Text> = texts({
  minute: 'One minute',
  data: { plain: 'From letters to numbers', technical: 'Data and tokenizer' },
  value: { plain: 'Numbers that remember', technical: 'Value and autograd' },
  parameters: { plain: 'What the model knows', technical: 'Parameters' },
  forward: { plain: 'From a letter to a guess', technical: 'The forward pass' },
  attention: { plain: 'Attention: looking back', technical: 'Attention' },
  surprise: 'Surprise: the loss',
  update: { plain: 'Learning from one word', technical: 'One update' },
  training: 'Training',
  generation: { plain: 'Making up names', technical: 'Generation' },
  workbench: 'The workbench',
  chatgpt: 'Is this ChatGPT?',
})
export default titles
