"""The promises of docs/security.md: no file is executed, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

from conftest import PACKAGE, ROOT, clean_environment

EXECUTES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}  # formats that contain code
RUN = {  # the modules that may call exec or eval
    "lab/claims.py",  # the checks of the page's own claims, when the page is built
    "lab/editing/module.py",  # the workbench's program, for the figures
    "lab/editing/output.py",  # the workbench's program, for its output
    "lab/requests.py",  # the annotations of our own functions
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "site" not in path.relative_to(PACKAGE).parts)


def test_no_module_reads_a_format_that_contains_code() -> None:
    assert len(MODULES) > 100
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not EXECUTES & {name.split(".")[0] for name in names}, path
            assert not (isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.load"), path


def test_only_the_workbench_runs_a_text() -> None:
    calls = set()
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("exec", "eval"):
                calls.add(path.relative_to(PACKAGE).as_posix())
    assert calls == RUN


def test_the_server_loads_no_module_that_runs_programs() -> None:
    code = (
        "import sys, microgpt, microgpt.cli.main, microgpt.cli.lab, microgpt.lab.server;"
        "own = {'microgpt.lab.server', 'microgpt.lab.addresses'};"
        "print([name for name in sys.modules if name.startswith('microgpt.lab.') and name not in own])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_test_that_the_guide_names_exists() -> None:
    guide = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", guide))
    assert len(named) > 8
    there = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert named <= there
