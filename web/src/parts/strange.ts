// The characters of a text that the model cannot read, each once. One whose tokens are bytes reads them all.

import { app } from '../state.svelte'

export function strangeIn(text: string): string[] {
  const { model } = app
  return model?.tokenizer === 'char' ? [...new Set(text)].filter((char) => !model.symbols.includes(char)) : []
}
