"""Take the README's screenshots of the lab from the built page, in headless Chromium.

    python docs/pictures.py [CHROMIUM]

The script needs the built page (`python hatch_build.py site`), Chromium, and Playwright (`pip install playwright`).
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from microgpt.lab.server import Pages, Server

PICTURES = Path(__file__).parent / "pictures"
SHOTS = {  # the URL fragment, and the element to scroll to the middle of the screen
    "play": ("section=forward&word=emma&play=forward&at=700&theme=dark", "h2"),
    "forward": ("section=forward&word=emma&position=3&number=pos3.layer0.q%5B9%5D&theme=light", "figure"),
    "attention": ("section=attention&word=emma&theme=dark", "figure:nth-of-type(3)"),
    "training": ("section=training&theme=light", "figure"),
}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def wait(page: Page) -> None:
    """Wait until Python is ready in the page."""
    while page.evaluate("lab.status.state") == "loading":
        time.sleep(0.1)
    page.wait_for_timeout(1500)  # until the last responses and the arrows are shown


def main() -> None:
    browser_path = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    PICTURES.mkdir(exist_ok=True)
    with Server(Pages(), 0) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        for name, (fragment, figure) in SHOTS.items():
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.goto(f"http://127.0.0.1:{server.server_port}/#{fragment}")
            wait(page)
            page.locator(f"main {figure}").first.evaluate("figure => figure.scrollIntoView({block: 'center'})")
            page.wait_for_timeout(500)
            page.screenshot(path=PICTURES / f"{name}.png")
            page.close()
        browser.close()
        server.shutdown()


if __name__ == "__main__":
    main()
