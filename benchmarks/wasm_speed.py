"""Measure the speed of the native engine as WebAssembly in Chromium: the plain module, and the one with relaxed SIMD.

    python benchmarks/wasm_speed.py [MODULE.wasm ...] [--chromium PATH] [--rounds 9]

The benchmark needs Chromium, `npm ci` in web/, and Zig (`pip install ziglang`) or compiled modules. In a round, each
module trains the default model for 1000 steps on the bundled names, one document per step, and generates 200 documents.
The modules take turns. The table gives the wall-clock time of the first round, during which WebAssembly is still being
compiled; of the other rounds, the median, minimum and maximum; and the first module's median divided by this module's.
`engine` is the engine's train(), including copying its inputs and outputs; `training` is all of
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
import signal
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
import js
from microgpt import sampling
from microgpt.config import Config, init
from microgpt.data.loading import load
from microgpt.engines.native.engine import NativeEngine, kernel
from microgpt.training import train

config, data = Config(), load("names")
order = random.Random(1).sample(range(len(data)), config.num_steps)
batches, rates = [[data.sequence(i)] for i in order], [0.01] * len(order)
params = init(config, data.vocab_size, random.Random(1))
how = {"bos": data.tokenizer.bos, "block_size": config.block_size, "temperature": config.temperature}

def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

def opened(precision):
    return NativeEngine(array("d", params), config, data.vocab_size, precision=precision)

def timed(precision):
    engine = opened(precision)
    return {
        "training": seconds(lambda: list(train(opened(precision), data.sequence, order, together=True))),
        "engine": seconds(lambda: engine.train(batches, rates)),
        "sampling": seconds(lambda: sampling.generate_documents(engine, random.Random(1), 200, **how)),
    }

found = {}
for _ in range(ROUNDS):
    for module in js.Object.keys(js.kernels):
        js.microgptKernel = getattr(js.kernels, module)
        kernel.cache_clear()
        for precision in ("exact", "float32"):
            for kind, took in timed(precision).items():
                found.setdefault(precision + " " + kind, {}).setdefault(module, []).append(took)
json.dumps(found)
"""

PAGE = """<!doctype html><script type="module">
const report = (text) => fetch('/result', { method: 'POST', body: text });
try {
  const { loadPyodide } = await import('/pyodide/pyodide.mjs');
  const python = await loadPyodide({ indexURL: '/pyodide/' });
  const bytes = async (path) => (await fetch(path)).arrayBuffer();
  globalThis.kernels = {};
  for (const name of NAMES) {
    const { instance } = await WebAssembly.instantiate(await bytes(`/${name}`), {});
    instance.exports._initialize();
    kernels[name] = instance.exports;
  }
  python.unpackArchive(await bytes('/microgpt.zip'), 'zip', { extractDir: '/package' });
  python.runPython('import sys; sys.path.insert(0, "/package")');
  await report(python.runPython(await (await fetch('/program.py')).text()));
} catch (error) {
  await report(JSON.stringify({ error: String(error) }));
}
</script>"""

QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def package() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for file in [*PACKAGE.rglob("*.py"), PACKAGE / "data" / "names.txt"]:
            archive.write(file, file.relative_to(PACKAGE.parent))
    return content.getvalue()


def in_chromium(chromium: str, modules: list[Path], program: str) -> Any:
    pages = {
        "/": PAGE.replace("NAMES", json.dumps([module.name for module in modules])).encode(),
        **{f"/{module.name}": module.read_bytes() for module in modules},
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
        quiet = subprocess.DEVNULL
        browser = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
        try:
            if not received.wait(300):
                raise TimeoutError("the page in Chromium sent no result within five minutes")
        finally:
            os.killpg(browser.pid, signal.SIGKILL)  # the command may be a script that starts the browser
            browser.wait()
            server.shutdown()
    if "error" in found[0]:
        raise RuntimeError(found[0]["error"])
    return found[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("modules", type=Path, nargs="*", metavar="MODULE.wasm")
    browsers = ("chromium-headless-shell", "chromium", "google-chrome")
    parser.add_argument("--chromium", default=next(filter(None, map(shutil.which, browsers)), None))
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    if not options.chromium:
        parser.error("Chromium was not found: install it, or name it with --chromium")
    with tempfile.TemporaryDirectory() as folder:
        modules = options.modules or runpy.run_path(str(ROOT / "hatch_build.py"))["compile_wasm"](Path(folder))
        found = in_chromium(options.chromium, modules, PROGRAM.replace("ROUNDS", str(options.rounds)))
        sizes = ", ".join(f"{module.name} {module.stat().st_size / 1e3:.0f} KB" for module in modules)
    print(f"{options.rounds} rounds, {os.cpu_count()} cores; {sizes}; times in ms")
    print(f"{'':17} {'':20} {'first':>7} {'median':>7} {'min':>7} {'max':>7} {'ratio':>6}")
    for what, times in found.items():
        base = statistics.median(times[modules[0].name][1:])
        for name, (first, *rest) in times.items():
            median = statistics.median(rest)
            figures = " ".join(f"{1e3 * x:7.1f}" for x in (first, median, min(rest), max(rest)))
            print(f"{what:17} {name:20} {figures} {base / median:6.2f}")


if __name__ == "__main__":
    main()
