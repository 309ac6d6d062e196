"""Compiles the kernel and builds the lab's page (build_site.py) into the wheel, where that can be done; where not, the
package is installed without them and says so.

The compiler is $CC, else the system's cc, gcc or clang, else zig, which PyPI has and which is asked for during the
build alone. The library is no extension module: it is loaded with ctypes and fits every version of Python.
MICROGPT_PURE_PYTHON=1 asks for the installation without either.

`python hatch_build.py` builds the kernel into the source tree, for work on it, and `python hatch_build.py site` the
page; `python hatch_build.py kernel.wasm` makes a WebAssembly module of the kernel (with zig, whose C library has the
exp, log and pow; it imports nothing).
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # who builds loads this file alone

import build_site

ENGINES = Path(__file__).parent / "src" / "microgpt" / "engines"
KERNEL = ENGINES / "native" / "kernel"  # net.c, compiled for each instruction set and precision, and dispatch.c
LIBRARY = "_kernel.dll" if sys.platform == "win32" else "_kernel.so"

FLAGS = ["-std=gnu11", "-O3", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
PRECISIONS = {"exact": ["-DEXACT=1", "-ffp-contract=off"], "float32": ["-DEXACT=0", "-ffp-contract=fast"]}
FLOAT64 = ["-DEXACT=0", "-DFLOAT64=1", "-ffp-contract=off"]  # `exact` where there is no libm of Python's
X86 = {
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mavx2", "-mfma"],
    "avx2": ["-mavx2", "-mfma"],
}


def is_pure() -> bool:
    return os.environ.get("MICROGPT_PURE_PYTHON", "0") not in ("", "0")


def system_compilers() -> list[list[str]]:
    """Commands that may be C compilers, the best first."""
    asked = shlex.split(os.environ.get("CC", ""))
    found = [[path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    return [asked, *found] if asked and shutil.which(asked[0]) else found


def compilers() -> list[list[str]]:
    zig = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    return system_compilers() + ([zig] if importlib.util.find_spec("ziglang") else [])


def source_of(name: str) -> str:
    """The source file of the object of this name."""
    return str(KERNEL / ("dispatch.c" if name == "dispatch" else "net.c"))


def compile_kernel(compiler: list[str], library: Path, more: Sequence[str] = ()) -> None:
    """One object for each instruction set and precision, and one that chooses among them at run time. more: flags.

    Raises CalledProcessError with the compiler's words, or OSError where it cannot be started.
    """
    instruction_sets = {**(X86 if platform.machine().lower() in ("x86_64", "amd64") else {}), "plain": []}
    with tempfile.TemporaryDirectory() as folder:
        commands = {"dispatch": [*FLAGS, *(["-DHAVE_X86"] if "avx2" in instruction_sets else [])]}
        for isa, isa_flags in instruction_sets.items():
            for precision, precision_flags in PRECISIONS.items():
                flags = [*FLAGS, f"-DISA={isa}", *precision_flags, *isa_flags]
                if is_clang(compiler):
                    flags.append("-Wno-pass-failed")
                elif isa == "avx512":
                    flags.append("-mprefer-vector-width=512")
                commands[f"{isa}_{precision}"] = flags

        def compile_one(name: str) -> str:
            target = str(Path(folder) / f"{name}.o")
            subprocess.run(
                [*compiler, *commands[name], *more, "-c", source_of(name), "-o", target],
                check=True,
                capture_output=True,
                text=True,
            )
            return target

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(compile_one, commands))
        linked = str(Path(folder) / LIBRARY)
        link = ["-shared", "-s", "-o", linked, *objects, *([] if sys.platform == "win32" else ["-lm", "-pthread"])]
        subprocess.run([*compiler, *link, *more], check=True, capture_output=True, text=True)
        library.unlink(missing_ok=True)  # a process that has loaded the old one keeps it
        shutil.copy2(linked, library)


def compile_wasm(module: Path) -> None:
    """The plain kernel, its vectors 128 bits wide, as one module.

    It exports microgpt_kernel, malloc, free, and the table in which the functions of struct Kernel are found.
    """
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-msimd128", "-Wno-pass-failed"]
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for name, flags in {**PRECISIONS, "exact": FLOAT64, "dispatch": []}.items():
            objects.append(str(Path(folder) / f"{name}.o"))
            subprocess.run([*zig, *FLAGS, "-DISA=plain", *flags, "-c", source_of(name), "-o", objects[-1]], check=True)
        exports = [f"-Wl,--export={name}" for name in ("microgpt_kernel", "malloc", "free")]
        # two gigabytes at most: above them, JavaScript reads an address as a negative number
        limits = ["-Wl,--export-table", "-Wl,--max-memory=2147483648"]
        link = ["-mexec-model=reactor", "-s", *exports, *limits, "-o", str(module)]
        subprocess.run([*zig, *objects, *link], check=True)


def is_clang(compiler: list[str]) -> bool:
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout
    return "clang" in version


def build(library: Path) -> str | None:
    """None, or in one line why there is no kernel now."""
    if is_pure():
        return "the native engine is left out, as MICROGPT_PURE_PYTHON asks"
    reason = "no C compiler was found (set CC, install gcc or clang, or `pip install ziglang`)"
    for compiler in compilers():
        try:
            compile_kernel(compiler, library)
            return None
        except (OSError, subprocess.CalledProcessError) as error:
            words = getattr(error, "stderr", None) or str(error)
            reason = f"{shlex.join(compiler)} failed: {words.strip().splitlines()[0]}"
    return f"the native engine is left out: {reason}; everything else works"


def site(library: Path) -> str | None:
    """None, or in one line why there is no page now, which the package keeps to say it again."""
    build_site.NO_SITE.unlink(missing_ok=True)
    reason = "MICROGPT_PURE_PYTHON asks for that"
    if not is_pure():
        try:
            return build_site.build(compile_wasm, library)
        except (build_site.NoSiteError, OSError) as error:
            reason = str(error)
    build_site.NO_SITE.write_text(reason, encoding="utf-8")
    return f"the lab's page is left out: {reason}"


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script by a Python without hatchling
    BuildHookInterface = object


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc, valid-type]
    def dependencies(self) -> list[str]:
        if is_pure():
            return []
        return sorted({*([] if system_compilers() else ["ziglang>=0.13"]), *build_site.dependencies()})

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.folder = tempfile.mkdtemp()
        in_place = version == "editable"
        library = (ENGINES / "native" if in_place else Path(self.folder)) / LIBRARY
        self.add_kernel(library, in_place, build_data)
        self.add_site(library, in_place, build_data)

    def add_kernel(self, library: Path, in_place: bool, build_data: dict[str, Any]) -> None:
        if trouble := build(library):
            self.app.display_warning(f"microgpt: {trouble}")
            return
        if not in_place:
            build_data["force_include"][str(library)] = f"microgpt/engines/native/{LIBRARY}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def add_site(self, library: Path, in_place: bool, build_data: dict[str, Any]) -> None:
        """It is built in the source tree in any case: that takes long, and what is there already may do."""
        if trouble := site(library):
            self.app.display_warning(f"microgpt: {trouble}")
        if not in_place:
            built = build_site.NO_SITE if build_site.NO_SITE.exists() else build_site.SITE
            build_data["force_include"][str(built)] = f"microgpt/lab/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["site"]:
        sys.exit(site(ENGINES / "native" / LIBRARY))
    sys.exit(compile_wasm(Path(sys.argv[1])) if len(sys.argv) > 1 else build(ENGINES / "native" / LIBRARY))
