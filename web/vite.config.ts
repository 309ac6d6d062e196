// The build of the page, into the package at src/microgpt/lab/site/. hatch_build.py puts what Python builds for it (the
// package's zip, the kernel, the snapshot) into public/, and prepare.mjs adds Pyodide; Vite copies that folder, and
// serves it in development.

import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

// lab/server.py sends the same policy as a header; this is for every other host
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
  base: './', // so that the exported page works at any address
  plugins: [svelte(), policy()],
  worker: { format: 'es' },
  build: {
    outDir: '../src/microgpt/lab/site',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: ['index.html', 'teachers.html'] },
  },
})
