"""The workbench in the page: the code is the control, and nothing that it does freezes or loses anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from microgpt.cli import main as cli
from microgpt.engines.program import REFERENCE
from microgpt.lab.editing.variants import apply
from microgpt.lab.session import Session

from lab.page.browser import CountingServer, Visit
from lab.page.test_access import SIZES, axe, violations

__all__ = ["axe"]  # a fixture

SECTION = 10
FILE = REFERENCE.text
LOSS_OF_EDITED = 180_000  # ms that Python and a program may take on a busy machine


class Bench:
    """The workbench of a tab."""

    def __init__(self, tab: Visit) -> None:
        self.tab, self.page = tab, tab.page
        tab.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def open(self) -> None:
        self.tab.section(SECTION)
        self.page.locator(".cm-content").wait_for()

    @property
    def text(self) -> str:
        """What the editor holds, to the byte: from the page's own state, by its file."""
        with self.page.expect_download() as download:
            self.click("Save the file")
        return Path(download.value.path()).read_bytes().decode()

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def write(self, source: str) -> None:
        """Put a text into the editor as a hand would: select all, and paste."""
        self.page.evaluate("(text) => navigator.clipboard.writeText(text)", source)
        self.page.locator(".cm-content").focus()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Control+v")

    def wait(self, text: str, where: str = "main") -> None:
        script = "([where, text]) => [...document.querySelectorAll(where)].some((e) => e.textContent.includes(text))"
        self.page.wait_for_function(script, arg=[where, text], timeout=LOSS_OF_EDITED)

    def run(self, source: str) -> None:
        self.write(source)
        self.click("Run")

    def marked(self) -> str:
        """The line that is marked as wrong; the editor draws no lines while it is out of sight."""
        self.page.locator(".editor").scroll_into_view_if_needed()
        return str(self.page.locator(".cm-wrong").inner_text())


@pytest.fixture(scope="module")
def bench(tab: Visit) -> Bench:
    return Bench(tab)


@pytest.fixture(autouse=True)
def fresh(bench: Bench) -> Iterator[None]:
    bench.open()
    yield
    # at once, where it is there: a program may end by itself meanwhile
    stop = "() => [...document.querySelectorAll('main button')].find((e) => e.innerText === 'Stop')?.click()"
    bench.page.evaluate(stop)
    bench.open()
    bench.page.evaluate(stop.replace("Stop", "hide the output"))
    if bench.page.get_by_role("button", name="Reset the file").is_enabled():
        bench.click("Reset the file")
    bench.click("Back to the names")
    bench.tab.settle()


def test_reset_restores_the_file_byte_for_byte(bench: Bench) -> None:
    assert bench.text == FILE
    bench.write(FILE.replace("0.01", "0.02") + "\n# more")
    assert bench.text != FILE
    bench.tab.section(3)
    bench.open()  # what was written is still there
    assert bench.text.endswith("# more")
    assert "more" not in bench.page.url
    bench.click("Reset the file")
    assert bench.text == FILE
    assert bench.page.get_by_text("This is the file as it stands in the package.").is_visible()


def test_a_program_runs_as_python_runs_it_and_its_output_streams(bench: Bench) -> None:
    bench.click("Run")
    bench.wait("step    3 / 1000 | loss", "pre.output")
    bench.tab.answers()
    bench.click("Stop")
    bench.wait("Stopped after", "main [role=status]")
    session = Session()
    session.ask("reset")
    (event,) = session.stream("train", {"steps": 3})
    lines = bench.page.locator("pre.output").first.text_content().splitlines()
    assert lines[0] == f"num docs: {len(session.active.run.data)}"
    assert lines[3:6] == [f"step {i + 1:4d} / 1000 | loss {x:.4f}" for i, x in enumerate(event["result"]["losses"])]


def test_an_endless_loop_is_stopped_and_the_next_program_runs(bench: Bench) -> None:
    bench.run("print('before', flush=True)\nwhile True: pass")
    bench.wait("before", "pre.output")
    bench.tab.answers()
    assert bench.tab.ask("loss", word="emma")["mean"] > 0  # the figures have a Python of their own
    bench.click("Stop")
    bench.wait("Stopped after", "main [role=status]")
    bench.run("print(6 * 7)")
    bench.wait("42", "pre.output")
    bench.wait("It ended after", "main [role=status]")


