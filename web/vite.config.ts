// The page's build: from here into the package, src/microgpt/lab/site/. What Python makes for it (the package's own zip,
// the kernel, the snapshot) lies in public/, where hatch_build.py puts it, beside Pyodide, which prepare.mjs puts there;
// Vite copies it, and serves it in development.

import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig, type Plugin } from 'vite'

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
