// The names of the sections in links. Older links have a number instead, an index into this list that must never
// mean another section; a new order of the page would need its own list.

export const NAMES = [
  'minute',
  'data',
  'value',
  'parameters',
  'forward',
  'attention',
  'surprise',
  'update',
  'training',
  'generation',
  'workbench',
  'chatgpt',
]
