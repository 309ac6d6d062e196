// All exercises, in the order of the sections.
import { minute } from './0-minute'
import { data } from './1-data'
import { value } from './2-value'
import { parameters } from './3-parameters'
import { forward } from './4-forward'
import { attention } from './5-attention'
import { surprise } from './6-surprise'
import { update } from './7-update'
import { training } from './8-training'
import { generation } from './9-generation'
import { workbench } from './10-workbench'
import type { Exercise } from './exercise'

export const exercises: Exercise[] = [
  minute,
  data,
  value,
  parameters,
  forward,
  attention,
  surprise,
  update,
  training,
  generation,
  workbench,
].flat()

export const exerciseOf = (id: string) => exercises.find((exercise) => exercise.id === id)
export const ofSection = (section: number) => exercises.filter(({ stage }) => stage.section === section)
