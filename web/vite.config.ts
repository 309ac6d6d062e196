// The page's build: from here into the package, src/microgpt/lab/site/. What Python makes for it (the package's own zip,
// the kernel, the snapshot) lies in public/, where hatch_build.py puts it; Vite copies it, and serves it in development.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

// What a browser needs of Pyodide; the rest of the npm package is for node and for consoles
const PYODIDE = ['pyodide.mjs', 'pyodide.asm.mjs', 'pyodide.asm.wasm', 'python_stdlib.zip']

// lab/server.py sends the same as a header; this is for every other host
const POLICY = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self' data: blob:",
  "worker-src 'self'",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ')

function pyodide(): Plugin {
  return {
    name: 'pyodide',
    config() {
      mkdirSync('public/pyodide', { recursive: true })
      for (const file of PYODIDE) copyFileSync(`node_modules/pyodide/${file}`, `public/pyodide/${file}`)
      // its list of further packages, without them: none of them is here, and no other host is asked
      const { info } = JSON.parse(readFileSync('node_modules/pyodide/pyodide-lock.json', 'utf8'))
      writeFileSync('public/pyodide/pyodide-lock.json', JSON.stringify({ info, packages: {} }))
    },
  }
}

function policy(): Plugin {
  return {
    name: 'content security policy',
    apply: 'build', // in development Vite writes styles into the page, which the policy forbids
    transformIndexHtml: () => [
      { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
    ],
  }
}

export default defineConfig({
  base: './', // the exported page works under any address
  plugins: [svelte(), pyodide(), policy()],
  worker: { format: 'es' },
  build: {
    outDir: '../src/microgpt/lab/site',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
})