def test_ten_million_lines_do_not_drown_the_page(bench: Bench) -> None:
    bench.run("for i in range(10_000_000): print(i)")
    bench.wait("more lines are left out")
    bench.tab.answers()
    assert bench.page.locator("pre.output").first.evaluate("(e) => e.textContent.length") < 400_000
    bench.click("Stop")
    bench.wait("Stopped after", "main [role=status]")


def test_a_hundred_megabytes_are_no_trouble_and_too_much_is_told(bench: Bench) -> None:
    bench.run("x = bytearray(100_000_000)\nprint(len(x))")
    bench.wait("100000000", "pre.output")
    bench.run("x = []\nwhile True: x.append(bytearray(100_000_000))")
    bench.wait("emory", "main [role=alert]")
    bench.tab.answers()
    bench.run("print('and on')")
    bench.wait("and on", "pre.output")


def test_an_error_is_told_with_its_line_which_is_marked(bench: Bench) -> None:
    bench.run(FILE.replace("def rmsnorm(x):", "def rmsnorm(x:"))
    bench.wait("SyntaxError", "main [role=alert]")
    assert bench.marked() == "def rmsnorm(x:"
    bench.run(FILE.replace("    largest = max(", "    largest = mux("))
    bench.wait("NameError: name 'mux'", "main [role=alert]")
    assert bench.marked().strip().startswith("largest = mux(")
    bench.write(FILE)
    assert bench.page.locator(".cm-wrong").count() == 0


def test_a_program_that_breaks_its_python_ends(bench: Bench) -> None:
    bench.run("import js\njs.self.postMessage = None\nprint('lost')")
    bench.wait("postMessage", "main [role=alert]")
    bench.tab.errors.clear()  # the browser tells of it too
    bench.run("print('and on')")
    bench.wait("and on", "pre.output")


def test_a_carriage_return_writes_over_the_line(bench: Bench) -> None:
    bench.run("import sys\nfor i in range(3): sys.stdout.write(f'\\r{i} of 3')\nprint('\\nlast')")
    bench.wait("last", "pre.output")
    assert bench.page.locator("pre.output").first.text_content().splitlines() == ["2 of 3", "last"]


def test_the_figures_follow_a_changed_architecture(bench: Bench) -> None:
    bench.click("two layers")
    assert bench.text == apply("two_layers", FILE)
    bench.click("Use in all figures")
    bench.wait("This program makes the numbers of every figure now", ".used")
    bench.tab.settle()
    session = Session()
    session.ask("edit", {"source": apply("two_layers", FILE)})
    model = session.active
    assert bench.tab.ask("model")["num_params"] == model.run.num_params
    expected = session.ask("forward", {"word": "emma"})["result"]["tensors"]
    shown = bench.tab.ask("forward", word="emma")["tensors"]
    assert list(shown) == list(expected)
    assert shown["pos3.layer1.q"]["data"] == pytest.approx(expected["pos3.layer1.q"]["data"], abs=1e-12)
    source = bench.page.locator(".source li").all_text_contents()
    assert any("16, 2, 4, 16" in line for line in source)  # the source that is shown is the one that runs
    for section in range(SECTION):
        bench.tab.section(section)
        assert bench.page.locator("main .failed, main [role=alert]").all_text_contents() == []
    bench.open()
    bench.click("Figures back to the published model")
    bench.tab.settle()
    assert bench.tab.ask("model")["run"] == "published"
    assert not any("16, 2, 4, 16" in line for line in bench.page.locator(".source li").all_text_contents())


def test_a_figure_of_what_is_gone_says_so_and_the_others_go_on(bench: Bench) -> None:
    bench.click("no residual")
    bench.click("Use in all figures")
    bench.wait("it makes no resid_mid", ".used")
    bench.tab.section(4)
    failed = bench.page.locator("main .failed").all_text_contents()
    assert failed
    assert all("the edited program makes no" in text for text in failed)
    bench.tab.section(6)
    assert bench.page.locator("main .failed, main [role=alert]").count() == 0


def test_a_figure_that_failed_is_drawn_again_of_another_model(bench: Bench) -> None:
    bench.click("no residual")
    bench.click("Use in all figures")
    bench.wait("it makes no resid_mid", ".used")
    bench.tab.section(4)
    assert bench.page.locator("main .failed").count()
    bench.open()
    bench.click("Figures back to the published model")
    bench.tab.section(4)
    assert bench.page.locator("main .failed").count() == 0


