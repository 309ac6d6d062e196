// The sections, in the page's order; each section is loaded when it is first shown.
import type { Component } from 'svelte'
import type { Text } from '../texts/texts'
import titles from './text'

export interface Section {
  title: Text
  source?: string // the line at which the source opens, identified by a piece of its text
  load: () => Promise<{ default: Component }>
}

export const sections: Section[] = [
  { title: titles.minute, load: () => import('./0-minute/Minute.svelte') },
  { title: titles.data, source: '# --- 1.', load: () => import('./1-data/Data.svelte') },
  { title: titles.value, source: '# --- 2.', load: () => import('./2-value/Value.svelte') },
  { title: titles.parameters, source: '# --- 3.', load: () => import('./3-parameters/Parameters.svelte') },
  { title: titles.forward, source: 'def gpt(', load: () => import('./4-forward/Forward.svelte') },
  { title: titles.attention, source: 'def attention(', load: () => import('./5-attention/Attention.svelte') },
  { title: titles.surprise, source: '# --- 4.', load: () => import('./6-surprise/Surprise.svelte') },
  { title: titles.update, source: 'def adam(', load: () => import('./7-update/Update.svelte') },
  { title: titles.training, source: 'def main(', load: () => import('./8-training/Training.svelte') },
  { title: titles.generation, source: '# --- 5.', load: () => import('./9-generation/Generation.svelte') },
  { title: titles.workbench, load: () => import('./10-workbench/Workbench.svelte') },
  { title: titles.chatgpt, load: () => import('./11-chatgpt/ChatGPT.svelte') },
]
