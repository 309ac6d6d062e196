// Prints the claims of the page's texts as JSON, for microgpt.lab.claims to check: [{ file, text, check }, ...]. The
// claims are collected by running every module that makes one, bundled by Vite's bundler.
//
//     node claims.mjs [FOLDER]

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const ENTRY = 'virtual:claims'
const folder = process.argv[2] ?? 'src'
const files = readdirSync(folder, { recursive: true })
  .filter((file) => /(?<!\.test)\.(ts|svelte)$/.test(file) && !file.endsWith('texts.ts'))
  .filter((file) => /\bclaim\(/.test(readFileSync(join(folder, file), 'utf8')))
  .map((file) => file.replaceAll('\\', '/'))
  .sort()
const wrong = files.find((file) => !/(^|\/|\.)text\.ts$/.test(file))
if (wrong) throw new Error(`${wrong} makes a claim: move it to a text.ts, where the build finds it`)

const load = (file) => `await import(${JSON.stringify(resolve(folder, file))})
found.push(...claims.splice(0).map((claim) => ({ file: ${JSON.stringify(file)}, ...claim })))`
const entry = `import { claims } from ${JSON.stringify(resolve('src/texts/texts.ts'))}
const found = []
${files.map(load).join('\n')}
export default found`

const built = mkdtempSync(join(resolve('node_modules'), '.claims-'))
try {
  const bundle = await rolldown({
    input: ENTRY,
    platform: 'node',
    plugins: [
      { name: 'entry', resolveId: (id) => (id === ENTRY ? id : null), load: (id) => (id === ENTRY ? entry : null) },
    ],
  })
  await bundle.write({ dir: built, format: 'esm', entryFileNames: 'claims.mjs', chunkFileNames: '[name]-[hash].mjs' })
  const { default: found } = await import(pathToFileURL(join(built, 'claims.mjs')))
  process.stdout.write(JSON.stringify(found))
} finally {
  rmSync(built, { recursive: true })
}
