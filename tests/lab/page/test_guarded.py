"""A lab that other machines reach, in a browser: the printed address opens the page, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from microgpt.lab.server import Pages

from lab.served import serving


def test_the_printed_address_opens_the_page_even_from_a_link_on_another_site(chromium: Any, site: Path) -> None:
    """A browser that comes from another site sends no Strict cookie along with a redirect."""
    with serving(Pages(site=site), host="0.0.0.0") as server:
        context = chromium.new_context()
        context.route("http://other.example/", lambda route: route.fulfill(
            content_type="text/html", body=f"<a href='{server.address()}'>open</a>"))  # fmt: skip
        page = context.new_page()
        page.goto("http://other.example/")
        page.click("a")
        page.wait_for_url(server.url)  # without the token
        assert page.evaluate("fetch('snapshot.json').then((response) => response.status)") == 200
        assert page.evaluate("document.cookie") == ""  # no script can read it
        assert context.new_page().goto(server.url).status == 200
        context.close()
        other = chromium.new_context()
        assert other.new_page().goto(server.url).status == 403
        other.close()
