"""Compile the kernel and build the lab's page into the wheel.

If the kernel or the page cannot be built, the package is installed without it, and a warning gives the reason.
build_site.py builds the page.

The compiler is $CC, otherwise the system's cc, gcc or clang, otherwise zig, which pip installs from PyPI for the build
only. The library is not an extension module: it is loaded with ctypes, so it works with every version of Python.
Set MICROGPT_PURE_PYTHON=1 to install the package without the kernel and the page, or MICROGPT_NO_PAGE=1 to install it
without the page, which takes most of the time.

    python hatch_build.py              builds the kernel into the source tree, for this processor only
    python hatch_build.py all          builds the kernel into the source tree, for every instruction set
    python hatch_build.py site         builds the page into the source tree
    python hatch_build.py kernel.wasm  compiles the kernel to a WebAssembly module that imports nothing: exp, log and
                                       pow come from zig's C library
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

sys.path.insert(0, str(Path(__file__).parent))  # the build backend does not add this folder

import build_site
from site_licenses import LicenseError

ENGINES = Path(__file__).parent / "src" / "microgpt" / "engines"
KERNEL = ENGINES / "native" / "kernel"  # net.c is compiled per instruction set and precision, the others once
LIBRARY = "_kernel.dll" if sys.platform == "win32" else "_kernel.so"

FLAGS = ["-std=gnu11", "-O2", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]
# -O3 only where it is faster (LOG.md)
PRECISIONS = {"exact": ["-DEXACT=1", "-ffp-contract=off", "-O3"], "float32": ["-DEXACT=0", "-ffp-contract=fast"]}
ONCE = {"dispatch": [], "sample": ["-ffp-contract=off"]}  # compiled for all instruction sets at once
FLOAT64 = ["-DEXACT=0", "-DFLOAT64=1", "-ffp-contract=off"]  # `exact` in WebAssembly, where Python's libm is missing
X86 = {  # the best instruction set first
    "avx512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mavx2", "-mfma"],
    "avx2": ["-mavx2", "-mfma"],
}


def is_set(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


def is_pure() -> bool:
    return is_set("MICROGPT_PURE_PYTHON")


def system_compilers() -> list[list[str]]:
    """Return the commands of the C compilers that were found, the preferred compiler first."""
    asked = shlex.split(os.environ.get("CC", ""))
    found = [[path] for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    return [asked, *found] if asked and shutil.which(asked[0]) else found


def compilers() -> list[list[str]]:
    zig = [sys.executable, "-m", "ziglang", "cc", "-mcpu=baseline"]
    return system_compilers() + ([zig] if importlib.util.find_spec("ziglang") else [])


def source_of(name: str) -> str:
    """Return the source file that the named object is compiled from."""
    return str(KERNEL / (f"{name}.c" if name in ONCE else "net.c"))


def instruction_sets() -> dict[str, list[str]]:
    """Return the compiler's flags for each instruction set of this architecture, the best one first."""
    return {**(X86 if platform.machine().lower() in ("x86_64", "amd64") else {}), "plain": []}


def best_here(compiler: list[str]) -> list[str]:
    """Return this processor's best instruction set; every one if the compiler does not know the processor."""
    native = "-mcpu=native" if "ziglang" in compiler else "-march=native"
    known = subprocess.run([*compiler, native, "-dM", "-E", "-x", "c", os.devnull], capture_output=True, text=True)
    macros = known.stdout.split()
    if known.returncode or "__SSE2__" not in macros:
        return list(instruction_sets())
    return [
        isa
        for isa, flags in instruction_sets().items()
        if all(f"__{flag.removeprefix('-m').upper()}__" in macros for flag in flags)
    ][:1]


def compile_kernel(
    compiler: list[str], library: Path, more: Sequence[str] = (), isas: Sequence[str] | None = None
) -> None:
    """Compile the kernel to a shared library.

    The library contains an object for each instruction set and precision, and another that chooses among them at run
    time.

    Args:
        compiler: The compiler's command.
        library: The shared library to write.
        more: Additional flags.
        isas: The instruction sets; the default is every instruction set of this architecture.

    Raises:
        CalledProcessError: If the compiler fails; the exception contains the compiler's messages.
        OSError: If the compiler cannot be started.
    """
    chosen = {isa: flags for isa, flags in instruction_sets().items() if isas is None or isa in isas}
    with tempfile.TemporaryDirectory() as folder:
        commands = {name: [*FLAGS, *flags] for name, flags in ONCE.items()}
        commands["dispatch"] += [f"-DHAVE_{isa}" for isa in chosen]
        for isa, isa_flags in chosen.items():
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
        library.unlink(missing_ok=True)  # processes that have loaded the old library keep it
        shutil.copy2(linked, library)


