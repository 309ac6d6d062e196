"""The page in the package: built if npm is available, otherwise left out with a reason."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from microgpt.lab.server import SITE

from conftest import ROOT

BUILD_SITE: dict[str, Any] = runpy.run_path(str(ROOT / "build_site.py"))
SOURCES = [
    "build_site.py",
    "hatch_build.py",
    "site_licenses.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    ".gitignore",
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the repository in which nothing is built, as in a fresh clone."""
    folder = tmp_path / "tree"
    folder.mkdir()
    for name in SOURCES:
        shutil.copy(ROOT / name, folder)
    ignored = shutil.ignore_patterns(*BUILD_SITE["BUILT"], "_kernel.*", "no_site.txt")
    for name in ("src", "web", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    return folder


def build(tree: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run hatch_build.py in a copy of the repository."""
    return subprocess.run(
        [sys.executable, "hatch_build.py", *arguments],
        cwd=tree,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_the_lock_file_names_no_registry() -> None:
    packages = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    assert len(packages) > 20
    for name, facts in packages.items():
        assert "resolved" not in facts, name
        assert not name or facts["integrity"].startswith("sha512-"), name
    assert "omit-lockfile-registry-resolved=true" in (ROOT / "web" / ".npmrc").read_text()


def test_nothing_built_is_committed() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r".*(?:node_modules|web/public|lab/site|\.wasm|\.zip|\.whl|no_site).*", listed) == []


def test_without_npm_the_build_continues_and_says_so(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = build(tree, "site", PATH=str(tmp_path / "empty"))
    reason = "it needs npm with Node 20.19, 22.12 or newer: install them, then reinstall this package"
    assert done.stderr == f"the lab's page is left out: {reason}\n"
    assert (tree / "src" / "microgpt" / "lab" / "no_site.txt").read_text() == reason
    assert not (tree / "src" / "microgpt" / "lab" / "site").exists()
    lab = [sys.executable, "-m", "microgpt", "lab", "--no-browser"]
    refused = subprocess.run(
        lab, env={**os.environ, "PYTHONPATH": str(tree / "src")}, cwd=tmp_path, capture_output=True, text=True
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"error: the lab's page is missing from this installation: {reason}\n"


def test_an_old_node_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("npm", "node"):
        (tmp_path / name).write_text("#!/bin/sh\necho $VERSION\n")
        (tmp_path / name).chmod(0o755)
    for version, taken in [
        ("v18.20.4", False),
        ("v20.18.0", False),
        ("v20.19.0", True),
        ("v21.7.3", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.1.0", True),
        ("nonsense", False),
    ]:
        monkeypatch.setenv("VERSION", version)
        assert bool(BUILD_SITE["system_npm"]()) is taken, version


@pytest.mark.slow  # npm is slow
def test_an_unreachable_registry_is_reported(tree: Path, tmp_path: Path) -> None:
    if not BUILD_SITE["system_npm"]():
        pytest.skip("needs npm")
    done = build(
        tree,
        "site",
        npm_config_registry="http://127.0.0.1:9/",
        npm_config_cache=str(tmp_path / "cache"),
        npm_config_fetch_retries="0",
    )
    words = r"`.*npm ci .*` failed: npm error code ECONNREFUSED .*; fix that, then reinstall"
    assert re.fullmatch(rf"the lab's page is left out: {words}\n", done.stderr)


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("MICROGPT_PURE_PYTHON", "MICROGPT_PURE_PYTHON is set"),
        ("MICROGPT_NO_PAGE", "MICROGPT_NO_PAGE is set; `make lab` builds it"),
    ],
)
def test_a_variable_leaves_the_page_out(tree: Path, variable: str, reason: str) -> None:
    done = build(tree, "site", **{variable: "1"})
    assert done.stderr == f"the lab's page is left out: {reason}\n"
    assert not (tree / "web" / "node_modules").exists()


def test_the_kernel_for_this_processor_is_one_of_the_kernels_for_all() -> None:
    there: dict[str, Any] = runpy.run_path(str(ROOT / "hatch_build.py"))
    compiler = next(iter(there["system_compilers"]()), None)
    if not compiler:
        pytest.skip("no C compiler here")
    best = there["best_here"](compiler)
    assert best
    assert set(best) <= set(there["instruction_sets"]())
    assert there["best_here"](["false"]) == list(there["instruction_sets"]())  # this compiler knows no processor


def test_the_package_in_the_page_is_reproducible(tmp_path: Path) -> None:
    archives = [tmp_path / "one.zip", tmp_path / "two.zip"]
    for archive in archives:
        BUILD_SITE["write_package"](archive)
    assert archives[0].read_bytes() == archives[1].read_bytes()
    with zipfile.ZipFile(archives[0]) as zipped:
        for name in ("reference.py", "lab/session.py", "data/names.txt", "verification/golden/final.safetensors"):
            assert zipped.read(f"microgpt/{name}") == (ROOT / "src" / "microgpt" / name).read_bytes()
        assert not [name for name in zipped.namelist() if "site" in name or "__pycache__" in name]


def test_a_changed_source_is_noticed(tree: Path) -> None:
    there: dict[str, Any] = runpy.run_path(str(tree / "build_site.py"))
    before = there["digest"](there["sources"]())
    (tree / "src" / "microgpt" / "__pycache__").mkdir()
    (tree / "src" / "microgpt" / "__pycache__" / "x.pyc").touch()
    (tree / "web" / "public").mkdir()
    (tree / "web" / "public" / "snapshot.json").touch()
    assert there["digest"](there["sources"]()) == before
    for name in ("web/src/main.ts", "src/microgpt/reference.py", "src/microgpt/engines/native/kernel/adam.h"):
        content = (tree / name).read_text()
        (tree / name).write_text(f"{content}\n")
        assert there["digest"](there["sources"]()) != before
        (tree / name).write_text(content)
    assert there["digest"](there["sources"]()) == before


def test_an_installation_runs_no_script_of_a_package(tree: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    for name in ("npm", "node"):
        (tmp_path / name).write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo v24.1.0 || {{ echo "$@" >> {calls}; false; }}\n'
        )
        (tmp_path / name).chmod(0o755)
    build(tree, "site", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert calls.read_text().startswith("ci --ignore-scripts ")


def test_wheel_and_source_distribution_hold_the_page_once(tree: Path, tmp_path: Path) -> None:
    """The page in the tree is already built: CI's installations test the build itself, which takes long."""
    pytest.importorskip("hatchling", reason="needs hatchling: pip install hatchling")
    if not BUILD_SITE["is_built"]():
        pytest.skip("the lab's page is not built, or older than its sources: `python hatch_build.py site` builds it")
    shutil.copytree(SITE, tree / "src" / "microgpt" / "lab" / "site")
    for name in ("web/node_modules/one.js", "web/public/one.zip", "src/microgpt/lab/no_site.txt"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    compiler = tmp_path / "cc"  # a fake compiler: this test does not need the kernel
    compiler.write_text('#!/bin/sh\nwhile [ $# -gt 0 ]; do [ "$1" = -o ] && touch "$2"; shift; done\ntrue\n')
    compiler.chmod(0o755)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(tmp_path / "dist")]
    subprocess.run(command, cwd=tree, env={**os.environ, "CC": str(compiler)}, check=True, capture_output=True)

    [wheel] = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as zipped:
        names = zipped.namelist()
        assert len(names) == len(set(names))
        for path in SITE.rglob("*"):
            if path.is_file():
                name = path.relative_to(SITE.parent.parent.parent).as_posix()
                assert zipped.read(name) == path.read_bytes()
        assert "microgpt/lab/site/licenses.txt" in names
    assert not [name for name in names if "web/" in name or "no_site" in name]

    [source] = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(source) as packed:
        kept = {name.split("/", 1)[1] for name in packed.getnames()}
    assert {
        "build_site.py",
        "hatch_build.py",
        "site_licenses.py",
        "web/package-lock.json",
        "web/.npmrc",
        "web/src/main.ts",
    } <= kept
    assert not [name for name in kept if re.search("node_modules|web/public|lab/site|no_site", name)]
