"""The documents are true: their figures are generated, their output is real, their links lead to files."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from microgpt import reference
from microgpt.engines.native.engine import kernel

from conftest import ROOT, clean_environment

PAGES = [ROOT / "README.md", ROOT / "LOG.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
every_page = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_figure_is_up_to_date(generate: ModuleType) -> None:
    table = generate.figures()
    for page in generate.documents():
        text = page.read_text(encoding="utf-8")
        assert generate.fill(text, table) == text, f"run: python docs/generate.py ({page.name})"


def test_a_stale_figure_is_noticed(generate: ModuleType) -> None:
    assert generate.fill("<!--length-->7<!--/--> lines", {"length": "200"}) == "<!--length-->200<!--/--> lines"
    with pytest.raises(KeyError):
        generate.fill("<!--lines:nothing-->7<!--/-->", generate.figures())


def test_line_numbers_point_to_the_definitions_they_name(generate: ModuleType) -> None:
    lines = (ROOT / "src" / "microgpt" / "reference.py").read_text().splitlines()
    for name, (first, _) in generate.definitions().items():
        assert re.match(rf"\s*(def|class) {name.split('.')[-1]}\b", lines[first - 1])


@every_page
def test_every_link_into_the_repository_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


SOURCES = [
    path
    for path in sorted((ROOT / "src" / "microgpt").rglob("*"))
    if path.suffix in (".py", ".c", ".h") and "site" not in path.parts
]


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT / "src" / "microgpt")) for path in SOURCES])
def test_a_source_file_begins_by_saying_what_it_is(path: Path, generate: ModuleType) -> None:
    line = generate.first_line(path)
    assert 10 <= len(line) <= 100
    assert line[0].isupper() or line[0] == "`" or line.startswith(("exp", "microgpt"))
    text = path.read_text()
    assert f"{line}." in text, "the first line must be a whole sentence that ends with a full stop"


def test_the_file_map_has_every_source_file(generate: ModuleType) -> None:
    names = [line.split()[0] for line in generate.file_map().splitlines() if line.startswith("  ")]
    shown = {path.name for path in SOURCES if not path.name.startswith("_") and "golden" not in path.parts}
    assert {name for name in names if not name.endswith("/")} == shown
    for place in generate.PLACES:
        assert (ROOT / place).is_dir(), place


def masked(line: str) -> str:
    """Return a line of output without the parts that depend on time."""
    return re.sub(r"\| +[\d.,]+ steps/s \| [\d:]+ left", "| TIME", line)


def test_the_readme_shows_a_real_run(tmp_path: Path) -> None:
    shown = re.search(r"<!-- output of: microgpt (\w+) -->\n```\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown is not None
    run = subprocess.run(
        [sys.executable, "-m", "microgpt", shown[1]],
        cwd=tmp_path,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    printed = [masked(line) for line in run.stdout.splitlines()]
    at = 0
    for line in shown[2].splitlines():
        if line != "...":
            assert masked(line) in printed[at:], line
            at = printed.index(masked(line), at) + 1


@pytest.fixture
def desk(tmp_path: Path, names_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the commands of the README: it has three texts, and the public names are already downloaded."""
    pytest.importorskip("matplotlib", reason="one command plots: pip install matplotlib")
    try:
        kernel()
    except ImportError as error:
        pytest.skip(f"{error}; without it the README's commands take hours")
    (tmp_path / "cache" / "microgpt").mkdir(parents=True)
    shutil.copy(names_file, tmp_path / "cache" / "microgpt" / "names.txt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = reference.documents(names_file)[::50]
    (tmp_path / "my_words.txt").write_text("\n".join(words))
    (tmp_path / "other.txt").write_text("\n".join(["zoé", *words[:50]]), encoding="utf-8")
    (tmp_path / "book.txt").write_text(" ".join(words))
    return tmp_path


def run_on(desk: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=desk, env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr}"


@pytest.mark.slow
def test_the_commands_of_the_readme_work_in_order(desk: Path) -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme.split("## Your own text")[1].split("##")[0]
    commands = re.findall(r"^microgpt (.*?)(?:\s*#.*)?$", section, re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        run_on(desk, sys.executable, "-m", "microgpt", *shlex.split(command))
    assert (desk / "loss.svg").is_file()


def test_the_library_example_of_the_readme_works(desk: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    run_on(desk, sys.executable, "-W", "error", "-c", example)
    assert (desk / "model.safetensors").is_file()


def test_the_commands_of_the_readme_exist_in_the_makefile_and_the_command_line() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([\w-]+)", readme, re.MULTILINE):
        assert f"\n{target}:" in makefile
    run = subprocess.run(
        [sys.executable, "-m", "microgpt", "--help"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    for command in set(re.findall(r"^microgpt (\w+)", readme, re.MULTILINE)):
        assert command in run.stdout
