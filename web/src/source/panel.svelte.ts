// Whether the source panel is open: as the reader last left it. Before that, it is closed in plain words, except while
// the program plays line by line.

import { TOUR } from '../play/chapters'
import { app } from '../state.svelte'

const KEY = 'microgpt.source'

class Panel {
  #chosen = $state(stored())

  get isOpen(): boolean {
    if (app.hides('source')) return false
    return this.#chosen ? this.#chosen === 'open' : app.level !== 'plain' || !['', TOUR].includes(app.play)
  }
  /** Open the panel for something that needs it, for now. */
  reveal(): void {
    this.#chosen = 'open'
  }
  choose(chosen: 'open' | 'closed'): void {
    this.#chosen = chosen
    try {
      localStorage.setItem(KEY, chosen)
    } catch {
      // access denied, or storage full: the choice lasts until the page is closed
    }
  }
}

function stored(): string {
  try {
    return localStorage.getItem(KEY) ?? ''
  } catch {
    return '' // access denied
  }
}

export const panel = new Panel()
