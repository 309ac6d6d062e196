// What a node of the graph is, in a few words. The path of a number on the way to another one, such as `q[3].term13`,
// says where it stands; here it gets the name of what it is: the product of the 13th weight and input.
import { app } from '../state.svelte'
import { everyday } from '../texts/everyday'
import text from './nodes.text'

const ROLES: Record<string, string> = text.roles

const PLAIN: Record<string, string> = text.plain

/** Return a node's name: everyday words in plain, and otherwise its path and role. `bare` is for a box in a graph: it
 * leaves out what the boxes around it say, which in technical words are the position and the layer. */
export function nodeName(path: string, bare = false): string {
  const shown = bare ? path.replace(/^pos\d+\.(layer\d+\.)?/, '') : path
  const [, owner, role, i] = /^(.+)\.([a-z_]+?)(\d*)$/.exec(shown) ?? []
  if (app.level === 'plain') return (bare && PLAIN[role]) || everyday(path)
  const words = ROLES[`${/\w+$/.exec(owner ?? '')?.[0]}.${role}`] ?? ROLES[role]
  return words ? words.replace('{owner}', owner).replaceAll('{i}', i) : shown
}
