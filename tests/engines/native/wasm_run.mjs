// Trains in WebAssembly: node wasm_run.mjs kernel.wasm run.json prints the losses of both precisions as JSON.
import fs from 'node:fs';

const [moduleFile, runFile] = process.argv.slice(2);
const { params, tokens, lengths, rates } = JSON.parse(fs.readFileSync(runFile, 'utf8'));
const { exports } = await WebAssembly.instantiate(await WebAssembly.compile(fs.readFileSync(moduleFile)), {});
exports._initialize?.();
// every call may grow the memory, which invalidates older views of it
const ints = () => new Int32Array(exports.memory.buffer);
const floats = () => new Float64Array(exports.memory.buffer);
const putInts = (values) => { const at = exports.malloc(4 * values.length); ints().set(values, at / 4); return at; };
const putFloats = (values) => { const at = exports.malloc(8 * values.length); floats().set(values, at / 8); return at; };

const losses = {};
for (const [precision, exact] of [['exact', 1], ['float32', 0]]) {
  // struct Kernel: name, open, close, load, store, backward, train ...
  const kernel = exports.microgpt_kernel(exact, 0) / 4;
  const call = (field) => exports.__indirect_function_table.get(ints()[kernel + field]);
  // struct Settings: six ints, five doubles, the number of threads
  const settings = exports.malloc(72);
  ints().set([16, 4, 1, 16, 27, 0], settings / 4);
  floats().set([0.85, 0.99, 1e-8, 0, 0], settings / 8 + 3);
  ints()[settings / 4 + 16] = 1;
  const net = call(1)(settings);
  const zeros = new Array(params.length).fill(0);
  call(3)(net, putFloats(params), putFloats(zeros), putFloats(zeros));
  const documents = putInts([putInts(tokens), putInts(lengths)]);
  const batchSizes = putInts(lengths.map(() => 1));
  const out = putFloats(lengths.map(() => 0));
  call(6)(net, documents, batchSizes, putFloats(rates), 0, 0n, lengths.length, 1e9, out);
  losses[precision] = Array.from(floats().slice(out / 8, out / 8 + lengths.length));
}
console.log(JSON.stringify(losses));
