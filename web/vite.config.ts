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

const contained = new Set<string>() // the folders of the packages that are in the page or its workers

// Writes packages.json, from which build_site.py makes licenses.txt
function packages(of: 'page' | 'worker'): Plugin {
  return {
    name: `packages of the ${of}`,
    apply: 'build',
    generateBundle(_, bundle) {
      for (const output of Object.values(bundle)) {
        const files =
          output.type === 'asset'
            ? output.originalFileNames
            : Object.keys(output.modules).filter((id) => output.modules[id].renderedLength > 0)
        for (const file of files) {
          const folder = /node_modules\/(.*node_modules\/)?(@[^/]+\/)?[^/]+/.exec(file)
          if (folder) contained.add(folder[0])
        }
      }
      // workers are built first
      if (of === 'page')
        this.emitFile({ type: 'asset', fileName: 'packages.json', source: JSON.stringify([...contained].sort()) })
    },
  }
}

export default defineConfig({
  base: './', // so that the exported page works at any address
  plugins: [svelte(), policy(), packages('page')],
  worker: { format: 'es', plugins: () => [packages('worker')] },
  build: {
    outDir: '../src/microgpt/lab/site',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: ['index.html', 'teachers.html'] },
  },
})
