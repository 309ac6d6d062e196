// A text at the reader's level, with its facts filled in.
import { app, type Level } from '../state.svelte'
import { filled, type Text } from './texts'

export function atLevel(text: Text, level: Level): string {
  if (typeof text === 'string') return text
  return level === 'both' ? (text.both ?? text.technical) : text[level]
}

const LINKED_TERM = /\[([^\]]+)\]\(term:[^)]*\)/g

/** Return a text at the reader's level as plain text, for labels and attributes. A fact that is not given is one of the
 * model's; a word that the glossary explains is only a word. */
export function say(text: Text, facts: Record<string, string | number> = {}): string {
  return atLevel(text, app.level)
    .replace(LINKED_TERM, '$1')
    .replace(/\{(\w+)\}/g, (_, name: string) => filled(facts[name] ?? app.facts[name] ?? '…'))
}