def compile_wasm(module: Path) -> None:
    """Compile the plain kernel, with 128-bit vectors, to a WebAssembly module.

    The module exports microgpt_kernel, malloc, free, and the table that contains struct Kernel's functions.
    """
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-wasi", "-msimd128", "-Wno-pass-failed"]
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for name, flags in {**PRECISIONS, "exact": FLOAT64, **ONCE}.items():
            objects.append(str(Path(folder) / f"{name}.o"))
            subprocess.run(
                [*zig, *FLAGS, "-DISA=plain", "-DHAVE_plain", *flags, "-c", source_of(name), "-o", objects[-1]],
                check=True,
            )
        exports = [f"-Wl,--export={name}" for name in ("microgpt_kernel", "malloc", "free")]
        # at most 2 GiB, because JavaScript reads higher addresses as negative numbers
        limits = ["-Wl,--export-table", "-Wl,--max-memory=2147483648"]
        link = ["-mexec-model=reactor", "-s", *exports, *limits, "-o", str(module)]
        subprocess.run([*zig, *objects, *link], check=True)


def is_clang(compiler: list[str]) -> bool:
    version = subprocess.run([*compiler, "--version"], capture_output=True, text=True).stdout
    return "clang" in version


def build(library: Path, everywhere: bool) -> str | None:
    """Build the kernel. Return None, or one line with the reason if the build failed.

    Args:
        library: The shared library to write.
        everywhere: Whether to compile for every instruction set of this architecture, or only for the best one that
            this processor supports, which takes a third of the time.
    """
    if is_pure():
        return "the native engine is left out, because MICROGPT_PURE_PYTHON is set"
    reason = "no C compiler was found (set CC, install gcc or clang, or `pip install ziglang`)"
    for compiler in compilers():
        try:
            compile_kernel(compiler, library, isas=None if everywhere else best_here(compiler))
            return None
        except (OSError, subprocess.CalledProcessError) as error:
            words = getattr(error, "stderr", None) or str(error)
            reason = f"{shlex.join(compiler)} failed: {words.strip().splitlines()[0]}"
    return f"the native engine is left out: {reason}; everything else works"


def site(library: Path) -> str | None:
    """Build the page. Return None, or one line that says what is missing and why.

    If there is no page, `microgpt lab` shows the reason too.
    """
    build_site.NO_SITE.unlink(missing_ok=True)
    reason = "MICROGPT_PURE_PYTHON is set"
    if is_set("MICROGPT_NO_PAGE"):
        reason = "MICROGPT_NO_PAGE is set; `make lab` builds it"
    elif not is_pure():
        try:
            return build_site.build(compile_wasm, library)
        except (build_site.NoSiteError, LicenseError, OSError) as error:
            reason = str(error)
    build_site.NO_SITE.write_text(reason, encoding="utf-8")
    return f"the lab's page is left out: {reason}"


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, without hatchling
    BuildHookInterface = object


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc, valid-type]
    def dependencies(self) -> list[str]:
        if is_pure():
            return []
        for_page = [] if is_set("MICROGPT_NO_PAGE") else build_site.dependencies()
        return sorted({*([] if system_compilers() else ["ziglang>=0.13"]), *for_page})

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self.folder = tempfile.mkdtemp()
        in_place = version == "editable"
        library = (ENGINES / "native" if in_place else Path(self.folder)) / LIBRARY
        self.add_kernel(library, in_place, build_data)
        self.add_site(library, in_place, build_data)

    def add_kernel(self, library: Path, in_place: bool, build_data: dict[str, Any]) -> None:
        if trouble := build(library, everywhere=not in_place):
            self.app.display_warning(f"microgpt: {trouble}")
            return
        if not in_place:
            build_data["force_include"][str(library)] = f"microgpt/engines/native/{LIBRARY}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def add_site(self, library: Path, in_place: bool, build_data: dict[str, Any]) -> None:
        """Build the page in the source tree, even for a wheel: an existing page may be current, which saves time."""
        if (trouble := site(library)) and not is_set("MICROGPT_NO_PAGE"):
            self.app.display_warning(f"microgpt: {trouble}")
        if not in_place:
            built = build_site.NO_SITE if build_site.NO_SITE.exists() else build_site.SITE
            build_data["force_include"][str(built)] = f"microgpt/lab/{built.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":
    in_tree = ENGINES / "native" / LIBRARY
    if sys.argv[1:] == ["site"]:
        sys.exit(site(in_tree))
    if sys.argv[1:] in ([], ["all"]):
        sys.exit(build(in_tree, everywhere=len(sys.argv) > 1))
    sys.exit(compile_wasm(Path(sys.argv[1])))
