// What links call the sections. A number in a link, as older links have it, counts in this order; it must never mean
// another section, so a new order of the page would need its own list.

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
