// Runs Python in Pyodide, in node: node pyodide_run.mjs PYODIDE kernel.wasm program.py FOLDER... prints the value of the
// program's last expression. The folders are mounted as /0, /1 and so on, and are on Python's path. When the program calls
// js.bringKernel(), the exports of the kernel's module are put at globalThis.microgptKernel, as by the lab's worker.
// `none` instead of kernel.wasm means no kernel.
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [pyodide, module, program, ...folders] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(path.join(path.resolve(pyodide), 'pyodide.mjs')));
const python = await loadPyodide();
folders.forEach((folder, i) => python.mountNodeFS(`/${i}`, folder));
python.globals.set('folders', python.toPy(folders.map((_, i) => `/${i}`)));
python.runPython('import sys; sys.path[:0] = folders');
if (module !== 'none') {
  const { instance } = await WebAssembly.instantiate(fs.readFileSync(module), {});
  instance.exports._initialize();
  globalThis.bringKernel = () => { globalThis.microgptKernel = instance.exports; };
}
try {
  console.log(python.runPython(fs.readFileSync(program, 'utf8')));
} catch (error) {
  console.error(error.message); // without the source of Pyodide, which node would also print
  process.exitCode = 1;
}
