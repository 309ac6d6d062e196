// Prints the claims of the page's texts as JSON, for microgpt.lab.claims to check: [{ file, text, check }, ...]. The
// claims of the modules are collected by running every module that makes one, bundled by Vite's bundler. In Markdown and
// HTML, a claim is the line or the block before a comment: <!-- claim: EXPRESSION -->
//
//     node claims.mjs [FOLDER]

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'

const ENTRY = 'virtual:claims'
const folder = process.argv[2] ?? 'src'
const all = readdirSync(folder, { recursive: true })
const files = all
  .filter((file) => /(?<!\.test)\.(ts|svelte)$/.test(file) && !file.endsWith('texts.ts'))
  .filter((file) => /\bclaim\(/.test(readFileSync(join(folder, file), 'utf8')))
  .map((file) => file.replaceAll('\\', '/'))
  .sort()
const wrong = files.find((file) => !/(^|\/|\.)text\.ts$/.test(file))
if (wrong) throw new Error(`${wrong} makes a claim: move it to a text.ts, where the build finds it`)

const COMMENT = /<!--\s*claim:(.*?)-->/gs
const pages = [...all, ...(folder === 'src' ? readdirSync('.').map((file) => `../${file}`) : [])]
  .filter((file) => /\.(md|html)$/.test(file))
  .map((file) => file.replaceAll('\\', '/'))
  .sort()
const commented = pages.flatMap((file) => {
  const content = readFileSync(join(folder, file), 'utf8')
  return [...content.matchAll(COMMENT)].map(({ 1: check, index }) => {
    const before = content.slice(0, index)
    const said = file.endsWith('.md')
      ? before.trim().split('\n').at(-1)
      : before
          .split(/(?=<(?:dd|dt|li|p|td)\b)/)
          .at(-1)
          .replaceAll(/<[^>]*>/g, '')
    return { file, text: said.replaceAll(/\s+/g, ' ').trim(), check: check.trim() }
  })
})

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
  process.stdout.write(JSON.stringify([...found, ...commented]))
} finally {
  rmSync(built, { recursive: true })
}
