"""Measure how fast the lab's page trains in a browser: steps per second, and the time that "train 1000" takes.

    python benchmarks/lab_speed.py [--rounds 5]

The benchmark needs the built page (`python hatch_build.py site`), Chromium, and Playwright (`pip install playwright`).
The script serves the page and opens it in a fresh profile. Each round starts from random weights and times a run of
1000 steps, from the click to the frame that shows the finished curve. The worker reports its steps per second with each
event; the last one is reported here. The script also measures the time until Python responds and, up to that moment,
the largest contentful paint and the main thread's total blocking time. All figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import threading
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from microgpt.lab.server import Pages, Server
from microgpt.system.hardware import processor

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # contains the browser helpers

from lab.page.browser import FLAGS, Visit

STEPS = 1000

# Record the browser's own performance entries from the start
OBSERVE = """
globalThis.painted = 0
globalThis.tasks = []
new PerformanceObserver((list) => { for (const paint of list.getEntries()) painted = paint.startTime })
  .observe({ type: 'largest-contentful-paint', buffered: true })
new PerformanceObserver((list) => { for (const task of list.getEntries()) tasks.push(task.duration) })
  .observe({ type: 'longtask', buffered: true })
"""


def blocked(tasks: list[float]) -> float:
    """Return the total blocking time of long tasks, in ms."""
    return sum(task - 50 for task in tasks)


# Time from the click to the second frame after the curve shows the last step
CLICK = """async () => {
  const button = (name) => [...document.querySelectorAll('main button')].find((e) => e.textContent.trim() === name)
  const frame = () => new Promise(requestAnimationFrame)
  button('use random weights').click()
  while (!document.querySelector('main p.now')?.textContent.includes('0 of 1,000 steps')) await frame()
  for (let i = 0; i < 10; i++) await frame()
  ;[...document.querySelectorAll('main [role=radio]')].find((e) => e.textContent === 'at once').click()
  let speed = 0
  const stream = lab.stream
  lab.stream = (method, params, onEvent, paced) =>
    stream.call(lab, method, params, (event) => ((speed = event.steps_per_second), onEvent(event)), paced)
  const start = performance.now()
  button('Train 1000 steps').click()
  while (!document.querySelector('main p.now').textContent.includes('1,000 of 1,000 steps')) await frame()
  while (!button('Train 1000 more')) await frame()
  await frame()
  await frame()
  const took = performance.now() - start
  lab.stream = stream
  return [took, speed]
}"""


def start_of(browser: Any, address: str) -> tuple[float, float, float]:
    """Visit the page; return (largest paint in ms, blocking time in ms, seconds until Python responds)."""
    visit = Visit(browser, address)
    visit.context.add_init_script(OBSERVE)
    visit.open()
    status = visit.ready()
    assert status["state"] == "ready", status
    python = visit.page.evaluate("performance.now()") / 1000
    visit.settle()
    painted, tasks = visit.page.evaluate("[painted, tasks]")
    visit.context.close()
    return painted, blocked(tasks), python


def trainings(browser: Any, address: str, rounds: int) -> list[tuple[float, float]]:
    """Train in each round; return (ms from the click to the curve, the worker's steps per second) for each round."""
    visit = Visit(browser, address)
    visit.open("#section=8")
    visit.ready()
    visit.settle()
    visit.page.evaluate(CLICK)  # the first run compiles WebAssembly
    found = [tuple(visit.page.evaluate(CLICK)) for _ in range(rounds)]
    visit.context.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not path:
        sys.exit("Chromium was not found (on Debian: apt-get install chromium)")
    with Server(Pages(), 0) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        print(f"Chromium {browser.version} on {processor()}, {rounds} rounds")
        starts = [start_of(browser, server.url) for _ in range(rounds)]
        runs = trainings(browser, server.url, rounds)
        browser.close()
        server.shutdown()
    painted, busy, python = (statistics.median(times) for times in zip(*starts))
    took, speed = (statistics.median(times) for times in zip(*runs))
    print(f"largest paint                     {painted:10,.0f} ms")
    print(f"main thread blocked, total        {busy:10,.0f} ms")
    print(f"Python responds after             {python:10.1f} s")
    print(f"training, worker only             {speed:10,.0f} steps per second")
    print(f"click to curve, {STEPS:,} steps       {took:10,.0f} ms")


if __name__ == "__main__":
    main()
