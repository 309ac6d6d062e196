"""Compiles the standard library and our package with the browser's Python; prepare.mjs runs it there.

In library.zip, the modules that are loaded by now are replaced by their compiled form; the others stay source, since
compiling all of them would add two megabytes. In microgpt.zip, the compiled form is added, since the page shows the
source.
"""

import importlib
import importlib.util
import sys
import zipfile
from importlib._bootstrap_external import _code_to_hash_pyc
from pathlib import Path


def compiled(source: bytes, name: str, checked: bool) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True)
    return bytes(_code_to_hash_pyc(code, importlib.util.source_hash(source), checked))


def write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)  # no date: the same bytes each time


def add_compiled(path: Path) -> None:
    with zipfile.ZipFile(path) as old:
        sources = {name: old.read(name) for name in old.namelist() if "__pycache__" not in name}
    with zipfile.ZipFile(path, "w") as new:
        for name, source in sources.items():
            write(new, name, source)
            if name.endswith(".py"):
                write(new, importlib.util.cache_from_source(name), compiled(source, f"/microgpt/{name}", checked=True))


def compile_loaded(path: Path) -> None:
    files = {getattr(module, "__file__", None) or "" for module in [*sys.modules.values()]}
    with zipfile.ZipFile(path) as old:
        sources = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, source in sources.items():
            if any(file.endswith(f".zip/{name}") for file in files) and name.endswith(".py"):
                write(new, f"{name}c", compiled(source, name, checked=False))
            else:
                write(new, name, source)


package = Path("microgpt.zip")
if package.exists():
    add_compiled(package)
    zipfile.ZipFile(package).extractall("/microgpt")  # as the worker does
    sys.path.insert(0, "/microgpt")
    importlib.import_module("microgpt.lab.wire").Wire()
compile_loaded(Path("library.zip"))
