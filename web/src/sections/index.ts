// The sections, in the page's order; each section is loaded when it is first shown.
import type { Component } from 'svelte'

export interface Section {
  title: string
  source?: string // the line at which the source opens, identified by a piece of its text
  load: () => Promise<{ default: Component }>
}

export const sections: Section[] = [
  { title: 'One minute', load: () => import('./0-minute/Minute.svelte') },
  { title: 'Data and tokenizer', source: '# --- 1.', load: () => import('./1-data/Data.svelte') },
  { title: 'Value and autograd', source: '# --- 2.', load: () => import('./2-value/Value.svelte') },
  { title: 'Parameters', source: '# --- 3.', load: () => import('./3-parameters/Parameters.svelte') },
  { title: 'The forward pass', source: 'def gpt(', load: () => import('./4-forward/Forward.svelte') },
  { title: 'Attention', source: 'def attention(', load: () => import('./5-attention/Attention.svelte') },
  { title: 'Surprise: the loss', source: '# --- 4.', load: () => import('./6-surprise/Surprise.svelte') },
  { title: 'One update', source: 'def adam(', load: () => import('./7-update/Update.svelte') },
  { title: 'Training', source: 'def main(', load: () => import('./8-training/Training.svelte') },
  { title: 'Generation', source: '# --- 5.', load: () => import('./9-generation/Generation.svelte') },
  { title: 'The workbench', load: () => import('./10-workbench/Workbench.svelte') },
  { title: 'Is this ChatGPT?', load: () => import('./11-chatgpt/ChatGPT.svelte') },
]
