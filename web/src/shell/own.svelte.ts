// The reader's own level of explanation: chosen on arrival or in the bar, and kept in the browser. A link can show
// another level; it does not change the reader's own.

import type { Level } from '../state.svelte'

const KEY = 'microgpt.level'
export const LEVELS: Level[] = ['plain', 'technical', 'both']

class Own {
  chosen = $state(stored()) // '' until the reader has chosen

  get level(): Level {
    return this.chosen || 'both'
  }
  choose(level: Level): void {
    this.chosen = level
    try {
      localStorage.setItem(KEY, level)
    } catch {
      // access denied, or storage full: the choice lasts until the page is closed
    }
  }
}

function stored(): Level | '' {
  try {
    return LEVELS.find((level) => level === localStorage.getItem(KEY)) ?? ''
  } catch {
    return '' // access denied
  }
}

export const own = new Own()
