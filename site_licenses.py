"""Collect the licenses of the third-party software and fonts that the built page contains.

Vite lists the packages (packages.json), npm's lock file has their versions and licenses, and the installed packages
have the texts. Nothing is downloaded, and no text is stored in this repository.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = re.compile(r"(licen[cs]e|copying|ofl)([.-].*)?", re.IGNORECASE)  # a license text's file name, in any package
NOTICE = re.compile(r"notice([.-].*)?", re.IGNORECASE)  # what the Apache license requires to be passed on
SAME_FOR_ALL = {"MPL-2.0"}  # licenses whose text names no author: another package's copy is the same license
ZIG_TEXTS = ("libc/wasi/LICENSE-MIT", "libc/wasi/libc-top-half/musl/COPYRIGHT")
RULE = "=" * 80
PREFACE = """\
The microgpt lab is distributed under the MIT license. The page also contains the following third-party software and
fonts, under their own licenses. This file is made when the page is built.
"""


class LicenseError(Exception):
    """An error that names a package whose license text was not found, and says what to do."""


@dataclass(frozen=True)
class Notice:
    """One package in licenses.txt."""

    name: str
    version: str
    license: str
    source: str
    text: str

    def __str__(self) -> str:
        source = f"\n{self.source}" if self.source else ""
        return f"{RULE}\n{self.name} {self.version} ({self.license}){source}\n{RULE}\n\n{self.text.strip()}\n"


def texts(folder: Path, names: re.Pattern[str] = NAMES) -> str:
    """Return the license texts in a package's folder, or "" without one."""
    found = sorted(path for path in folder.iterdir() if path.is_file() and names.fullmatch(path.name))
    return "\n\n".join(path.read_text(encoding="utf-8").strip() for path in found)


def source_of(folder: Path) -> str:
    """Return the address of a package's source, which the MPL requires a copy to name."""
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    repository = package.get("repository") or ""
    address = str(repository.get("url", "") if isinstance(repository, dict) else repository)
    return re.sub(r"^git\+|\.git$", "", address)


def npm_notice(web: Path, lock: dict[str, Any], place: str) -> Notice:
    """Return the notice of an installed npm package.

    Args:
        web: The folder that contains node_modules.
        lock: The lock file's packages.
        place: The package's folder relative to `web`, which is also its key in the lock file.

    Raises:
        LicenseError: The lock file does not list the package, or its license text is missing.
    """
    name, folder = place.rpartition("node_modules/")[2], web / place
    if place not in lock or not folder.is_dir():
        raise LicenseError(f"{place} is in the page, but not in package-lock.json: run `npm ci` in web/")
    kind = lock[place].get("license", "")
    text = texts(folder)
    if not text and kind in SAME_FOR_ALL:
        others = (web / other for other in sorted(lock) if other and lock[other].get("license") == kind)
        text = next((found for other in others if other.is_dir() and (found := texts(other))), "")
    if not text or not kind:
        what = f"no file with its license ({kind})" if kind else "no license in package-lock.json"
        raise LicenseError(
            f"the npm package {name} has {what}, and the page must not be distributed without it:"
            " choose a version that has one, or remove the package from the page"
        )
    text = "\n\n".join(part for part in (text, texts(folder, NOTICE)) if part)
    return Notice(name, lock[place]["version"], kind, source_of(folder), text)


def zig_text() -> str:
    """Return the licenses of zig's C library, parts of which are in kernel.wasm.

    Raises:
        LicenseError: The installed zig has no license texts.
    """
    spec = importlib.util.find_spec("ziglang")
    root = Path(spec.origin).parent / "lib" if spec and spec.origin else Path()
    missing = [name for name in ZIG_TEXTS if not (root / name).is_file()]
    if missing:
        raise LicenseError(f"the ziglang package has no {missing[0]}, the license of the C library in kernel.wasm")
    return "\n\n".join((root / name).read_text(encoding="utf-8").strip() for name in ZIG_TEXTS)


def python_license_places() -> list[Path]:
    """Return the files in which a Python installation may have Python's license, the usual ones first."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    library = Path(os.__file__).parent
    usual = [folder / name for folder in (library, library.parent) for name in ("LICENSE.txt", "LICENSE")]
    return [
        *usual,
        Path(sys.base_prefix, "LICENSE.txt"),
        Path("/usr/share/doc", version, "copyright"),
        *(Path("/usr/share/licenses", name, "LICENSE") for name in ("python", "python3-libs", f"{version}-libs")),
    ]


def python_text(places: Iterable[Path] | None = None) -> str:
    """Return Python's license: Pyodide is a build of CPython, but its package does not contain the text.

    Raises:
        LicenseError: This Python has no license text.
    """
    for path in python_license_places() if places is None else places:
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise LicenseError(
        f"{sys.executable} ({platform.python_version()}) has no LICENSE.txt, which the page must contain because it"
        " contains Python: build the page with another Python"
    )


def collect(web: Path, places: Sequence[str], others: Sequence[Notice] = ()) -> str:
    """Return the text of licenses.txt.

    Args:
        web: The folder that contains node_modules and package-lock.json.
        places: The folders of the npm packages in the page, relative to `web`.
        others: The notices of what is not from npm.

    Raises:
        LicenseError: A license is missing.
    """
    lock = json.loads((web / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    notices = [*(npm_notice(web, lock, place) for place in places), *others]
    notices.sort(key=lambda notice: notice.name.lower())
    contents = "".join(f"  {notice.name} {notice.version} ({notice.license})\n" for notice in notices)
    return f"{PREFACE}\n{contents}\n" + "\n".join(map(str, notices))
