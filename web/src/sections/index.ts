// The sections, in the order of the page.
import type { Component } from 'svelte'
import Minute from './0-minute/Minute.svelte'
import Data from './1-data/Data.svelte'
import Value from './2-value/Value.svelte'
import Parameters from './3-parameters/Parameters.svelte'
import Forward from './4-forward/Forward.svelte'
import Attention from './5-attention/Attention.svelte'
import Surprise from './6-surprise/Surprise.svelte'
import Update from './7-update/Update.svelte'
import Training from './8-training/Training.svelte'
import Generation from './9-generation/Generation.svelte'

export interface Section {
  title: string
  component: Component
}

export const sections: Section[] = [
  { title: 'One minute', component: Minute },
  { title: 'Data and tokenizer', component: Data },
  { title: 'Value and autograd', component: Value },
  { title: 'Parameters', component: Parameters },
  { title: 'The forward pass', component: Forward },
  { title: 'Attention', component: Attention },
  { title: 'Surprise: the loss', component: Surprise },
  { title: 'One update', component: Update },
  { title: 'Training', component: Training },
  { title: 'Generation', component: Generation },
]
