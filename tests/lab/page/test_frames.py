"""The work in each frame while the page moves, on a clock that the test turns: requests and changed elements."""

from __future__ import annotations

import pytest

from lab.page.browser import Visit
from lab.page.playhead import Head

PACE = 700  # ms per moment, at speed 1
MOMENTS = 40
CHANGES = 600  # nodes and attributes that a moment may change; drawing the whole section takes thousands

COUNT = """() => {
  globalThis.work = { requests: 0, changes: 0 }
  const ask = lab.ask.bind(lab)
  lab.ask = (...question) => { work.requests += 1; return ask(...question) }
  const changed = (records) => {
    for (const { addedNodes, removedNodes, type } of records)
      work.changes += type === 'childList' ? addedNodes.length + removedNodes.length : 1
  }
  const watcher = new MutationObserver(changed)
  watcher.observe(document.body, { subtree: true, childList: true, attributes: true, characterData: true })
  globalThis.worked = () => {
    changed(watcher.takeRecords())
    const done = work
    globalThis.work = { requests: 0, changes: 0 }
    return done
  }
}"""


@pytest.fixture
def clocked(visit: Visit) -> Visit:
    """A tab in which Python is ready, and whose clock a test can stop."""
    visit.page.clock.install(time=0)
    visit.open()
    visit.ready()
    return visit


@pytest.mark.parametrize("chapter", ["tokens", "forward", "backward", "adam"])
def test_a_moment_that_plays_is_one_step_and_little_work(clocked: Visit, chapter: str) -> None:
    head, page = Head(clocked), clocked.page
    head.open(chapter)
    page.clock.pause_at(10**7)
    page.evaluate(COUNT)
    head.press("Play")
    page.evaluate("idle()")
    page.evaluate("worked()")
    most, at = {"requests": 0, "changes": 0}, head.at
    for _ in range(MOMENTS):
        page.clock.run_for(PACE - 1)
        assert head.at == at  # not before its time
        page.clock.run_for(1)
        page.evaluate("idle()")
        done = page.evaluate("worked()")
        most = {name: max(most[name], done[name]) for name in most}
        if at == head.last:
            break
        assert head.at > at
        at = head.at
    print(f"{chapter}: at most {most} in a moment")
    assert most["requests"] <= 1
    assert most["changes"] <= CHANGES
