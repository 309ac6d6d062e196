"""The licenses of what the page contains: every package's text is there, or the page is not built."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

from microgpt.lab.server import SITE

from conftest import ROOT

MAKER: dict[str, Any] = runpy.run_path(str(ROOT / "site_licenses.py"))
ROW = re.compile(r"^  (\S+) (.+) \((\S+)\)$", re.MULTILINE)  # of the list at the top: name, version, license


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A folder with a lock file and five installed packages."""
    packages = {
        "node_modules/curve": ("1.2.3", "ISC", {"LICENSE": "Copyright Ada\n\nPermission ..."}),
        "node_modules/@fonts/sans": (
            "4.0.0",
            "OFL-1.1",
            {"LICENSE.md": "Copyright Bea\n\nOFL ...", "NOTICE": "Thanks"},
        ),
        "node_modules/curve/node_modules/path": ("0.1.0", "MIT", {"license": "Copyright é"}),
        "node_modules/python": ("3.0.0", "MPL-2.0", {}),
        "node_modules/tool": ("5.0.0", "MPL-2.0", {"LICENSE": "Mozilla Public License"}),
    }
    lock: dict[str, dict[str, str]] = {"": {"version": "0.0.0"}}
    for place, (version, kind, files) in packages.items():
        (tmp_path / place).mkdir(parents=True)
        repository = {"url": f"git+https://example.org/{Path(place).name}.git"}
        (tmp_path / place / "package.json").write_text(json.dumps({"repository": repository}))
        for name, text in files.items():
            (tmp_path / place / name).write_text(text, encoding="utf-8")
        lock[place] = {"version": version, "license": kind}
    (tmp_path / "package-lock.json").write_text(json.dumps({"packages": lock}))
    return tmp_path


def refusal(web: Path, *places: str) -> str:
    with pytest.raises(MAKER["LicenseError"], match=r"license|package-lock") as error:
        MAKER["collect"](web, places)
    return str(error.value)


def test_every_package_is_listed_with_its_version_its_license_and_the_text(web: Path) -> None:
    own = MAKER["Notice"]("zz", "9", "MIT", "", "Copyright Zoe")
    places = ["node_modules/curve", "node_modules/@fonts/sans", "node_modules/curve/node_modules/path"]
    text = MAKER["collect"](web, places, [own])
    rows = [
        ("@fonts/sans", "4.0.0", "OFL-1.1"),
        ("curve", "1.2.3", "ISC"),
        ("path", "0.1.0", "MIT"),
        ("zz", "9", "MIT"),
    ]
    assert ROW.findall(text) == rows
    for words in ("Copyright Ada\n\nPermission ...", "OFL ...\n\nThanks", "Copyright é", "Copyright Zoe"):
        assert words in text
    assert "https://example.org/curve\n" in text
    assert "tool" not in text  # installed, but not in the page


def test_a_license_without_an_author_may_come_from_another_package(web: Path) -> None:
    text = MAKER["collect"](web, ["node_modules/python"])
    assert ROW.findall(text) == [("python", "3.0.0", "MPL-2.0")]
    assert "Mozilla Public License" in text
    (web / "node_modules" / "tool" / "LICENSE").unlink()
    assert "the npm package python has no file with its license (MPL-2.0)" in refusal(web, "node_modules/python")


def test_a_package_without_a_license_text_is_refused(web: Path) -> None:
    (web / "node_modules" / "curve" / "LICENSE").rename(web / "node_modules" / "curve" / "README")
    assert refusal(web, "node_modules/@fonts/sans", "node_modules/curve") == (
        "the npm package curve has no file with its license (ISC), and the page must not be distributed without it:"
        " choose a version that has one, or remove the package from the page"
    )


def test_a_package_without_a_named_license_is_refused(web: Path) -> None:
    lock = json.loads((web / "package-lock.json").read_text())
    del lock["packages"]["node_modules/curve"]["license"]
    (web / "package-lock.json").write_text(json.dumps(lock))
    assert "the npm package curve has no license in package-lock.json" in refusal(web, "node_modules/curve")


def test_a_package_that_the_lock_file_does_not_list_is_refused(web: Path) -> None:
    assert refusal(web, "node_modules/gone") == (
        "node_modules/gone is in the page, but not in package-lock.json: run `npm ci` in web/"
    )


def test_a_python_without_its_license_is_named(tmp_path: Path) -> None:
    (tmp_path / "LICENSE.txt").write_text("PSF")
    assert MAKER["python_text"]([tmp_path / "missing", tmp_path / "LICENSE.txt"]) == "PSF"
    with pytest.raises(MAKER["LicenseError"], match=re.escape(f"{sys.executable} (")):
        MAKER["python_text"]([tmp_path / "missing"])


def test_a_page_whose_license_is_missing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: Path) -> None:
    builder: dict[str, Any] = runpy.run_path(str(ROOT / "build_site.py"))
    site = tmp_path / "site"
    (site / "pyodide").mkdir(parents=True)
    (site / "pyodide" / "pyodide-lock.json").write_text('{"info": {"python": "3.14.2"}}')
    (site / "packages.json").write_text('["node_modules/gone"]')
    for name, value in {"SITE": site, "WEB": web}.items():
        monkeypatch.setitem(builder["write_licenses"].__globals__, name, value)
    with pytest.raises(Exception, match="is in the page, but not in package-lock"):
        builder["write_licenses"]()
    assert not site.exists()


def test_the_built_page_has_the_licenses_of_what_it_contains() -> None:
    if not runpy.run_path(str(ROOT / "build_site.py"))["is_built"]():
        pytest.skip("the lab's page is not built, or older than its sources: `python hatch_build.py site` builds it")
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    text = (SITE / "licenses.txt").read_text(encoding="utf-8")
    rows = {name: (version, kind) for name, version, kind in ROW.findall(text.partition("====")[0])}
    assert set(rows) >= {*lock[""]["dependencies"], "CPython"}
    assert not set(rows) & set(lock[""]["devDependencies"])
    assert ("wasi-libc" in rows) == (SITE / "kernel.wasm").exists()
    for name in set(rows) - {"CPython", "wasi-libc"}:
        facts = [facts for place, facts in lock.items() if place.endswith(f"node_modules/{name}")]
        assert rows[name] in [(each["version"], each["license"]) for each in facts if not each.get("dev")], name
    for words in ("SIL OPEN FONT LICENSE Version 1.1", "Mozilla Public License", "PYTHON SOFTWARE FOUNDATION LICENSE"):
        assert words in text
    assert not (SITE / "packages.json").exists()
    for page in ("index.html", "teachers.html"):
        scripts = [path.read_text() for path in (SITE / "assets").glob("*.js")] if page == "index.html" else []
        assert any("./licenses.txt" in source for source in [(SITE / page).read_text(), *scripts])
