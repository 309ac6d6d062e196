// The unit tests of the page's code: *.test.ts beside what they test. What needs a browser is in tests/, in Python.

import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  resolve: { conditions: ['browser'] },
  test: { include: ['src/**/*.test.ts'], environment: './src/testing/environment.ts', restoreMocks: true, unstubGlobals: true },
})
