// The score whose breakdown is shown: the position looked at. The asking position, the head and the layer are the page's.

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
