"""Measure the speed of the native engine as WebAssembly in Pyodide, in Node and in Chromium.

    python benchmarks/wasm_speed.py [--chromium PATH] [--module kernel.wasm] [--rounds 7]

The benchmark needs Node, `npm ci` in web/, and Zig (`pip install ziglang`) or a compiled module. A round trains the
default model for 1000 steps on the bundled names, one document per step. The table gives wall-clock microseconds per
step for the first round, during which WebAssembly is still being compiled, and the median and best of the other rounds.
`engine` times the kernel on packed documents, including copying its inputs and outputs; `training` times all of
`microgpt.training.train`.
"""

from __future__ import annotations

import argparse
import http.server
import io
import json
import os
import runpy
import shutil
import statistics
import subprocess
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "microgpt"
PYODIDE = ROOT / "web" / "node_modules" / "pyodide"

PROGRAM = """
import json, random, time
from array import array
from microgpt.config import Config, init
from microgpt.data.loading import load
from microgpt.engines.native.engine import NativeEngine, _Packed
from microgpt.training import train

config, data = Config(), load("names")
order = random.Random(1).sample(range(len(data)), config.num_steps)
params = init(config, data.vocab_size, random.Random(1))

def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

def rounds(precision):
    found = {"engine": [], "training": []}
    packed = _Packed(config)
    for i in order:
        packed.add([data.sequence(i)], 0.01)
    for _ in range(ROUNDS):
        engine = NativeEngine(array("d", params), config, data.vocab_size, precision=precision)
        found["training"].append(seconds(lambda: list(train(engine, data.sequence, order, together=True))))
        found["engine"].append(seconds(lambda: engine._train(packed)))
    return found

json.dumps({precision: rounds(precision) for precision in ("exact", "float32")})
"""

PAGE = """<!doctype html><script type="module">
const report = (text) => fetch('/result', { method: 'POST', body: text });
try {
  const { loadPyodide } = await import('/pyodide/pyodide.mjs');
  const python = await loadPyodide({ indexURL: '/pyodide/' });
  const bytes = async (path) => (await fetch(path)).arrayBuffer();
  const { instance } = await WebAssembly.instantiate(await bytes('/kernel.wasm'), {});
  instance.exports._initialize();
  globalThis.microgptKernel = instance.exports;
  python.unpackArchive(await bytes('/microgpt.zip'), 'zip', { extractDir: '/package' });
  python.runPython('import sys; sys.path.insert(0, "/package")');
  await report(python.runPython(await (await fetch('/program.py')).text()));
} catch (error) {
  await report(JSON.stringify({ error: String(error) }));
}
</script>"""

QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def in_node(module: Path, program: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "program.py"
        file.write_text(f"import js; js.bringKernel()\n{program}")
        command = ["node", str(ROOT / "tests" / "pyodide_run.mjs"), str(PYODIDE), str(module), str(file)]
        return json.loads(subprocess.check_output([*command, str(PACKAGE.parent)], text=True))


def package() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in [*PACKAGE.rglob("*.py"), PACKAGE / "data" / "names.txt"]:
            archive.write(file, file.relative_to(PACKAGE.parent))
    return content.getvalue()


def in_chromium(chromium: str, module: Path, program: str) -> Any:
    pages = {
        "/": PAGE.encode(),
        "/kernel.wasm": module.read_bytes(),
        "/microgpt.zip": package(),
        "/program.py": program.encode(),
    }
    found: list[Any] = []
    received = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/pyodide/"):
                return super().do_GET()
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", "text/html" if self.path == "/" else "application/octet-stream")
            self.end_headers()
            self.wfile.write(pages.get(self.path, b""))

        def do_POST(self) -> None:
            found.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            received.set()

        def log_message(self, *arguments: Any) -> None:
            pass

    def handler(*arguments: Any) -> Handler:
        return Handler(*arguments, directory=str(PYODIDE.parent))

    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        command = [chromium, *QUIET, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/"]
        browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            if not received.wait(300):
                raise TimeoutError("the page in Chromium sent no result within five minutes")
        finally:
            browser.terminate()
            browser.wait()
            server.shutdown()
    if "error" in found[0]:
        raise RuntimeError(found[0]["error"])
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    parser.add_argument("--module", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    program = PROGRAM.replace("ROUNDS", str(options.rounds))
    with tempfile.TemporaryDirectory() as folder:
        module = options.module or Path(folder) / "kernel.wasm"
        if options.module is None:
            runpy.run_path(str(ROOT / "hatch_build.py"))["compile_wasm"](module)
        places = {"node": in_node(module, program)}
        if options.chromium:
            places["chromium"] = in_chromium(options.chromium, module, program)
        print(f"{options.rounds} rounds, {os.cpu_count()} cores; a module of {module.stat().st_size / 1e3:.0f} KB")
    print(f"{'':9} {'precision':9} {'':8} {'first':>7} {'median':>7} {'best':>7} {'steps/s':>8} {'at best':>8}")
    for place, precisions in places.items():
        for precision, kinds in precisions.items():
            for kind, (first, *rest) in kinds.items():
                best, median = min(rest), statistics.median(rest)
                figures = (
                    f"{first * 1e3:7.1f} {median * 1e3:7.1f} {best * 1e3:7.1f} {1000 / median:8.0f} {1000 / best:8.0f}"
                )
                print(f"{place:9} {precision:9} {kind:8} {figures}")


if __name__ == "__main__":
    main()
