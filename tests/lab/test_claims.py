"""Every claim of the page's texts about the model on show is true, and a false claim is reported in full."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from microgpt.lab import claims
from microgpt.lab.claims import Checker, Claim

from conftest import ROOT

WEB = ROOT / "web"


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker()


def claim(check: str, text: str = "It {says} so.") -> Claim:
    return {"file": "5-attention/text.ts", "text": text, "check": check}


@pytest.mark.parametrize(
    "check",
    [
        "loss('emma') < uniform",
        "abs(loss('emma') - sum(losses('emma')) / len(losses('emma'))) < 1e-9",
        "len(losses('emma')) == 5",
        "abs(sum(chance('em', letter) for letter in [*'abcdefghijklmnopqrstuvwxyz', '']) - 1) < 1e-9",
        "chance('em', 'm', 0.2) != chance('em', 'm', temperature=2)",
        "abs(sum(attention('emma')[0][3][2]) - 1) < 1e-9",
        "model['num_params'] == 4192",
        "known('emma') and not known('qqq') and not held_out('qqq')",
        "ask('softmax', logits=[1, 1], scales=[1])['probs'] == [[0.5, 0.5]]",
        "[word for word in ['emma', 'qqq'] if loss(word) > uniform] == ['qqq']",
        "len(documents) == ask('data')['num_docs'] and 'emma' in documents and 'qqq' not in documents",
        "chances('em')['m'] == chance('em', 'm') and chances('em', 2)[''] == chance('em', '', 2)",
        "abs(sum(chances('em', 2).values()) - 1) < 1e-9",
        "len(moves('emma')) == model['num_params'] and any(g == 0 != d for g, d in moves('emma'))",
        "not any(g == 0 != d for g, d in moves('emma', fresh=True))",  # an empty memory moves no other parameter
        "max(abs(g) for g, d in moves('emma')) == max(abs(g) for t in ask('gradients', word='emma')['grads'].values()"
        " for g in t)",
        "after('change', path='wte[0][0]', value=0).ask('model')['changes'] != [] and model['changes'] == []",
        "after('reset', config={'n_layer': 2}).ask('model')['num_params'] > model['num_params'] == 4192",
        "after('reset').after('train', steps=3).curve() == after('reset').after('train', steps=5).curve()[:3]",
        "after('reset').loss('emma') != loss('emma') and loss('emma') == after('undo').loss('emma')",
    ],
)
def test_a_true_claim_has_no_fault(checker: Checker, check: str) -> None:
    assert checker.fault(claim(check)) is None


def test_a_false_claim_is_reported_with_its_text_its_expression_and_its_values(checker: Checker) -> None:
    fault = checker.fault(claim("loss('qqq') < loss('emma', )", "“qqq” is {easy}."))
    assert fault is not None
    qqq, emma = (checker.session.ask("loss", {"word": word})["result"]["mean"] for word in ("qqq", "emma"))
    assert fault == (
        "5-attention/text.ts: \"“qqq” is {easy}.\" is not true: `loss('qqq') < loss('emma', )` is False;"
        f" loss('qqq') = {qqq!r}; loss('emma') = {emma!r}"
    )


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("los('emma') < 3", "fails: there is no 'los'; did you mean 'loss'?"),
        ("True or los('emma') < 3", "fails: there is no 'los'; did you mean 'loss'?"),
        ("open('/etc/passwd')", "fails: there is no 'open'"),
        ("loss('emma')", "is 2."),
        ("loss('emma') and known('emma') and 1", "is 1 instead of True or False"),
        ("loss('emma'", "fails: SyntaxError("),
        ("loss('Ëmma') < 3", "fails: the model cannot read 'Ë' in 'Ëmma'"),
        ("chance('e', '?') < 3", "fails: the model cannot read '?' in '?'"),
        ("chance('e' * 16, 'a') < 3", "fails: the model reads 16 tokens, too few to continue 'eeeeeeeeeeeeeeee'"),
        ("ask('losses') == 1", "fails: losses: unknown method 'losses'; choose from"),
        ("after('rest').loss('emma') < 3", "fails: rest: unknown method 'rest'; choose from"),
        (
            "after('reset', config={'n_layr': 2}).loss('emma') < 3",
            "fails: reset: unknown setting 'n_layr'; choose from",
        ),
        ("after('reset').after('train', steps=0).loss('emma') < 3", "fails: train: steps must be"),
        ("ask('reset')['step'] == 0", "fails: reset changes the model for every claim: use after('reset', ...)"),
        ("moves('Ëmma') == []", "fails: the model cannot read 'Ë' in 'Ëmma'"),
        ("after('reset') == 3", "is False; after('reset') = the model “my run”"),
        ("ask('loss')['mean'] < 3", "fails: loss: loss requires the parameter 'word'"),
        ("losses('emma')[9] < 3", "fails: IndexError("),
        ("len(model['symbols']) == 3", "is False; model = {'run': "),
    ],
)
def test_a_claim_that_cannot_be_checked_is_a_fault(checker: Checker, check: str, reason: str) -> None:
    fault = checker.fault(claim(check))
    assert fault is not None
    assert fault.startswith(f'5-attention/text.ts: "It {{says}} so." is not true: `{check}` ')
    assert reason in fault
    assert "\n" not in fault


def test_the_command_prints_the_claims_that_do_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "claims.json"
    path.write_text(json.dumps([claim("uniform > 3"), claim("uniform > 4"), claim("unifrom > 3")]))
    monkeypatch.setattr("sys.argv", ["claims", str(path)])
    claims.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("`")[2].partition("`")[0] for line in lines] == ["uniform > 4", "unifrom > 3"]


def collect(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run claims.mjs, which prints the claims of a folder's texts."""
    node = shutil.which("node")
    if not node or not (WEB / "node_modules" / "rolldown").is_dir():
        pytest.skip("the page's packages are not installed: run `npm ci` in web/")
    environment = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
    return subprocess.run([node, "claims.mjs", *arguments], cwd=WEB, env=environment, capture_output=True, text=True)


