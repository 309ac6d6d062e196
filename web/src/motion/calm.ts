// Whether the reader prefers less motion: then players show the same moments, and nothing on the way between them.

import { MediaQuery } from 'svelte/reactivity'

export const calm = new MediaQuery('(prefers-reduced-motion: reduce)')
