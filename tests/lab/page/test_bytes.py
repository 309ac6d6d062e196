"""A run whose tokens are bytes, on the page: the model can read any letter."""

from __future__ import annotations

from pathlib import Path

from lab.page.browser import Visit
from lab.runs import byte_run


def test_the_page_accepts_any_letter_if_tokens_are_bytes(visit: Visit, tmp_path: Path) -> None:
    visit.open("#section=10")
    visit.ready()
    files = visit.page.locator("input[accept='.safetensors,.jsonl']")
    files.set_input_files(byte_run.train(tmp_path) / "run" / "model.safetensors")
    visit.page.locator("main [role=status]", has_text="All figures now show").wait_for()
    visit.section(6)
    visit.page.get_by_label("new word", exact=True).fill("zoë 日")
    visit.settle()
    assert "The model cannot read “" not in visit.page.locator("body").inner_text()
    visit.page.get_by_role("button", name="add", exact=True).click()
    visit.page.locator("[data-path='loss zoë 日']").wait_for()
