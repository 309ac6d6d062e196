"""Fixtures of the lab's tests: sessions, and what the server serves."""

from __future__ import annotations

from pathlib import Path

import pytest

import microgpt

from conftest import TINY
from lab.served import SCRIPT
from lab.session_client import Lab


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def readonly() -> Lab:
    """A session that is shared by the tests of a module, which must not change it."""
    return Lab()


@pytest.fixture(scope="module")
def shared() -> Lab:
    """A session that is shared by the tests of a module, which may change it."""
    return Lab()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A small page with every kind of file, next to files that must not be served."""
    folder = tmp_path / "site"
    files = {
        "index.html": b"<!doctype html><title>lab</title>",
        "assets/main.js": SCRIPT.encode(),
        "assets/main.css": b"a{}",
        "pyodide/pyodide.mjs": b"export {}",
        "pyodide/pyodide.asm.wasm": b"\0asm",
        "pyodide/some.whl": b"PK",
        "microgpt.zip": b"PK",
        "snapshot.json": b"{}",
        "icon.svg": b"<svg/>",
        "strange.thing": b"?",
        ".built-from": b"a digest",
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "secret.txt").write_text("secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "links").symlink_to(tmp_path / "secrets")
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    microgpt.train(["ada", "bea", "abba"], TINY, out=folder)
    return folder