def test_a_program_that_the_figures_cannot_take_is_refused_with_its_line(bench: Bench) -> None:
    bench.write(FILE.replace('return linear(x, state_dict["lm_head"])', 'return linear(x, state_dict["head"])'))
    bench.click("Use in all figures")
    bench.wait("KeyError: 'head'", "main [role=alert]")
    assert bench.marked().strip() == 'return linear(x, state_dict["head"])'
    assert bench.tab.ask("model")["program"] is None


def test_a_program_that_holds_the_figures_up_can_be_stopped(visit: Visit) -> None:
    """It never comes to an end where it is tried."""
    visit.open(f"#section={SECTION}")
    visit.ready()
    bench = Bench(visit)
    bench.page.locator(".cm-content").wait_for()
    bench.write("while True: pass\n" + FILE)
    bench.click("Use in all figures")
    bench.wait("The edited program is still computing", "[role=alert]")
    bench.tab.answers()
    bench.click("Stop it, and go back to the published model")
    visit.ready(restarts=1)
    visit.settle()
    assert visit.ask("model")["run"] == "published"
    assert visit.ask("loss", word="emma")["mean"] > 0


def test_a_program_that_hangs_later_is_stopped_for_good(visit: Visit) -> None:
    """It is tried without trouble, and a question about a longer word gets no answer."""
    visit.open(f"#section={SECTION}")
    visit.ready()
    bench = Bench(visit)
    bench.page.locator(".cm-content").wait_for()
    line = "    return 1 / len(losses) * sum(losses)"
    assert FILE.count(line) == 1
    bench.write(FILE.replace(line, f"    while len(tokens) > 15: pass\n{line}"))
    bench.click("Use in all figures")
    bench.wait("This program makes the numbers", ".used")
    visit.settle()
    visit.page.evaluate("() => { location.hash = 'section=6&word=maximilianoaaa' }")
    bench.wait("The edited program is still computing", "[role=alert]")
    bench.click("Stop it, and go back to the published model")
    visit.ready(restarts=1)
    visit.settle()
    assert visit.ask("model")["run"] == "published"
    assert visit.page.locator("main .failed").count() == 0


def test_the_text_that_is_in_use_is_told_of_whichever_run_is_chosen(bench: Bench) -> None:
    runs = []
    for name in ("GELU", "no 1/√d"):
        bench.click(name)
        bench.click("Use in all figures")
        bench.wait("This program makes the numbers", ".used")
        bench.tab.settle()
        runs.append(bench.tab.ask("model")["run"])
    bench.page.locator("main label.row select").first.select_option(runs[0])
    bench.click("go on with it")
    bench.tab.settle()
    assert bench.tab.ask("model")["run"] == runs[0]
    bench.wait("Another state of the program makes the numbers", ".used")
    assert bench.page.get_by_role("button", name="Use in all figures").is_enabled()
    bench.click("GELU")
    bench.wait("This program makes the numbers", ".used")
    assert bench.page.get_by_role("button", name="Use in all figures").is_disabled()


def test_pytorch_stays_beside_the_lines_of_the_file(bench: Bench) -> None:
    read = """() => [...document.querySelectorAll('main li .side:first-child p')].map((e) => e.textContent)"""
    bench.page.locator("main li .side").first.wait_for()
    before = bench.page.evaluate(read)
    assert len(before) > 100
    bench.write('"""Of my own."""\n\n' + FILE)
    bench.click("Use in all figures")
    bench.wait("This program makes the numbers", ".used")
    bench.tab.settle()
    assert bench.page.evaluate(read) == before
    lines = FILE.splitlines()
    for row in before:
        number = int("".join(c for c in row.strip()[:3] if c.isdigit()))
        assert lines[number - 1].strip() in row
    assert bench.page.get_by_role("button", name="Show line", exact=False).first.is_disabled()


def test_a_gradient_that_backward_does_not_explain_says_so(bench: Bench) -> None:
    bench.write(FILE.replace("node.a.grad += ", "node.a.grad += 1.0 * "))
    bench.click("Use in all figures")
    bench.wait("This program makes the numbers", ".used")
    bench.tab.section(4, word="emma", number="pos3.layer0.q[9]")
    bench.page.locator(".opened summary").filter(has_text="by the chain rule").click()
    bench.wait("Value.backward", ".opened details [role=alert]")
    bench.page.keyboard.press("Escape")


