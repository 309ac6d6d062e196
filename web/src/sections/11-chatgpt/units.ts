// Formats large numbers with a unit in words.

import text from './text'

const WORDS: [number, string][] = [
  [1e12, 'trillion'],
  [1e9, 'billion'],
  [1e6, 'million'],
]
const BYTES: [number, string][] = [
  [1e12, 'TB'],
  [1e9, 'GB'],
  [1e6, 'MB'],
  [1e3, 'kB'],
  [1, 'bytes'],
]

/** A value in its unit, and the digits to show. */
export interface Scaled {
  value: number
  text: string
  unit: string // '' for a number without a unit
}

/** Return the unit in the page's language. */
export const unitOf = ({ unit }: Scaled): string => (text.units as Record<string, string>)[unit] ?? unit

function scaled(value: number, units: [number, string][]): Scaled {
  const [size, unit] = units.find(([size]) => value >= size) ?? [1, '']
  const text = size === 1 ? value.toLocaleString('en') : (value / size).toFixed(1)
  return { value: value / size, text, unit }
}

export const words = (value: number): Scaled =>
  value < 1e15 ? scaled(value, WORDS) : { value, text: value.toExponential(2).replace('e+', 'e'), unit: '' }
export const bytes = (value: number): Scaled => scaled(value, BYTES)
