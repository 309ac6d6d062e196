// Where the unit tests run: node, with modules compiled as for a browser, so that runes are live. It has no page; a test
// brings the few globals that it needs.

import type { Environment } from 'vitest/runtime'

export default {
  name: 'page',
  viteEnvironment: 'client',
  setup: () => ({ teardown: () => {} }),
} satisfies Environment
