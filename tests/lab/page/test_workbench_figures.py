"""An edited program in all figures: they show it, say what it does not compute, and recover when it hangs."""

from __future__ import annotations

import pytest

from microgpt.lab.editing.variants import apply
from microgpt.lab.session import Session

from lab.page.bench import FILE, SECTION, Bench
from lab.page.browser import Visit


def test_the_figures_follow_a_changed_architecture(bench: Bench) -> None:
    bench.click("two layers")
    assert bench.text == apply("two_layers", FILE)
    bench.click("Use in all figures")
    bench.wait("All figures now use this program", ".used")
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
    assert any("16, 2, 4, 16" in line for line in source)  # the shown source is the one that runs
    for section in range(SECTION):
        bench.tab.section(section)
        assert bench.page.locator("main .failed, main [role=alert]").all_text_contents() == []
    bench.open()
    bench.click("Reset figures to the names model")
    bench.tab.settle()
    assert bench.tab.ask("model")["run"] == "names"
    assert not any("16, 2, 4, 16" in line for line in bench.page.locator(".source li").all_text_contents())


def test_a_figure_without_its_numbers_says_so_and_the_others_work(bench: Bench) -> None:
    bench.click("no residual")
    bench.click("Use in all figures")
    bench.wait("does not compute resid_mid", ".used")
    bench.tab.section(4)
    failed = bench.page.locator("main .failed").all_text_contents()
    assert failed
    assert all("the edited program does not compute" in text for text in failed)
    bench.tab.section(6)
    assert bench.page.locator("main .failed, main [role=alert]").count() == 0


def test_a_figure_that_failed_works_again_with_another_model(bench: Bench) -> None:
    bench.click("no residual")
    bench.click("Use in all figures")
    bench.wait("does not compute resid_mid", ".used")
    bench.tab.section(4)
    assert bench.page.locator("main .failed").count()
    bench.open()
    bench.click("Reset figures to the names model")
    bench.tab.section(4)
    assert bench.page.locator("main .failed").count() == 0


def test_a_program_that_the_figures_cannot_use_is_refused_with_its_line(bench: Bench) -> None:
    bench.write(FILE.replace('return linear(x, state_dict["lm_head"])', 'return linear(x, state_dict["head"])'))
    bench.click("Use in all figures")
    bench.wait("KeyError: 'head'", "main [role=alert]")
    assert bench.marked().strip() == 'return linear(x, state_dict["head"])'
    assert bench.tab.ask("model")["program"] is None


def test_a_program_that_blocks_the_figures_can_be_stopped(visit: Visit) -> None:
    """The program never ends when it is tried."""
    visit.open(f"#section={SECTION}")
    visit.ready()
    bench = Bench(visit)
    bench.page.locator(".cm-content").wait_for()
    bench.write("while True: pass\n" + FILE)
    bench.click("Use in all figures")
    bench.wait("The edited program is still running", "[role=alert]")
    bench.tab.responds()
    bench.click("Stop and return to the names model")
    visit.ready(restarts=1)
    visit.settle()
    assert visit.ask("model")["run"] == "names"
    assert visit.ask("loss", word="emma")["mean"] > 0


def test_a_program_that_hangs_later_is_stopped_for_good(visit: Visit) -> None:
    """The program passes the first try, but never responses a request for a longer word."""
    visit.open(f"#section={SECTION}")
    visit.ready()
    bench = Bench(visit)
    bench.page.locator(".cm-content").wait_for()
    line = "    return 1 / len(losses) * sum(losses)"
    assert FILE.count(line) == 1
    bench.write(FILE.replace(line, f"    while len(tokens) > 15: pass\n{line}"))
    bench.click("Use in all figures")
    bench.wait("All figures now use this program", ".used")
    visit.settle()
    visit.page.evaluate("() => { location.hash = 'section=6&word=maximilianoaaa' }")
    bench.wait("The edited program is still running", "[role=alert]")
    bench.click("Stop and return to the names model")
    visit.ready(restarts=1)
    visit.settle()
    assert visit.ask("model")["run"] == "names"
    assert visit.page.locator("main .failed").count() == 0


def test_the_workbench_says_if_the_chosen_run_uses_its_text(bench: Bench) -> None:
    runs = []
    for name in ("GELU", "no 1/√d"):
        bench.click(name)
        bench.click("Use in all figures")
        bench.wait("All figures now use this program", ".used")
        bench.tab.settle()
        runs.append(bench.tab.ask("model")["run"])
    bench.page.get_by_role("radio", name="runs of your own").click()
    bench.page.get_by_label("first run").select_option(runs[0])
    bench.click("continue this run")
    bench.tab.settle()
    assert bench.tab.ask("model")["run"] == runs[0]
    bench.wait("All figures now use a different version of the program", ".used")
    assert bench.page.get_by_role("button", name="Use in all figures").is_enabled()
    bench.click("GELU")
    bench.wait("All figures now use this program", ".used")
    assert bench.page.get_by_role("button", name="Use in all figures").is_disabled()


def test_pytorch_stays_next_to_the_lines_of_the_file(bench: Bench) -> None:
    read = """() => [...document.querySelectorAll('main li .side:first-child p')].map((e) => e.textContent)"""
    bench.page.locator("main li .side").first.wait_for()
    before = bench.page.evaluate(read)
    assert len(before) > 100
    bench.write('"""My own."""\n\n' + FILE)
    bench.click("Use in all figures")
    bench.wait("All figures now use this program", ".used")
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
    bench.wait("All figures now use this program", ".used")
    bench.tab.section(4, word="emma", number="pos3.layer0.q[9]")
    bench.tab.unfold(bench.page.locator(".opened details").filter(has_text="by the chain rule"))
    bench.wait("Value.backward", ".opened details [role=alert]")
    bench.page.keyboard.press("Escape")
