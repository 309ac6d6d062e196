"""A tab of a browser that visits the built page, and the server that it visits.

Playwright drives Chromium. Every request to another host is refused and recorded; a test fails if the page made such a
request or wrote an error to the console.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from microgpt.lab.server import Handler, Pages, Server

ROOT = Path(__file__).resolve().parents[3]

# Stop Chromium's own network requests, and run on a machine without a screen
FLAGS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")  # the lightest first
# The folders of the sections in their order
FOLDERS = re.findall(
    r"import\('\./([\w-]+)/", (ROOT / "web" / "src" / "sections" / "index.ts").read_text(encoding="utf-8")
)
SECTIONS = len(FOLDERS)
NAMES = [folder.partition("-")[2] for folder in FOLDERS]  # as in links
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
PATIENCE = 180_000  # ms that a test waits at most, on a busy or slow machine
LATER = ("assets/worker-", "pyodide/", "microgpt.zip", "kernel.wasm")  # the worker and the files that it loads


def installed() -> str | None:
    """Return the path of the first of BROWSERS that is installed."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class CountingHandler(Handler):
    """A handler that records the size of each response in bytes, headers included."""

    server: CountingServer

    def flush_headers(self) -> None:
        self.count(sum(map(len, getattr(self, "_headers_buffer", []))))
        super().flush_headers()

    def send(self, kind: str, content: bytes) -> None:
        super().send(kind, content)
        self.count(len(content) * (self.command != "HEAD"))

    def count(self, size: int) -> None:
        self.server.sent.append((self.path.removeprefix("/"), size))


class CountingServer(Server):
    """A server that records its responses: `sent` has the (path, bytes) of each."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(pages, 0)
        self.RequestHandlerClass = CountingHandler
        self.sent: list[tuple[str, int]] = []


# Counts the page's unanswered requests: the figures are complete when there are no more. idle() waits for that and for
# the changes that the responses cause, but not for a frame: the urgent task runs after all pending promises
WATCH = """
let client, waiting = []
globalThis.unanswered = 0
const count = (ended) => { unanswered += 1; ended.catch(() => {}).finally(() => {
  unanswered -= 1
  if (!unanswered) for (const go of waiting.splice(0)) go()
}) }
globalThis.idle = async () => {
  for (;;) {
    await scheduler.postTask(() => {}, { priority: 'user-blocking' })
    if (!unanswered) return
    await new Promise((go) => waiting.push(go))
  }
}
Object.defineProperty(globalThis, 'lab', { configurable: true, get: () => client, set: (value) => {
  client = value
  const [ask, stream] = [value.ask.bind(value), value.stream.bind(value)]
  value.ask = (...request) => { const response = ask(...request); count(response); return response }
  value.stream = (...request) => { const events = stream(...request); count(events.ended); return events }
} })
"""
GO = """(fragment) => new Promise((read) => {  // the page's own listener runs before this one
  const before = location.hash
  addEventListener('hashchange', read, { once: true })
  location.hash = fragment
  if (location.hash === before) read()
})"""
SETTLED = """() => {  // all requests are answered, the figure is rendered, and no new requests follow
  const now = Boolean(document.querySelector('main figure')) && unanswered === 0
  globalThis.quiet = now ? (globalThis.quiet ?? 0) + 1 : 0
  return globalThis.quiet > 5
}"""


# The players that play once by themselves
GREETINGS = sorted(
    name
    for file in (ROOT / "web" / "src").rglob("*.svelte")
    for name in re.findall(r'\bgreets="([\w-]+)"', file.read_text(encoding="utf-8"))
)
# The reader has chosen a level on an earlier visit; a page that is not open yet has no storage
CHOSEN = """try { localStorage.getItem('microgpt.level') ?? localStorage.setItem('microgpt.level', 'both') } catch {}"""
# ... and has seen every player play
RETURNS = f"""{CHOSEN}
try {{ localStorage.setItem('microgpt.greeted', '{" ".join(GREETINGS)}') }} catch {{}}"""


class Visit:
    """A browser tab in its own profile, with a record of its errors and of refused requests.

    `arrives`: the reader has never been here, so the page asks for a level. `greets`: the reader has chosen one, but
    has not seen the players play.
    """

    def __init__(self, browser: Any, address: str, arrives: bool = False, greets: bool = False, **options: Any) -> None:
        self.address = address
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE)
        self.refused: list[str] = []  # requests to other hosts
        self.errors: list[str] = []  # in the console
        self.altered = False  # whether a test has left the page in another state
        self.context.route(lambda url: urlsplit(url).hostname not in ("127.0.0.1", None), self.refuse)
        self.context.add_init_script(WATCH)
        if not arrives:
            self.context.add_init_script(CHOSEN if greets else RETURNS)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def refuse(self, route: Any) -> None:
        self.refused.append(route.request.url)
        route.abort()

    def close(self) -> None:
        """Close the tab, and check that it made no request to another host and wrote no error to the console."""
        self.context.close()
        assert self.refused == [], self.refused
        assert self.errors == [], self.errors

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"{self.address}{fragment}")

    def ready(self, restarts: int = 0) -> dict[str, Any]:
        """Wait until Python is ready, after a number of restarts; return the client's status."""
        status = self.started(restarts)
        assert status["state"] == "ready", status
        return status

    def started(self, restarts: int = 0) -> dict[str, Any]:
        """Wait until Python is ready or has failed, after a number of restarts; return the client's status."""
        wait = "(n) => new Promise((r) => lab.subscribe((s) => s.state != 'loading' && s.restarts >= n && r(s)))"
        status: dict[str, Any] = self.page.evaluate(wait, restarts)
        return status

    def settle(self) -> None:
        """Wait until every request of the page is answered and the responses are rendered."""
        self.page.evaluate("globalThis.quiet = 0")
        self.page.wait_for_function(SETTLED)

    def go(self, **state: object) -> None:
        """Change the fragment of the address, and wait until the page has read it."""
        self.page.evaluate(GO, "&".join(f"{name}={value}" for name, value in state.items()))

    def frames(self) -> None:
        """Wait for two frames: the effects of scrolling or of a new size are complete then."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def responds(self) -> None:
        """Wait until the page's main thread runs another task; this fails if the thread hangs."""
        self.page.wait_for_function("() => true", polling=100)

    def section(self, at: int, **state: object) -> None:
        """Go to a section by its address; `state` is the rest of the fragment."""
        self.go(section=at, **state)
        self.page.wait_for_function(
            "(number) => document.querySelector('nav [aria-current=page] .number')?.textContent == number", arg=at
        )
        self.settle()

    def unfold(self, details: Any) -> None:
        """Open what folds: an earlier test in this tab may have opened it, and the page keeps some open."""
        if not details.evaluate("(e) => e.open"):
            details.locator("summary").click()

    def linked(self, part: str) -> str:
        """Wait until the address contains a text, and return its fragment: playback updates it only now and then."""
        self.page.wait_for_function("(part) => location.hash.includes(part)", arg=part)
        address: str = self.page.evaluate("location.hash")
        return address

    def ask(self, method: str, **params: Any) -> Any:
        """Return the response of the page's client; an error is Playwright's Error with the client's message."""
        return self.page.evaluate("([method, params]) => lab.ask(method, params)", [method, params])