def test_output_and_status_are_in_sight_and_nothing_scrolls(bench: Bench) -> None:
    visible = """(where) => [...document.querySelectorAll(where)].some((e) => {
      const { top, bottom, height } = e.getBoundingClientRect()
      return height > 10 && top >= 0 && bottom <= innerHeight && e.textContent.trim()
    })"""
    for size in SIZES.values():
        bench.page.set_viewport_size(size)
        for source, ends in (
            ("print('here', flush=True)\nwhile True: pass", ""),
            ("1 / 0", "[role=alert]"),
            ("print(6)", "pre.output"),
        ):
            bench.write(source)
            button = bench.page.get_by_role("button", name="Run", exact=True)
            button.evaluate("(e) => scrollTo(0, scrollY + e.getBoundingClientRect().top - innerHeight / 2)")
            before = bench.page.evaluate("scrollY")
            button.click()
            if ends:
                bench.wait("after", "main figure [role=status]")
            else:
                bench.wait("here", "pre.output")
                assert bench.page.evaluate(visible, "main figure pre.output")
            assert bench.page.evaluate(visible, f"main figure {ends or '[role=status]'}")
            assert bench.page.evaluate(visible, "main figure [role=status]")
            if not ends:
                bench.click("Stop")
                bench.wait("Stopped after", "main figure [role=status]")
            assert bench.page.evaluate("scrollY") == before
        # where the button stands at the lower edge, there is nothing to be seen without it
        bench.click("hide the output")
        bench.write("print(1)")
        button.evaluate("(e) => scrollTo(0, scrollY + e.getBoundingClientRect().bottom + 9 - innerHeight)")
        button.click()
        bench.wait("It ended after", "main figure [role=status]")
        bench.page.wait_for_function(visible, arg="main figure pre.output")
        assert bench.page.evaluate(visible, "main figure [role=status]")
        assert button.evaluate("(e) => e.getBoundingClientRect().top > 0")
    bench.click("hide the output")
    assert bench.page.locator("pre.output").count() == 0
    bench.page.set_viewport_size(SIZES["wide"])


