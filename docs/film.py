"""Film the lab's tour from the built page, with its captions, as a WebM file.

    python docs/film.py [FILE] [--level plain|technical|both] [--word emma]

The script needs the built page (`python hatch_build.py site`), Chromium, Playwright (`pip install playwright`) and
ffmpeg. The tour plays from its first beat to its last, about four minutes, on a stopped clock: pictures are taken at
equal distances of the page's own time, so a slow machine leaves nothing out. FILE is `tour.webm` unless you name
another; its name's ending chooses the format.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from microgpt.lab.server import Pages, Server

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # contains the browser helpers

from lab.page.browser import FLAGS, Visit, installed

SIZE = {"width": 1280, "height": 720}
RATE = 2  # pictures per second of the tour: between two beats, only the slider moves
END = 6000  # ms of the last beat, whose figures the reader plays
STOPPED = 10**7  # ms, where the page's clock stands still


def pictures(browser: Any, address: str, level: str, word: str) -> Iterator[bytes]:
    """Play the tour on a stopped clock; yield PNG files at RATE."""
    visit = Visit(browser, address, viewport=SIZE)
    visit.page.clock.install(time=0)
    visit.open(f"#section=minute&level={level}&word={word}&theme=light&hide=contents,source")
    visit.ready()
    visit.settle()
    visit.go(play="tour", at=0, level=level, word=word, theme="light", hide="contents,source")
    play = visit.page.locator(".tour button.primary")
    play.wait_for()
    visit.settle()
    visit.page.clock.pause_at(STOPPED)
    play.click()
    left = END * RATE // 1000
    while left:
        visit.page.evaluate("idle()")
        yield visit.page.screenshot(animations="disabled")
        visit.page.clock.run_for(1000 // RATE)
        left -= play.get_attribute("aria-label") != "Pause"
    visit.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=Path("tour.webm"))
    parser.add_argument("--level", choices=("plain", "technical", "both"), default="plain")
    parser.add_argument("--word", default="emma")
    options = parser.parse_args()
    ffmpeg = shutil.which("ffmpeg")
    if not ffmpeg:
        sys.exit("ffmpeg was not found (on Debian: apt-get install ffmpeg)")
    path = installed()
    if not path:
        sys.exit("Chromium was not found (on Debian: apt-get install chromium)")
    command = [ffmpeg, "-loglevel", "error", "-y", "-f", "image2pipe", "-framerate", str(RATE), "-c:v", "png"]
    command += ["-i", "-", "-pix_fmt", "yuv420p", "-r", "10", str(options.file)]
    with Server(Pages(), 0) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        with subprocess.Popen(command, stdin=subprocess.PIPE) as film:
            assert film.stdin
            count = 0
            try:
                for picture in pictures(browser, server.url, options.level, options.word):
                    film.stdin.write(picture)
                    count += 1
            except BrokenPipeError:
                pass  # ffmpeg has said why it ended
        browser.close()
        server.shutdown()
    if film.returncode:
        sys.exit(f"ffmpeg failed with exit status {film.returncode}; {options.file} is not complete")
    print(f"{options.file}: {options.file.stat().st_size:,} bytes, {count / RATE:.0f} s")


if __name__ == "__main__":
    main()
