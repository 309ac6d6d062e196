"""Measure the work that the lab's page does in each frame while its figures play, on a processor made slower.

    python benchmarks/frame_speed.py [NAME...] [--slower 4] [--limit 50]

The benchmark needs the built page (`python hatch_build.py site`), Chromium, and Playwright (`pip install playwright`).
Each player of the page plays once in real time, from its first moment to its last, at its usual speed; then the tour
plays, with its captions cut to a second each (NAME is a player's, or `tour`). Chromium traces the tasks of the page's
main thread: scripts, styles, layout and painting. A frame is what happens between two calls of requestAnimationFrame,
and its work is the processor time of all tasks that began in it. With more than 50 ms of work, what moves stands still
long enough to be seen. Waiting for the worker, in which Python computes, is no work of this thread.

Chromium slows down this thread alone. Processor time leaves out the time in which other processes had the processor;
they still make it longer, because they share caches and cores. The command also prints the longest time that a frame's
work took by the clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import sync_playwright

from microgpt.lab.server import Pages, Server
from microgpt.system.hardware import processor

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # contains the browser helpers

from lab.page.browser import FLAGS, SIZES, Visit, installed
from lab.page.motion import CASES, Mover, show
from lab.page.playhead import BEATS

BEAT = 1000  # ms that each beat of the tour is shown
CATEGORIES = ["toplevel", "blink.user_timing", "devtools.timeline"]
# Marks the start of each frame until the player's button says that it has ended
MARK = """(button) => {
  const mark = () => {
    performance.mark('frame')
    if (button.getAttribute('aria-label') === 'Pause') requestAnimationFrame(mark)
    else requestAnimationFrame(() => requestAnimationFrame(() => { globalThis.over = true }))
  }
  globalThis.over = false
  button.click()
  requestAnimationFrame(mark)
}"""
# Marks the frames of the tour, whose beats the script turns
TOUR = """async ([beats, ms]) => {
  let goes = true
  const mark = () => {
    performance.mark('frame')
    if (goes) requestAnimationFrame(mark)
  }
  mark()
  const step = [...document.querySelectorAll('.tour .player button')].at(2)
  for (let at = 1; at < beats; at++) {
    await new Promise((go) => setTimeout(go, ms))
    step.click()
  }
  await new Promise((go) => setTimeout(go, ms))
  goes = false
}"""


class Work(NamedTuple):
    """The main thread's work in a frame, in ms."""

    processor: float
    clock: float


def tasks_of(events: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[float]]:
    """Return the main thread's tasks, and the times (in µs) at which frames began."""
    marks = [event for event in events if event["name"] == "frame" and event.get("ph") in ("R", "I", "n")]
    thread = {(event["pid"], event["tid"]) for event in marks}
    tasks = [
        event
        for event in events
        if event["name"].endswith("RunTask") and event.get("ph") == "X" and (event["pid"], event["tid"]) in thread
    ]
    return tasks, sorted(event["ts"] for event in marks)


def work(events: list[dict[str, Any]]) -> list[Work]:
    """Return the work of each frame of a trace."""
    tasks, starts = tasks_of(events)
    found = [[0.0, 0.0] for _ in starts]
    # a mark is set inside the task that begins the frame
    begins = [
        max((t["ts"] for t in tasks if t["ts"] <= start <= t["ts"] + t["dur"]), default=start) for start in starts
    ]
    for task in tasks:
        at = sum(begin <= task["ts"] for begin in begins) - 1
        if at >= 0:
            found[at][0] += task.get("tdur", 0) / 1000
            found[at][1] += task["dur"] / 1000
    return [Work(*times) for times in found[:-1]]  # nothing ends the last frame


class Traced:
    """A tab on a slower processor, whose tasks can be traced."""

    def __init__(self, browser: Any, visit: Visit, slower: float) -> None:
        self.browser, self.visit, self.page, self.slower = browser, visit, visit.page, slower
        self.processor = visit.context.new_cdp_session(visit.page)
        self.trace = b""  # the last one, as JSON

    def start(self) -> None:
        self.processor.send("Emulation.setCPUThrottlingRate", {"rate": self.slower})
        self.browser.start_tracing(page=self.page, categories=CATEGORIES)

    def stop(self) -> list[Work]:
        self.processor.send("Emulation.setCPUThrottlingRate", {"rate": 1})
        self.trace = self.browser.stop_tracing()
        return work(json.loads(self.trace)["traceEvents"])

    def player(self, mover: Mover) -> list[Work]:
        mover.scrub(0)
        mover.centre()
        self.start()
        mover.play_button.evaluate(MARK)
        self.page.wait_for_function("() => globalThis.over", polling=500)
        return self.stop()

    def tour(self) -> list[Work]:
        self.visit.go(play="tour", at=0, word="emma", level="plain")
        self.page.locator("main figure").first.wait_for()
        self.visit.settle()
        self.start()
        self.page.evaluate(TOUR, [BEATS, BEAT])
        return self.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="players, or tour; all if none is given")
    parser.add_argument("--slower", type=float, default=4, help="how many times slower the processor is")
    parser.add_argument("--limit", type=float, default=50, help="the most ms of work that a frame may do")
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="keep the traces, for the browser's own tools")
    options = parser.parse_args()
    path = installed()
    if not path:
        sys.exit("Chromium was not found (on Debian: apt-get install chromium)")
    with Server(Pages(), 0) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        print(f"Chromium {browser.version} on {processor()}, {options.slower:g} times slower")
        print(f"player      frames    median     worst   worst by the clock   more than {options.limit:g} ms")
        visit = Visit(browser, server.url, viewport=SIZES["wide"])
        visit.open()
        visit.ready()
        visit.settle()
        traced = Traced(browser, visit, options.slower)
        for name in [*(case.name for case in CASES), "tour"]:
            if options.names and name not in options.names:
                continue
            case = next((case for case in CASES if case.name == name), None)
            found = traced.player(show(visit, case)) if case else traced.tour()
            times = [one.processor for one in found]
            clock = max(one.clock for one in found)
            above = sum(time > options.limit for time in times) or "none"
            row = f"{name:10} {len(found):7} {statistics.median(times):6.1f} ms {max(times):6.0f} ms"
            print(f"{row} {clock:17.0f} ms {above:>15}", flush=True)
            if options.save:
                options.save.mkdir(parents=True, exist_ok=True)
                (options.save / f"{name}.json").write_bytes(traced.trace)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
