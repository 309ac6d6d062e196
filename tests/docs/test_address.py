"""The README that a release publishes: no link in it is relative, and each leads to a file that exists."""

from __future__ import annotations

import re
import runpy
from typing import Any

import pytest

from conftest import ROOT

ADDRESS = "https://example.org/somebody/microgpt"
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "docs" / "address.py"))


def test_a_release_has_no_relative_links(address: dict[str, Any]) -> None:
    published = address["published"](README, ADDRESS)
    assert address["LINK"].findall(README)
    assert address["LINK"].findall(published) == []
    for kind, path in re.findall(rf"\({ADDRESS}/(raw|blob)/main/([^)#]+)", published):
        assert (ROOT / path).exists(), path
        assert (kind == "raw") == path.endswith((".png", ".webp"))
    assert f"git clone {ADDRESS}\ncd microgpt\n" in published
    assert address["CLONE"] in README
    assert address["CLONE"] not in published


def test_links_to_other_sites_and_within_the_page_stay(address: dict[str, Any]) -> None:
    text = "[a](https://example.com/x) [b](#files) ![c](docs/pictures/play.png)"
    expected = f"[a](https://example.com/x) [b](#files) ![c]({ADDRESS}/raw/main/docs/pictures/play.png)"
    assert address["published"](text, ADDRESS) == expected


@pytest.mark.parametrize("wrong", ["", "https://example.org", "http://example.org/a/b", "https://example.org/a/b/"])
def test_a_release_without_an_address_is_refused(address: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=r"^ADDRESS in docs/address\.py must be an https address"):
        address["published"](README, wrong)
