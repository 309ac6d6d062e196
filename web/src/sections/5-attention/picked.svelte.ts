// The position looked at, in the score whose breakdown is shown. The asking position, head and layer are the page's.

import { app } from '../../state.svelte'

class Picked {
  asked = $state(0)
}
export const picked = new Picked()

export function pick(head: number, t: number, s: number): void {
  app.head = head
  app.position = t
  picked.asked = s
}
