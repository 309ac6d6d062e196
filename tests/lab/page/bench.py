"""The workbench of a tab, driven as a user would."""

from __future__ import annotations

from pathlib import Path

from microgpt.engines.program import REFERENCE

from lab.page.browser import Visit

SECTION = 10
FILE = REFERENCE.text
PATIENCE = 180_000  # ms that Python and a program may take on a busy machine


class Bench:
    """The workbench of a tab."""

    def __init__(self, tab: Visit) -> None:
        self.tab, self.page = tab, tab.page
        tab.context.grant_permissions(["clipboard-read", "clipboard-write"])

    def open(self) -> None:
        self.tab.section(SECTION)
        self.page.locator(".cm-content").wait_for()

    @property
    def text(self) -> str:
        """The exact text of the editor, from the page's state: it is saved as a file and read."""
        with self.page.expect_download() as download:
            self.click("Save the file")
        return Path(download.value.path()).read_bytes().decode()

    def click(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def write(self, source: str) -> None:
        """Replace the text of the editor as a user would: select all, and paste."""
        self.page.evaluate("(text) => navigator.clipboard.writeText(text)", source)
        self.page.locator(".cm-content").focus()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Control+v")

    def wait(self, text: str, where: str = "main") -> None:
        # compared as it is read: any white space is one space, in both texts
        script = """([where, text]) => [...document.querySelectorAll(where)]
          .some((e) => e.textContent.replace(/\\s+/g, ' ').includes(text))"""
        self.page.wait_for_function(script, arg=[where, " ".join(text.split())], timeout=PATIENCE)

    def run(self, source: str) -> None:
        self.write(source)
        self.click("Run")

    def marked(self) -> str:
        """Return the line that is marked as wrong, scrolled into view because the editor renders only visible lines."""
        self.page.locator(".editor").scroll_into_view_if_needed()
        return str(self.page.locator(".cm-wrong").inner_text())
