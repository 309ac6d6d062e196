// The unit tests of the page's code: *.test.ts, next to what they test. Tests that need a browser are in tests/lab/page.

import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  resolve: { conditions: ['browser'] },
  server: { fs: { allow: ['..'] } }, // tests read the package's own tables
  test: {
    include: ['src/**/*.test.ts'],
    environment: './src/testing/environment.ts',
    restoreMocks: true,
    unstubGlobals: true,
    testTimeout: 180_000, // ms, for a busy machine: the first test waits until all of the page's modules are loaded
  },
})
