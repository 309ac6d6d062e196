// The environment of the unit tests: Node.js, with modules compiled as for a browser, so that runes are reactive.
// There is no page; a test provides the few globals that it needs.

import type { Environment } from 'vitest/runtime'

export default {
  name: 'page',
  viteEnvironment: 'client',
  setup: () => ({ teardown: () => {} }),
} satisfies Environment
