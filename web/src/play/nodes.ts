// What a node of the graph is, in a few words. The path of a number on the way to another one, such as `q[3].term13`,
// says where it stands; here it gets the name of what it is: the product of the 13th weight and input.
import { app } from '../state.svelte'
import { everyday } from '../texts/everyday'
import text from './nodes.text'

const ROLES: Record<string, string> = text.roles

/** Return a node's name: everyday words in plain, and otherwise its path and role. `bare` leaves out the position and the
 * layer, where a figure says them. */
export function nodeName(path: string, bare = false): string {
  if (app.level === 'plain') return everyday(path)
  const shown = bare ? path.replace(/^pos\d+\.(layer\d+\.)?/, '') : path
  const [, owner, role, i] = /^(.+)\.([a-z_]+?)(\d*)$/.exec(shown) ?? []
  const words = ROLES[`${/\w+$/.exec(owner ?? '')?.[0]}.${role}`] ?? ROLES[role]
  return words ? words.replace('{owner}', owner).replaceAll('{i}', i) : shown
}
