// The theme, light or dark: passes the reader's choice to the page's style sheets.

import { app } from '../state.svelte'

/** Set the theme before the figures are rendered, since a canvas takes its colours from the page. */
export function keepTheme(): void {
  $effect.pre(() => {
    if (app.theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = app.theme
  })
}
