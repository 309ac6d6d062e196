// Light or dark: the reader's choice, as the page's style sheets read it.

import { app } from '../state.svelte'

/** Set the theme before the figures draw: what is drawn on a canvas takes its colours from the page. */
export function keepTheme(): void {
  $effect.pre(() => {
    if (app.theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = app.theme
  })
}
