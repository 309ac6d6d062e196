// The sections, in the order of the page; each is loaded when it is first shown.
import type { Component } from 'svelte'

export interface Section {
  title: string
  load: () => Promise<{ default: Component }>
}

export const sections: Section[] = [
  { title: 'One minute', load: () => import('./0-minute/Minute.svelte') },
  { title: 'Data and tokenizer', load: () => import('./1-data/Data.svelte') },
  { title: 'Value and autograd', load: () => import('./2-value/Value.svelte') },
  { title: 'Parameters', load: () => import('./3-parameters/Parameters.svelte') },
  { title: 'The forward pass', load: () => import('./4-forward/Forward.svelte') },
  { title: 'Attention', load: () => import('./5-attention/Attention.svelte') },
  { title: 'Surprise: the loss', load: () => import('./6-surprise/Surprise.svelte') },
  { title: 'One update', load: () => import('./7-update/Update.svelte') },
  { title: 'Training', load: () => import('./8-training/Training.svelte') },
  { title: 'Generation', load: () => import('./9-generation/Generation.svelte') },
  { title: 'The workbench', load: () => import('./10-workbench/pytorch/PyTorch.svelte') },
  { title: 'Is this ChatGPT?', load: () => import('./11-chatgpt/ChatGPT.svelte') },
]
