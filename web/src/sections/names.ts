// The sections' names in links. Older links contain a number instead: an index into this list, whose order must
// therefore never change. If the page's order changes, the page needs a second list.

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
