"""The workbench's editor: the file and its changes, measuring, training, exporting, and the keyboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.lab.editing.variants import apply
from microgpt.lab.session import Session

from lab.page.axe import violations
from lab.page.bench import FILE, PATIENCE, SECTION, Bench
from lab.page.browser import SIZES, CountingServer, Visit


def test_reset_restores_the_file_byte_for_byte(bench: Bench) -> None:
    assert bench.text == FILE
    bench.write(FILE.replace("0.01", "0.02") + "\n# more")
    assert bench.text != FILE
    bench.tab.section(3)
    bench.open()  # the edits are kept
    assert bench.text.endswith("# more")
    assert "more" not in bench.page.url
    bench.click("Reset the file")
    assert bench.text == FILE
    assert bench.page.get_by_text("This is the unedited file from the package.").is_visible()


def test_a_prepared_change_is_shown_where_it_is(bench: Bench) -> None:
    """The editor shows its first line, the figure shows the difference, and the page does not move."""
    for name, line in (
        ("no mask", "# the lists then hold"),
        ("GELU", "def gelu(self)"),
        ("two layers", "16, 2, 4"),
    ):
        button = bench.page.get_by_role("button", name=name, exact=True)
        button.scroll_into_view_if_needed()
        top = "(e) => [scrollY, e.getBoundingClientRect().top]"
        before = button.evaluate(top)
        button.click()
        bench.page.locator("main tr.new").first.wait_for()
        assert button.evaluate(top) == before
        shown = """(line) => {
          const root = document.querySelector('.editor').shadowRoot
          const box = root.querySelector('.cm-scroller').getBoundingClientRect()
          const found = [...root.querySelectorAll('.cm-own')].find((e) => e.textContent.includes(line))
          const { top, bottom } = found?.getBoundingClientRect() ?? { top: -Infinity, bottom: Infinity }
          return top >= box.top && bottom <= box.bottom
        }"""
        bench.page.locator(".editor").scroll_into_view_if_needed()
        bench.page.wait_for_function(f"(line) => ({shown})(line)", arg=line)
        assert bench.page.locator("main tr.new").first.is_visible()
    summary = bench.page.get_by_text("Changes:")
    summary.click()
    assert not bench.page.locator("main tr.new").first.is_visible()
    bench.click("GELU")  # it stays closed
    bench.page.get_by_role("button", name="GELU", pressed=True).wait_for()
    assert not bench.page.locator("main tr.new").first.is_visible()
    summary.click()
    assert bench.page.locator("main tr.new").first.is_visible()
    bench.write(FILE + "# by hand\n")  # an edit by hand is shown below the editor instead
    bench.page.locator("figure", has=bench.page.get_by_role("button", name="Run", exact=True)).get_by_text(
        "Changes: 1 line added, 0 removed"
    ).wait_for()


def test_nothing_can_run_while_a_prepared_change_is_being_applied(bench: Bench) -> None:
    bench.page.evaluate("""() => {
      const ask = lab.ask
      lab.ask = (method, params) => {
        lab.ask = ask
        return new Promise((resolve) => (globalThis.go = resolve)).then(() => ask(method, params))
      }
    }""")
    bench.click("GELU")
    names = ("Run", "Use in all figures", "Measure the original program")
    runs = [bench.page.locator("main button", has_text=re.compile(f"^{name}$")) for name in names]
    assert [button.is_disabled() for button in runs] == [True] * 3
    bench.page.evaluate("go()")
    bench.page.get_by_role("button", name="GELU", pressed=True).wait_for()
    runs[2] = bench.page.get_by_role("button", name="Compare with the original program")
    assert [button.is_disabled() for button in runs] == [False] * 3


def test_the_diff_shows_the_changes(bench: Bench) -> None:
    bench.click("no 1/√d")
    bench.page.get_by_text("Changes: 1 line added, 1 removed").wait_for()
    rows = bench.page.locator("main tr.new, main tr.gone")
    assert [row.locator("code").text_content().strip() for row in rows.all()] == [
        "attn_logits = [sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]",
        "attn_logits = [sum(qj * kj for qj, kj in zip(q, k)) for k in keys]",
    ]


def test_a_change_is_measured_next_to_the_file(bench: Bench) -> None:
    bench.click("no residual")
    bench.page.get_by_role("spinbutton", name="steps").first.fill("5")
    bench.click("Compare with the original program")
    done = "() => [...document.querySelectorAll('main td.mono')].filter((e) => e.textContent == '5').length == 2"
    bench.page.wait_for_function(done, timeout=PATIENCE)
    session = Session()
    first = []
    for source in (FILE, apply("no_residual", FILE)):
        session.ask("edit", {"source": source})
        first += [event["result"]["losses"][0] for event in session.stream("train", {"steps": 1})]
    shown = bench.page.locator("main [data-path^='printed.loss[1]']").all()
    assert [float(e.get_attribute("data-value")) for e in shown] == [round(loss, 4) for loss in first]


def test_the_file_and_the_program_are_trained_and_compared(bench: Bench) -> None:
    bench.click("no 1/√d")
    bench.page.get_by_role("spinbutton", name="steps").last.fill("3")
    bench.click("Train both the original program and yours")
    bench.wait("program edited: attention and reference.py", "main dd")
    assert bench.page.get_by_text("step 1, ").first.is_visible()
    assert bench.tab.ask("model")["program"]["changed"] == ["attention"]


def test_a_model_can_be_exported_and_opened(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with bench.page.expect_download() as download:
        bench.click("Export this model")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert cli.main(["sample", str(path), "-n", "5", "--seed", "3", "--json"]) == 0
    texts = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    config = bench.tab.ask("model")["config"]
    assert bench.tab.ask("samples", seed=3, count=5, temperature=config["temperature"])["texts"] == texts
    before = bench.tab.ask("forward", word="emma")["tensors"]
    bench.page.locator("input[accept='.safetensors,.jsonl']").set_input_files(path)
    bench.wait("All figures now show", "main [role=status]")
    bench.tab.settle()
    assert bench.tab.ask("model")["run"] != "names"
    assert bench.tab.ask("forward", word="emma")["tensors"] == before


def test_an_edited_model_is_not_exported(bench: Bench) -> None:
    bench.click("GELU")
    bench.click("Use in all figures")
    bench.wait("All figures now use this program", ".used")
    bench.click("Export this model")
    bench.wait("runs the unedited program", "main [role=alert]")


def test_the_keyboard_can_edit_and_leave_the_editor(bench: Bench) -> None:
    page = bench.page
    page.get_by_role("button", name="Save the file").focus()
    inside = "() => document.activeElement.shadowRoot?.activeElement?.getAttribute('aria-label') ?? ''"
    for _ in range(2):  # a choice of data is between them if own documents were loaded
        if not page.evaluate(inside):
            page.keyboard.press("Tab")
    assert page.evaluate(inside) == "The program (editable)"
    page.keyboard.press("Control+Home")
    page.keyboard.type("# by hand")
    page.keyboard.press("Enter")
    assert bench.text.startswith("# by hand\n")
    page.locator(".cm-content").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate(inside) == ""
    assert page.get_by_text("To leave the editor with the keyboard, press Escape, then Tab.").first.is_visible()


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_in_the_workbench(bench: Bench, axe: str, size: str) -> None:
    bench.page.set_viewport_size(SIZES[size])
    bench.run(FILE.replace("    largest = max(", "    largest = mux("))
    bench.wait("NameError", "main [role=alert]")
    if not bench.page.locator("main tr.new").first.is_visible():
        bench.page.get_by_text("Changes:").click()
    bench.page.emulate_media(color_scheme="light")
    assert violations(bench.tab, axe) == []
    bench.page.emulate_media(color_scheme="dark")
    assert violations(bench.tab, axe, "color-contrast") == []
    bench.page.emulate_media(color_scheme="light")
    assert bench.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    bench.page.set_viewport_size(SIZES["wide"])


def test_no_editor_is_loaded_before_python(visit: Visit, lab_server: CountingServer) -> None:
    visit.page.route("**/pyodide/**", lambda route: None)  # Python never loads
    lab_server.sent.clear()
    visit.open(f"#section={SECTION}")
    visit.page.locator("main .editor pre").wait_for()
    early = [path for path, _ in lab_server.sent]
    assert not [path for path in early if "codemirror" in path]
    visit.page.unroute_all(behavior="ignoreErrors")
    visit.errors.clear()
