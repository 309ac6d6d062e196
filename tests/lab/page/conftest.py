"""Fixtures of the page's tests: the served page, a browser, a tab, and helpers that work in the tab."""

from __future__ import annotations

import runpy
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from microgpt.lab.server import SITE, Pages

from lab.page.axe import AXE
from lab.page.bench import Bench
from lab.page.browser import FLAGS, ROOT, SIZES, CountingServer, Visit, installed
from lab.page.motion import Clocked
from lab.page.playhead import Head
from lab.page.reader import Reader


@pytest.fixture(scope="session")
def lab_server() -> Iterator[CountingServer]:
    """The built page, served as `microgpt lab` serves it; skips if it is not up to date with its sources."""
    build_site: dict[str, Any] = runpy.run_path(str(ROOT / "build_site.py"))
    if not (SITE / "index.html").is_file():
        pytest.skip("the lab's page is not built: it needs npm, and `python hatch_build.py site`")
    if not build_site["is_marked"](SITE / build_site["STAMP"], build_site["digest"](build_site["sources"]())):
        pytest.skip("the lab's page is older than its sources: `python hatch_build.py site` builds it")
    with CountingServer(Pages()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A browser; skips if Chromium is not installed."""
    path = installed()
    if not path:
        pytest.skip("no Chromium here (on Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not here: pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Any, lab_server: CountingServer) -> Iterator[Visit]:
    """A tab for the page, which is not open yet."""
    visit = Visit(chromium, lab_server.url)
    yield visit
    visit.close()


@pytest.fixture(scope="session")
def open_tabs(chromium: Any, lab_server: CountingServer) -> Iterator[list[Visit]]:
    """The tab that tests share because Python takes seconds to load; none before the first use and after a failure."""
    tabs: list[Visit] = []
    yield tabs
    for tab in tabs:
        tab.context.close()


@pytest.fixture
def tab(
    chromium: Any, lab_server: CountingServer, open_tabs: list[Visit], request: pytest.FixtureRequest
) -> Iterator[Visit]:
    """A tab in which Python is ready, for tests that leave the model and the figures' options unchanged."""
    if open_tabs and open_tabs[0].altered and "reader" not in request.fixturenames:
        open_tabs.pop().close()
    if not open_tabs:
        open_tabs.append(Visit(chromium, lab_server.url))
        open_tabs[0].open()
        open_tabs[0].ready()
    [tab] = open_tabs
    failed = request.session.testsfailed
    yield tab
    seen = tab.refused, tab.errors
    if seen != ([], []) or request.session.testsfailed > failed:  # its state is unknown
        open_tabs.remove(tab)
        tab.context.close()
    assert seen == ([], [])


@pytest.fixture(scope="session")
def axe() -> str:
    """The checker's source: the page's security policy forbids to load it, so the driver injects it."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here: npm ci in web/")
    return AXE.read_text()


@pytest.fixture(scope="module")
def clocked(chromium: Any, lab_server: CountingServer) -> Iterator[Clocked]:
    visit = Visit(chromium, lab_server.url)
    visit.page.clock.install(time=0)
    visit.open()
    visit.ready()
    yield Clocked(visit, iter(range(10**7, 10**9, 10**7)))
    visit.close()


@pytest.fixture
def head(tab: Visit) -> Iterator[Head]:
    yield Head(tab)
    tab.page.set_viewport_size(SIZES["wide"])
    tab.go(section=0)
    tab.page.wait_for_selector(".transport", state="detached")


@pytest.fixture
def reader(tab: Visit) -> Reader:
    """A reader of the exercises, who changes sliders and options: only other readers use the same tab afterwards."""
    tab.altered = True
    tab.page.set_viewport_size(SIZES["wide"])
    return Reader(tab)


@pytest.fixture
def bench(tab: Visit) -> Iterator[Bench]:
    """The open workbench; afterwards nothing runs in it, and the file is reset."""
    bench = Bench(tab)
    bench.open()
    yield bench
    # click Stop if it exists, in one step: the program may end by itself at any time
    stop = "() => [...document.querySelectorAll('main button')].find((e) => e.innerText === 'Stop')?.click()"
    bench.page.evaluate(stop)
    bench.open()
    bench.page.evaluate(stop.replace("Stop", "hide output"))
    if bench.page.get_by_role("button", name="Reset the file").is_enabled():
        bench.click("Reset the file")
    bench.click("Return to the names")
    bench.tab.settle()