def test_the_claims_of_the_page_hold() -> None:
    collected = collect()
    assert collected.returncode == 0, collected.stderr
    assert claims.faults(json.loads(collected.stdout)) == []


def texts(folder: Path, file: str, content: str) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"import {{ claim, texts }} from {json.dumps(str(WEB / 'src/texts/texts.ts'))}\n{content}\n")


def test_claims_are_collected_from_every_module_of_texts(tmp_path: Path) -> None:
    nested = "{ title: { plain: claim('It knows {word}.', 'a'), technical: 'It knows.' } }"
    texts(tmp_path, "5-attention/text.ts", f"export default texts({nested})")
    texts(tmp_path, "exercises/5-attention.text.ts", "export default texts({ ask: [claim('Which?', 'b')] })")
    texts(tmp_path, "texts/texts.ts", "export default claim('not a module of texts', 'c')")
    collected = collect(str(tmp_path))
    assert collected.returncode == 0, collected.stderr
    assert json.loads(collected.stdout) == [
        {"file": "5-attention/text.ts", "text": "It knows {word}.", "check": "a"},
        {"file": "exercises/5-attention.text.ts", "text": "Which?", "check": "b"},
    ]


def test_claims_are_collected_from_the_comments_of_markdown_and_html(tmp_path: Path) -> None:
    (tmp_path / "lines.md").write_text(
        "> x > 0\nplain: It is > 0.\n<!-- claim: 1 > 0 -->\n\nplain: No claim. <!-- no -->\n"
    )
    (tmp_path / "page.html").write_text(
        "<ul><li>No claim.</li>\n<li class='a'>It <em>knows</em>\n  names: <a href='#'>all</a>.\n"
        "<!-- claim:\n  known('emma') -->\n</li></ul>\n"
    )
    collected = collect(str(tmp_path))
    assert collected.returncode == 0, collected.stderr
    assert json.loads(collected.stdout) == [
        {"file": "lines.md", "text": "plain: It is > 0.", "check": "1 > 0"},
        {"file": "page.html", "text": "It knows names: all.", "check": "known('emma')"},
    ]


def test_the_claims_of_every_kind_of_file_are_collected() -> None:
    collected = collect()
    assert collected.returncode == 0, collected.stderr
    files = {claim["file"] for claim in json.loads(collected.stdout)}
    assert {"explain/reference.md", "../teachers.html", "sections/9-generation/text.ts"} <= files


def test_a_claim_outside_the_modules_of_texts_is_an_error(tmp_path: Path) -> None:
    texts(tmp_path, "Heads.svelte", "claim('It looks back.', 'a')")
    collected = collect(str(tmp_path))
    assert collected.returncode != 0
    assert "Heads.svelte makes a claim: move it to a text.ts, where the build finds it" in collected.stderr


def test_the_page_is_not_built_with_a_false_claim(tmp_path: Path) -> None:
    build: dict[str, Any] = runpy.run_path(str(ROOT / "build_site.py"))
    written = json.dumps([claim("uniform > 4", "Nothing is known.")])
    with pytest.raises(build["NoSiteError"], match=r'"Nothing is known." is not true: `uniform > 4` is False; uniform'):
        build["first_responses"](tmp_path / "no kernel", written)
