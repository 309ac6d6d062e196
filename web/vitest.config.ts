// The unit tests of the page's code: *.test.ts beside what they test. What needs a browser is in tests/, in Python.

import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  resolve: { conditions: ['browser'] },
  test: {
    include: ['src/**/*.test.ts'],
    environment: './src/testing/environment.ts',
    restoreMocks: true,
    unstubGlobals: true,
    testTimeout: 180_000, // ms, on a busy machine: the first test waits for all of the page's modules
  },
})
