// The expression that the section's figures share, and its presets.

import type text from './text'

export interface Preset {
  id: keyof (typeof text)['explorer']['presets']
  source: string
  inputs: Record<string, number>
}

export const presets: Preset[] = [
  { id: 'add', source: 'c = a + b', inputs: { a: 2, b: -1 } },
  { id: 'multiply', source: 'c = a * b', inputs: { a: 2, b: -3 } },
  { id: 'twice', source: 'y = x * x + x', inputs: { x: 1.5 } },
  { id: 'diamond', source: 'b = a + a; c = b + b', inputs: { a: 1 } },
  { id: 'paths', source: 'b = a * a; c = b * a; d = b * c', inputs: { a: 1.2 } },
  { id: 'neuron', source: 'y = relu(w1*x1 + w2*x2 + b)', inputs: { w1: 0.8, x1: 1.5, w2: -0.5, x2: 1, b: 0.2 } },
  { id: 'relu', source: 'y = w * relu(x)', inputs: { x: 0.7, w: -1.5 } },
  { id: 'softmax', source: 'p = exp(a) / (exp(a) + exp(b))', inputs: { a: 1, b: -0.5 } },
  { id: 'surprise', source: 'loss = -log(p)', inputs: { p: 0.2 } },
]

const NAME = /[A-Za-z_]\w*/g
const FUNCTIONS = ['exp', 'log', 'relu']

/** Return the names that are read before a statement sets them: these get sliders. The engine has the final say. */
export function inputsOf(source: string): string[] {
  const known = new Set(FUNCTIONS)
  const inputs = new Set<string>()
  for (const statement of source.split(/[;\n]/)) {
    const [, name = '', right] = /^\s*([A-Za-z_]\w*)\s*=(.*)$/.exec(statement) ?? ['', '', statement]
    for (const [found] of (right ?? '').matchAll(NAME)) if (!known.has(found)) inputs.add(found)
    known.add(name)
  }
  return [...inputs]
}

const FIRST = presets.find(({ id }) => id === 'twice')!

class Chosen {
  source = $state(FIRST.source)
  #values = $state<Record<string, number>>({ ...FIRST.inputs })

  readonly names = $derived(inputsOf(this.source))
  readonly inputs = $derived(Object.fromEntries(this.names.map((name) => [name, this.#values[name] ?? 1])))

  set(name: string, value: number): void {
    this.#values[name] = value
  }
  choose({ source, inputs }: Omit<Preset, 'id'>): void {
    this.source = source
    Object.assign(this.#values, inputs)
  }
}

export const chosen = new Chosen()
