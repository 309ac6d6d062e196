"""A tab of a browser that visits the built page, and the server that it visits.

Chromium is driven by Playwright. Every request to another host than this machine is refused and kept in mind, and a
test fails where the page tried one, or wrote an error to the console.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from microgpt.lab.server import Handler, Pages, Server

ROOT = Path(__file__).resolve().parents[3]

# What Chromium would otherwise say to others of its own accord, and what a machine without a screen lacks
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
# The folders of the sections in their order
FOLDERS = re.findall(
    r"import\('\./([\w-]+)/", (ROOT / "web" / "src" / "sections" / "index.ts").read_text(encoding="utf-8")
)
SECTIONS = len(FOLDERS)
NAMES = [folder.partition("-")[2] for folder in FOLDERS]  # by which links name them
SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
PATIENCE = 180_000  # ms for whatever a test waits for, on a busy or slow machine
LATER = ("assets/worker-", "pyodide/", "microgpt.zip", "kernel.wasm")  # what the worker is, and what it loads


class CountingHandler(Handler):
    """Notes of each answer how many bytes it took, headers and all."""

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
    """sent: (path, bytes) of the answers so far."""

    def __init__(self, pages: Pages) -> None:
        super().__init__(pages, 0)
        self.RequestHandlerClass = CountingHandler
        self.sent: list[tuple[str, int]] = []


# Counts the questions that the page has not been answered yet: figures are complete when there are none. idle() waits
# for that, and for what the answers change, and for no frame: the urgent task comes after all that was promised
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
Object.defineProperty(globalThis, 'lab', { configurable: true, get: () => client, set: (its) => {
  client = its
  const [ask, stream] = [its.ask.bind(its), its.stream.bind(its)]
  its.ask = (...question) => { const answer = ask(...question); count(answer); return answer }
  its.stream = (...question) => { const events = stream(...question); count(events.ended); return events }
} })
"""
GO = """(fragment) => new Promise((read) => {  // the page's own listener comes before this one
  const before = location.hash
  addEventListener('hashchange', read, { once: true })
  location.hash = fragment
  if (location.hash === before) read()
})"""
SETTLED = """() => {  // answered, drawn, and still nothing asked
  const now = Boolean(document.querySelector('main figure')) && unanswered === 0
  globalThis.quiet = now ? (globalThis.quiet ?? 0) + 1 : 0
  return globalThis.quiet > 5
}"""


class Visit:
    """A browser's tab in a profile of its own, and what it did that it should not."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.address = address
        self.context = browser.new_context(**options)
        self.context.set_default_timeout(PATIENCE)
        self.refused: list[str] = []  # requests to other hosts
        self.errors: list[str] = []  # in the console
        self.context.route(lambda url: urlsplit(url).hostname not in ("127.0.0.1", None), self.refuse)
        self.context.add_init_script(WATCH)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def refuse(self, route: Any) -> None:
        self.refused.append(route.request.url)
        route.abort()

    def open(self, fragment: str = "") -> None:
        self.page.goto(f"{self.address}{fragment}")

    def ready(self, restarts: int = 0) -> dict[str, Any]:
        """Wait until Python answers (after so many restarts) or cannot; gives the client's status."""
        wait = "(n) => new Promise((r) => lab.subscribe((s) => s.state != 'loading' && s.restarts >= n && r(s)))"
        status: dict[str, Any] = self.page.evaluate(wait, restarts)
        return status

    def settle(self) -> None:
        """Wait until every question of the page is answered and drawn."""
        self.page.evaluate("globalThis.quiet = 0")
        self.page.wait_for_function(SETTLED)

    def go(self, **state: object) -> None:
        """Change the address's fragment, as a reader would, and wait until the page has read it."""
        self.page.evaluate(GO, "&".join(f"{name}={value}" for name, value in state.items()))

    def frames(self) -> None:
        """Wait until the page has been drawn twice: what a scroll or a new size leads to is done then."""
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def answers(self) -> None:
        """Wait until the page's own thread takes another task: where it hangs, this fails."""
        self.page.wait_for_function("() => true", polling=100)

    def section(self, at: int, **state: object) -> None:
        """Go to a section, by the address; state: what else its fragment says."""
        self.go(section=at, **state)
        self.page.wait_for_function(
            "(number) => document.querySelector('nav [aria-current=page] .number')?.textContent == number", arg=at
        )
        self.settle()

    def linked(self, part: str) -> str:
        """The address, once it says so: while moments pass, it follows now and then."""
        self.page.wait_for_function("(part) => location.hash.includes(part)", arg=part)
        address: str = self.page.evaluate("location.hash")
        return address

    def ask(self, method: str, **params: Any) -> Any:
        """What the page's client answers. Raises Playwright's Error with the sentence that it rejects with."""
        return self.page.evaluate("([method, params]) => lab.ask(method, params)", [method, params])
