"""Few bytes are transferred before Python. benchmarks/lab_speed.py measures how soon the page paints and answers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.page.browser import LATER, SECTIONS, CountingServer, Visit

BUDGET = 300_000  # bytes before Python


@pytest.mark.sampled(4)
@pytest.mark.parametrize("section", range(SECTIONS))
def test_little_is_transferred_before_python(
    visit: Visit, lab_server: CountingServer, section: int, record_property: Callable[[str, object], None]
) -> None:
    visit.page.route(
        "**/pyodide/**", lambda route: None
    )  # Python never loads: all other requests are needed to show the page
    lab_server.sent.clear()
    visit.open(f"#section={section}")
    visit.settle()
    visit.page.unroute_all(behavior="ignoreErrors")
    responses = [(path, size) for path, size in lab_server.sent if not path.startswith(LATER)]
    total = sum(size for _, size in responses)
    record_property("bytes before Python", total)
    assert total < BUDGET, responses