def test_a_prepared_change_is_shown_where_it_is(bench: Bench) -> None:
    """In the editor its first line, in its figure the difference; and the page stands still."""
    for name, line in (
        ("no mask", "# what is still to be guessed"),
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
    summary = bench.page.get_by_text("what was changed:")
    summary.click()
    assert not bench.page.locator("main tr.new").first.is_visible()
    bench.click("GELU")  # it stays closed
    bench.page.get_by_role("button", name="GELU", pressed=True).wait_for()
    assert not bench.page.locator("main tr.new").first.is_visible()
    summary.click()
    assert bench.page.locator("main tr.new").first.is_visible()
    bench.write(FILE + "# by hand\n")  # then it is no prepared change any more, and told of below the editor
    bench.page.locator("figure", has=bench.page.get_by_role("button", name="Run", exact=True)).get_by_text(
        "what was changed: 1 line new, 0 gone"
    ).wait_for()


def test_nothing_runs_the_old_text_while_a_prepared_change_is_on_its_way(bench: Bench) -> None:
    bench.page.evaluate("""() => {
      const ask = lab.ask
      lab.ask = (method, params) => {
        lab.ask = ask
        return new Promise((go) => (globalThis.go = go)).then(() => ask(method, params))
      }
    }""")
    bench.click("GELU")
    names = ("Run", "Use in all figures", "Measure the file")
    runs = [bench.page.locator("main button", has_text=re.compile(f"^{name}$")) for name in names]
    assert [button.is_disabled() for button in runs] == [True] * 3
    bench.page.evaluate("go()")
    bench.page.get_by_role("button", name="GELU", pressed=True).wait_for()
    runs[2] = bench.page.get_by_role("button", name="Measure it beside the file")
    assert [button.is_disabled() for button in runs] == [False] * 3


def test_the_diff_tells_what_was_changed(bench: Bench) -> None:
    bench.click("no 1/√d")
    bench.page.get_by_text("what was changed: 1 line new, 1 gone").wait_for()
    rows = bench.page.locator("main tr.new, main tr.gone")
    assert [row.locator("code").text_content().strip() for row in rows.all()] == [
        "attn_logits = [sum(qj * kj for qj, kj in zip(q, k)) / len(q) ** 0.5 for k in keys]",
        "attn_logits = [sum(qj * kj for qj, kj in zip(q, k)) for k in keys]",
    ]


def test_a_change_is_measured_beside_the_file(bench: Bench) -> None:
    bench.click("no residual")
    bench.page.get_by_role("spinbutton", name="steps").first.fill("5")
    bench.click("Measure it beside the file")
    done = "() => [...document.querySelectorAll('main td.mono')].filter((e) => e.textContent == '5').length == 2"
    bench.page.wait_for_function(done, timeout=LOSS_OF_EDITED)
    session = Session()
    first = []
    for source in (FILE, apply("no_residual", FILE)):
        session.ask("edit", {"source": source})
        first += [event["result"]["losses"][0] for event in session.stream("train", {"steps": 1})]
    shown = bench.page.locator("main [data-path^='printed.loss[1]']").all()
    assert [float(e.get_attribute("data-value")) for e in shown] == [round(loss, 4) for loss in first]


def test_the_file_and_the_program_are_trained_and_laid_side_by_side(bench: Bench) -> None:
    bench.click("no 1/√d")
    bench.page.get_by_role("spinbutton", name="steps").last.fill("3")
    bench.click("Train the file and your program")
    bench.wait("program edited: attention and reference.py", "main dd")
    assert bench.page.get_by_text("step 1, ").first.is_visible()
    assert bench.tab.ask("model")["program"]["changed"] == ["attention"]


def test_a_model_goes_out_and_comes_back(bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    bench.wait("is under every figure now", "main [role=status]")
    bench.tab.settle()
    assert bench.tab.ask("model")["run"] != "published"
    assert bench.tab.ask("forward", word="emma")["tensors"] == before


def test_an_edited_model_is_not_exported_as_what_it_is_not(bench: Bench) -> None:
    bench.click("GELU")
    bench.click("Use in all figures")
    bench.wait("This program makes the numbers", ".used")
    bench.click("Export this model")
    bench.wait("computes with the unedited program", "main [role=alert]")


def test_own_documents_are_read_by_the_program_too(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("abba\nbaba\nabab\n")
    bench.page.locator("input[accept='.txt,text/plain']").set_input_files(path)
    bench.page.get_by_role("radio", name="own.txt").click()
    bench.click("Run")
    bench.wait("num docs: 3\nvocab size: 3", "pre.output")
    bench.click("Stop")
    bench.page.get_by_role("radio", name="names.txt").click()


def test_the_keyboard_writes_and_leaves(bench: Bench) -> None:
    page = bench.page
    page.get_by_role("button", name="Save the file").focus()
    inside = "() => document.activeElement.shadowRoot?.activeElement?.getAttribute('aria-label') ?? ''"
    for _ in range(2):  # there is a choice between, once documents of one's own were read
        if not page.evaluate(inside):
            page.keyboard.press("Tab")
    assert page.evaluate(inside) == "The program, to be edited"
    page.keyboard.press("Control+Home")
    page.keyboard.type("# by hand")
    page.keyboard.press("Enter")
    assert bench.text.startswith("# by hand\n")
    page.locator(".cm-content").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert page.evaluate(inside) == ""
    assert page.get_by_text("To leave the editor by keyboard, press Escape, then Tab.").first.is_visible()


@pytest.mark.parametrize("size", SIZES)
def test_axe_finds_nothing_while_it_is_used(bench: Bench, axe: str, size: str) -> None:
    bench.page.set_viewport_size(SIZES[size])
    bench.run(FILE.replace("    largest = max(", "    largest = mux("))
    bench.wait("NameError", "main [role=alert]")
    if not bench.page.locator("main tr.new").first.is_visible():
        bench.page.get_by_text("what was changed").click()
    bench.page.emulate_media(color_scheme="light")
    assert violations(bench.tab, axe) == []
    bench.page.emulate_media(color_scheme="dark")
    assert violations(bench.tab, axe, "color-contrast") == []
    bench.page.emulate_media(color_scheme="light")
    assert bench.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    bench.page.set_viewport_size(SIZES["wide"])


def test_no_editor_is_loaded_before_python(visit: Visit, lab_server: CountingServer) -> None:
    visit.page.route("**/pyodide/**", lambda route: None)  # it never comes
    lab_server.sent.clear()
    visit.open(f"#section={SECTION}")
    visit.page.locator("main .editor pre").wait_for()
    early = [path for path, _ in lab_server.sent]
    assert not [path for path in early if "codemirror" in path]
    visit.page.unroute_all(behavior="ignoreErrors")
    visit.errors.clear()
