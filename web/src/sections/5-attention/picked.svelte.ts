// The position whose key the displayed score uses. The page's state holds the asking position, head and layer.

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
