"""Runs named on the command line: who can read them, and that the page leaves no trace of the token."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import microgpt
from microgpt.lab.server import NamedRun, Pages

from conftest import TINY
from lab.page.browser import CountingServer, Visit

STATUS = """(token) => fetch('runs/index.json', token ? { headers: { Authorization: `Bearer ${token}` } } : {})
  .then((response) => response.status)"""
FORBIDDEN = "Failed to load resource: the server responded with a status of 403 (Forbidden)"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, lab_server: CountingServer) -> Iterator[CountingServer]:
    """The page with a run; it is up to date if lab_server's is."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    microgpt.train(["ada", "bea", "abba"], TINY, out=folder)
    with CountingServer(Pages([NamedRun.find(folder)])) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def reading(chromium: Any, server: CountingServer) -> Iterator[Visit]:
    visit = Visit(chromium, server.url)
    yield visit
    visit.close()


def show_run(visit: Visit) -> None:
    """Open the training section, and show the run in every figure."""
    visit.section(8)
    visit.page.locator("figure", has_text="Your runs").get_by_text("small").first.wait_for()
    visit.ready()
    visit.page.get_by_role("button", name="Show in every figure").click()
    visit.page.wait_for_function("() => lab.ask('model', {}).then((model) => model.name === 'small')")


@pytest.mark.parametrize("once", [False, True])
def test_the_page_opens_a_run_and_the_token_leaves_the_address(
    reading: Visit, server: CountingServer, once: bool
) -> None:
    page = reading.page
    page.goto(server.address(once))
    page.wait_for_function("() => !location.hash.includes('token')")
    show_run(reading)
    assert page.evaluate("performance.getEntriesByType('resource').every((e) => !e.name.includes('token='))")
    assert server.token not in page.url
    assert server.token not in page.content()
    assert page.evaluate(STATUS, server.token) == 200
    page.reload()
    assert server.token not in page.url
    show_run(reading)
    page.go_back()  # to no address with a token
    assert "token" not in page.url


def test_another_tab_has_the_page_without_the_run(reading: Visit, server: CountingServer) -> None:
    reading.open()
    reading.section(8)
    reading.ready()
    assert reading.ask("model")["step"] > 0
    assert reading.page.evaluate(STATUS, "") == 403
    assert reading.page.locator("figure", has_text="Your runs").count() == 0
    assert set(reading.errors) == {FORBIDDEN}  # Chromium reports each such response
    reading.errors.clear()


def test_a_tab_that_is_open_takes_the_token_of_a_printed_address(reading: Visit, server: CountingServer) -> None:
    """Going there changes only the fragment, so the page is not loaded again."""
    reading.open()
    reading.page.evaluate("(address) => location.assign(address)", server.address())
    reading.page.wait_for_function("() => !location.hash.includes('token')")
    show_run(reading)
    assert server.token not in reading.page.url


def test_a_link_s_other_parts_are_kept(reading: Visit, server: CountingServer) -> None:
    reading.page.goto(f"{server.address()}&section=attention&word=anna")
    reading.page.wait_for_function("() => location.hash === '#section=attention&word=anna'")
