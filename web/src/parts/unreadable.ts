// The characters of a text that the model cannot read, each once. A model whose tokens are bytes reads all of them.

import { app } from '../state.svelte'

export function unreadable(text: string): string[] {
  const { model } = app
  return model?.tokenizer === 'char' ? [...new Set(text)].filter((char) => !model.symbols.includes(char)) : []
}
