// Finds a text's distinct characters that the model cannot read. A model whose tokens are bytes reads every character.

import { app } from '../state.svelte'

export function unreadable(text: string): string[] {
  const { model } = app
  return model?.tokenizer === 'char' ? [...new Set(text)].filter((char) => !model.symbols.includes(char)) : []
}
