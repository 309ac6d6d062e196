"""Take the README's pictures of the lab from the built page: short loops of figures that move, and a screenshot.

    python docs/pictures.py [NAME...]

The script needs the built page (`python hatch_build.py site`), Chromium, Playwright and Pillow (`pip install playwright
pillow`). Without a NAME, it takes all pictures. A loop is captured frame by frame on a stopped clock, so that a
slow machine leaves no frame out, and is saved as an animated WebP of less than 500,000 bytes.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from playwright.sync_api import sync_playwright

from microgpt.lab.server import Pages, Server

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # contains the browser helpers

from lab.page.browser import FLAGS, Visit, installed
from lab.page.motion import ARRIVAL, BLAME, HIKERS, SHUFFLE, SPOTLIGHT, Case, Mover, opened

PICTURES = Path(__file__).parent / "pictures"
LARGEST = 500_000  # bytes of a loop
FRAME = 60  # ms
PAUSE = 2500  # ms at the end of a loop
COLOURS = (256, 128, 64, 32)  # of a loop, the most first
SAMPLES = 8  # pictures that the colours are chosen from
STOPPED = 10**7  # ms, where the page's clock stands still
HIDDEN = "bar,contents,source,captions"  # a loop shows the figure alone, about as wide as a README
SCALE = 1.5  # pixels of a loop per pixel of the page
NARROW = {"width": 800, "height": 1400}
WIDE = {"width": 1440, "height": 900}
SCREENSHOT = ("play", "section=forward&word=emma&play=forward&at=700&level=both&theme=light")


class Loop(NamedTuple):
    """A player, from a moment to its end."""

    case: Case
    begin: int = 0  # the moment
    speed: str = "1×"  # of the player


LOOPS = [
    Loop(ARRIVAL, speed="2×"),
    Loop(SHUFFLE),
    Loop(BLAME),
    Loop(SPOTLIGHT),
    Loop(HIKERS, speed="2×"),
]


class Film(NamedTuple):
    """Different pictures in order, and how many milliseconds each of them is shown."""

    pictures: list[Image.Image]
    durations: list[int]

    def add(self, picture: Image.Image, ms: int) -> None:
        if self.pictures and self.pictures[-1].tobytes() == picture.tobytes():
            self.durations[-1] += ms
        else:
            self.pictures.append(picture)
            self.durations.append(ms)

    def palette(self, colours: int) -> Image.Image:
        """Return an image with the colours that suit the pictures best."""
        chosen = self.pictures[:: max(1, len(self.pictures) // SAMPLES)]
        width, height = chosen[0].size
        all_of_them = Image.new("RGB", (width, height * len(chosen)))
        for i, one in enumerate(chosen):
            all_of_them.paste(one, (0, i * height))
        return all_of_them.quantize(colours, dither=Image.Dither.NONE)

    def encoded(self, colours: int) -> bytes:
        """Return the pictures as an animated WebP without loss but for the number of colours."""
        palette = self.palette(colours)
        first, *rest = (one.quantize(palette=palette, dither=Image.Dither.NONE).convert("RGB") for one in self.pictures)
        file = io.BytesIO()
        every = {"save_all": True, "append_images": rest, "duration": self.durations, "loop": 0}
        # text stays sharp, and one key frame is enough
        first.save(file, "WEBP", **every, lossless=True, method=4, quality=75, kmin=9998, kmax=9999)
        return file.getvalue()

    def save(self, path: Path) -> None:
        """Save the pictures with as many colours as there is room for."""
        for colours in COLOURS:
            content = self.encoded(colours)
            if len(content) < LARGEST:
                path.write_bytes(content)
                seconds = sum(self.durations) / 1000
                print(f"{path.name}: {len(content):,} bytes, {seconds:.1f} s, {len(self.pictures)} frames, {colours=}")
                return
        raise ValueError(f"{path.name} has {len(content):,} bytes even in {colours} colours; at most {LARGEST:,}")


def picture(page: Any, **options: Any) -> Image.Image:
    """Return what the page shows; whatever the browser animates by itself has arrived."""
    return Image.open(io.BytesIO(page.screenshot(animations="disabled", **options))).convert("RGB")


def frames(mover: Mover, loop: Loop) -> Iterator[tuple[Image.Image, int]]:
    """Play a figure on a stopped clock; yield its pictures, and how long each of them is shown."""
    speed = mover.player.locator("button").last
    while speed.inner_text() != loop.speed:
        speed.click()
    mover.scrub(mover.last)
    box = mover.figure.bounding_box()  # some figures grow
    mover.scrub(loop.begin)
    mover.page.mouse.move(0, 0)
    mover.press("Play")
    mover.play_button.evaluate("(button) => button.blur()")
    while mover.plays:
        yield picture(mover.page, clip=box), FRAME
        mover.run(FRAME)
    yield picture(mover.page, clip=box), PAUSE


def take_loop(browser: Any, address: str, loop: Loop) -> None:
    visit = Visit(browser, address, viewport=NARROW, device_scale_factor=SCALE)
    visit.page.clock.install(time=0)
    visit.open(f"#level=both&theme=light&hide={HIDDEN}&section={loop.case.section}")
    visit.ready()
    visit.settle()
    mover = opened(visit, loop.case)
    visit.page.clock.pause_at(STOPPED)
    film = Film([], [])
    for image, ms in frames(mover, loop):
        film.add(image, ms)
    visit.close()
    film.save(PICTURES / f"{loop.case.name}.webp")


def take_screenshot(browser: Any, address: str, name: str, fragment: str) -> None:
    visit = Visit(browser, address, viewport=WIDE)
    visit.open(f"#{fragment}")
    visit.ready()
    visit.settle()
    picture(visit.page).save(PICTURES / f"{name}.png", optimize=True)
    visit.close()


def main() -> None:
    names = sys.argv[1:]
    path = installed()
    if not path:
        sys.exit("Chromium was not found (on Debian: apt-get install chromium)")
    PICTURES.mkdir(exist_ok=True)
    with Server(Pages(), 0) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        browser = driver.chromium.launch(executable_path=path, args=FLAGS)
        for loop in LOOPS:
            if not names or loop.case.name in names:
                take_loop(browser, server.url, loop)
        if not names or SCREENSHOT[0] in names:
            take_screenshot(browser, server.url, *SCREENSHOT)
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
