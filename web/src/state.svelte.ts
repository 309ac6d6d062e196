// The page's state. Its saved form is the URL's fragment: a link is an experiment. The reader's own data and
// hand-edited weights are never saved there.

import type { Config, Requests } from './engine/protocol'
import { chapters, END, TOUR } from './play/chapters'
import { NAMES } from './sections/names'
import { own } from './shell/own.svelte'

export type Level = 'plain' | 'technical' | 'both'
export type Theme = 'auto' | 'light' | 'dark'

/** The parts of the fragment, in this order; a part with its default value is left out. */
const DEFAULTS = {
  section: 0, // written as its name
  word: 'emma',
  position: 3,
  layer: 0,
  head: 0,
  off: '', // what attention goes without: heads (`0,2`), or one head's look at a position (`2@1`)
  number: '',
  level: 'both' as Level,
  theme: 'auto' as Theme,
  play: '', // the playhead's chapter or the tour, '' if the playhead is closed
  at: 0, // the playhead's moment, or the tour's beat
  weight: '', // the parameter whose update is played
  run: '', // the id of a pretrained run other than the one that the page opens with
  step: -1, // the model's training step; -1 for a pretrained model
  exercise: '', // the id of the current exercise
  config: '', // the settings that differ from the pretrained model's, as JSON
  present: 0, // the section's presented screen, counted from 1; 0 if not presenting
  hide: '', // hidden parts of the page: bar, contents, source, prose, captions
}
export type Saved = typeof DEFAULTS

const HIDDEN = ['bar', 'contents', 'source', 'prose', 'captions']

/** What a part of a fragment may be, beyond its type. Only the session can judge names of numbers, and the settings. */
const VALID: { [Key in keyof Saved]?: (value: Saved[Key]) => boolean } = {
  section: (section) => section in NAMES,
  level: (level) => ['plain', 'technical', 'both'].includes(level),
  theme: (theme) => ['auto', 'light', 'dark'].includes(theme),
  play: (play) => [END, TOUR, ...chapters.map(({ name }) => name as string)].includes(play),
  exercise: (id) => /^[a-z0-9-]+$/.test(id),
  off: (off) => /^(\d+(,\d+)*|\d+@\d+)?$/.test(off),
  run: (run) => ['', 'published'].includes(run),
  hide: (hide) => hide.split(',').every((part) => HIDDEN.includes(part)),
}

/** Return the state that a fragment describes. An invalid part has its default value; of two equal parts, the first
 * counts. Without a level, the level is the reader's own. */
export function read(fragment: string): Saved {
  const given = new URLSearchParams(fragment.replace(/^#/, ''))
  const saved: Record<string, string | number> = { ...DEFAULTS, level: own.level }
  for (const [key, standard] of Object.entries(DEFAULTS)) {
    const text = given.get(key)
    if (text === null) continue
    const isNumber = typeof standard === 'number'
    if (key === 'section' && NAMES.includes(text)) saved[key] = NAMES.indexOf(text)
    else if (!isNumber) saved[key] = text.slice(0, 500)
    else if (/^\d{1,7}$/.test(text)) saved[key] = Number(text)
    const valid = VALID[key as keyof Saved] as ((value: string | number) => boolean) | undefined
    if (valid && !valid(saved[key])) saved[key] = key === 'level' ? own.level : standard
  }
  return saved as Saved
}

/** Return the fragment that describes a state. The default level is written too, unless it is the level that a reader
 * has chosen: without it, the fragment would mean that one. */
export function write(saved: Saved, chosen: Level = own.level): string {
  const changed = new URLSearchParams()
  for (const [key, value] of Object.entries(DEFAULTS)) {
    const now = saved[key as keyof Saved]
    if (now !== value || (key === 'level' && chosen !== value))
      changed.set(key, key === 'section' ? (NAMES[Number(now)] ?? String(now)) : String(now))
  }
  return `#${changed}`
}

class App {
  section = $state(DEFAULTS.section)
  word = $state(DEFAULTS.word)
  position = $state(DEFAULTS.position)
  layer = $state(DEFAULTS.layer)
  head = $state(DEFAULTS.head)
  off = $state(DEFAULTS.off)
  number = $state(DEFAULTS.number) // the path of the open number, '' if no number is open
  level = $state<Level>(own.level)
  theme = $state<Theme>(DEFAULTS.theme)
  play = $state(DEFAULTS.play)
  at = $state(DEFAULTS.at)
  weight = $state(DEFAULTS.weight)
  run = $state(DEFAULTS.run)
  step = $state(DEFAULTS.step)
  exercise = $state(DEFAULTS.exercise)
  config = $state(DEFAULTS.config)
  present = $state(DEFAULTS.present)
  hide = $state(DEFAULTS.hide)

  // Not in the fragment
  starts = $state(false) // whether the tour plays as soon as it is there: the reader has asked for it
  model = $state.raw<Requests['model']['result'] | null>(null) // as last reported by the session
  lines = $state.raw<number[]>([]) // source lines that the current figure is about
  phase = $state<'loading' | 'ready' | 'failed'>('loading') // whether Python has loaded
  progress = $state('') // what Python is doing, in words
  work = $state.raw<{ done: number; steps: number; stop(): void } | null>(null) // training requested by a link
  notice = $state('') // why the model is not the requested or previous model; '' if it is

  get version(): number {
    return this.model?.version ?? 0
  }
  get saved(): Saved {
    return Object.fromEntries(Object.keys(DEFAULTS).map((key) => [key, this[key as keyof Saved]])) as Saved
  }
  load(fragment: string): void {
    Object.assign(this, read(fragment))
  }
  /** Return whether a part of the page is hidden. */
  hides(part: string): boolean {
    return this.hide.split(',').includes(part)
  }
  /** Open a number's breakdown, or close it if it is open. */
  open(path: string): void {
    this.number = this.number === path ? '' : path
  }
  /** The facts about the current model that are filled into the prose: no such figure is typed by hand. */
  get facts(): Record<string, string> {
    const { model } = this
    if (!model) return {}
    const count = (n: number) => n.toLocaleString('en')
    const c: Config = model.config
    return {
      num_params: count(model.num_params),
      vocab_size: count(model.symbols.length),
      num_letters: count(model.symbols.length - 1),
      n_embd: count(c.n_embd),
      four_n_embd: count(model.shapes.find(([name]) => name === 'layer0.mlp_fc1')?.[1] ?? 0),
      n_head: count(c.n_head),
      n_layer: count(c.n_layer),
      head_dim: count(model.head_dim),
      sqrt_head_dim: String(Number(model.sqrt_head_dim.toFixed(3))),
      block_size: count(c.block_size),
      num_matrices: count(model.shapes.length),
      bos: String(model.bos),
      uniform_loss: model.uniform_loss.toFixed(3),
      learning_rate: String(c.learning_rate),
      beta1: String(c.beta1),
      beta2: String(c.beta2),
      step: count(model.step),
      num_steps: count(c.num_steps),
      seed: String(c.seed),
      temperature: String(c.temperature),
      word: this.word,
    }
  }
}

export const app = new App()
