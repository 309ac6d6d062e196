"""A program that runs in the workbench: its output is streamed, and nothing it does freezes the page or loses data."""

from __future__ import annotations

from pathlib import Path

from microgpt.lab.session import Session

from lab.page.bench import FILE, Bench
from lab.page.browser import SIZES


def test_a_program_runs_as_in_python_and_its_output_is_streamed(bench: Bench) -> None:
    bench.click("Run")
    bench.wait("step    3 / 1000 | loss", "pre.output")
    bench.tab.responds()
    bench.click("Stop")
    bench.wait("Stopped after", "main [role=status]")
    session = Session()
    session.ask("reset", {"val_fraction": 0})  # a program reads every document
    (event,) = session.stream("train", {"steps": 3})
    lines = bench.page.locator("pre.output").first.text_content().splitlines()
    assert lines[0] == f"num docs: {len(session.active.run.data)}"
    assert lines[3:6] == [f"step {i + 1:4d} / 1000 | loss {x:.4f}" for i, x in enumerate(event["result"]["losses"])]


def test_an_endless_loop_is_stopped_and_the_next_program_runs(bench: Bench) -> None:
    bench.run("print('before', flush=True)\nwhile True: pass")
    bench.wait("before", "pre.output")
    bench.tab.responds()
    assert bench.tab.ask("loss", word="emma")["mean"] > 0  # the figures use another Python
    bench.click("Stop")
    bench.wait("Stopped after", "main [role=status]")
    bench.run("print(6 * 7)")
    bench.wait("42", "pre.output")
    bench.wait("Finished after", "main [role=status]")


def test_ten_million_lines_do_not_freeze_the_page(bench: Bench) -> None:
    bench.run("for i in range(10_000_000): print(i)")
    bench.wait("lines are hidden")
    bench.tab.responds()
    assert bench.page.locator("pre.output").first.evaluate("(e) => e.textContent.length") < 400_000
    bench.click("Stop")
    bench.wait("Stopped after", "main [role=status]")


def test_a_hundred_megabytes_are_fine_and_too_much_gives_an_error(bench: Bench) -> None:
    bench.run("x = bytearray(100_000_000)\nprint(len(x))")
    bench.wait("100000000", "pre.output")
    bench.run("x = []\nwhile True: x.append(bytearray(100_000_000))")
    bench.wait("emory", "main [role=alert]")
    bench.tab.responds()
    bench.run("print('and on')")
    bench.wait("and on", "pre.output")


def test_an_error_names_its_line_and_marks_it(bench: Bench) -> None:
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
    bench.tab.errors.clear()  # the browser also reports it
    bench.run("print('and on')")
    bench.wait("and on", "pre.output")


def test_a_carriage_return_overwrites_the_line(bench: Bench) -> None:
    bench.run("import sys\nfor i in range(3): sys.stdout.write(f'\\r{i} of 3')\nprint('\\nlast')")
    bench.wait("last", "pre.output")
    assert bench.page.locator("pre.output").first.text_content().splitlines() == ["2 of 3", "last"]


def test_output_and_status_are_visible_without_scrolling(bench: Bench) -> None:
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
        # with the button at the lower edge, the output is only visible if the page scrolls
        bench.click("hide output")
        bench.write("print(1)")
        button.evaluate("(e) => scrollTo(0, scrollY + e.getBoundingClientRect().bottom + 9 - innerHeight)")
        button.click()
        bench.wait("Finished after", "main figure [role=status]")
        bench.page.wait_for_function(visible, arg="main figure pre.output")
        assert bench.page.evaluate(visible, "main figure [role=status]")
        assert button.evaluate("(e) => e.getBoundingClientRect().top > 0")
    bench.click("hide output")
    assert bench.page.locator("pre.output").count() == 0
    bench.page.set_viewport_size(SIZES["wide"])


def test_the_program_can_read_the_users_documents(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("abba\nbaba\nabab\n")
    bench.page.locator("input[accept='.txt,text/plain']").set_input_files(path)
    bench.page.get_by_role("radio", name="own.txt").click()
    bench.click("Run")
    bench.wait("num docs: 3\nvocab size: 3", "pre.output")
    bench.click("Stop")
    bench.page.get_by_role("radio", name="names.txt").click()
