"""The page opens on the model that learned the names on show; the published model is one click away."""

from __future__ import annotations

from lab.page.browser import Visit

OTHER, BACK = "published model", "back to the names"


def test_the_published_model_is_one_click_away_and_says_what_it_is(visit: Visit) -> None:
    visit.open()
    visit.ready()
    assert visit.ask("model")["run"] == "names"
    visit.page.get_by_role("button", name=OTHER).click()
    visit.page.get_by_text("It learned other names, which are not here.").wait_for()
    visit.settle()
    model = visit.ask("model")
    assert (model["run"], model["own_text"]) == ("published", False)
    assert "run=published" in visit.page.evaluate("location.hash")
    visit.page.get_by_role("button", name=BACK).click()
    visit.page.get_by_role("button", name=OTHER).wait_for()
    visit.settle()
    assert visit.ask("model")["run"] == "names"
    assert "run=" not in visit.page.evaluate("location.hash")


def test_a_link_opens_the_published_model(visit: Visit) -> None:
    visit.open("#section=parameters&run=published")
    visit.page.get_by_role("button", name=BACK).wait_for()
    visit.settle()
    assert visit.ask("model")["run"] == "published"
    assert "run=published" in visit.page.evaluate("location.hash")


def test_the_weights_in_the_browser_are_those_of_the_file_and_its_run_can_be_repeated(visit: Visit) -> None:
    visit.open()
    visit.ready()
    first = visit.ask("parameters")["tensors"]
    assert visit.ask("scrub", step=10)["step"] == 10  # the run is repeated, and must end with the file's weights
    assert visit.ask("scrub", step=1000)["step"] == 1000
    assert visit.ask("parameters")["tensors"] == first
