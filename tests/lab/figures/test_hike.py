"""The landscapes that the search finds for the two hikers."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest

from microgpt.config import Config, offsets, shapes
from microgpt.engines.scalar import ScalarEngine
from microgpt.tracing import names as tensor_names

from lab.published import names_model
from lab.session_client import Lab

WORD = "emma"


def place(path: str) -> int:
    """Return a weight's index in the flat buffer."""
    known = shapes(Config(), 27)
    name, (row, column) = tensor_names.look_up(path, known)
    return offsets(known)[name].start + row * known[name][1] + column


class Ground:
    """The loss and its slopes over a landscape's two weights, computed by the reference."""

    def __init__(self, tokens: list[int], surface: dict[str, Any]) -> None:
        self.tokens, self.places = tokens, [place(surface[axis]["path"]) for axis in ("x", "y")]

    def look(self, step: dict[str, float]) -> tuple[float, list[float]]:
        params = names_model().params
        params[self.places[0]], params[self.places[1]] = step["x"], step["y"]
        engine = ScalarEngine(params, Config(), 27)
        return engine.backward([self.tokens]), [engine.grads[i] for i in self.places]


@pytest.fixture(params=["ravine", "valleys"])
def found(readonly: Lab, request: pytest.FixtureRequest) -> dict[str, Any]:
    response: dict[str, Any] = readonly.ask("hike", word=WORD, scene=request.param)
    return response


def test_the_surface_has_the_losses_of_the_program(readonly: Lab, found: dict[str, Any]) -> None:
    surface = found["surface"]
    ground = Ground(readonly.ask("forward", word=WORD)["tokens"], surface)
    size = len(surface["x"]["values"])
    for row, column in ((0, 0), (size - 1, 3), (size // 2, size // 2)):
        here = {"x": surface["x"]["values"][column], "y": surface["y"]["values"][row]}
        assert surface["loss"][row * size + column] == pytest.approx(ground.look(here)[0], abs=1e-12)
    assert surface["lowest"]["loss"] == min(surface["loss"])


def test_the_hikers_take_real_steps_from_the_models_weights(readonly: Lab, found: dict[str, Any]) -> None:
    surface, c = found["surface"], Config()
    ground = Ground(readonly.ask("forward", word=WORD)["tokens"], surface)
    sgd, adam = surface["hikers"]
    start = [names_model().params[i] for i in ground.places]
    assert all([h["path"][0]["x"], h["path"][0]["y"]] == start for h in (sgd, adam))
    assert len(sgd["path"]) == len(adam["path"]) == found["steps"] + 1
    for a, b in [*pairwise(sgd["path"])][:6]:
        loss, slopes = ground.look(a)
        assert a["loss"] == pytest.approx(loss, abs=1e-12)
        for axis, slope in zip("xy", slopes):
            assert b[axis] == pytest.approx(a[axis] - sgd["learning_rate"] * slope, abs=1e-12)
    m, v = [0.0, 0.0], [0.0, 0.0]
    for t, (a, b) in enumerate([*pairwise(adam["path"])][:6], 1):
        _, slopes = ground.look(a)
        for i, (axis, g) in enumerate(zip("xy", slopes)):
            m[i] = c.beta1 * m[i] + (1 - c.beta1) * g
            v[i] = c.beta2 * v[i] + (1 - c.beta2) * g * g
            move = m[i] / (1 - c.beta1**t) / (math.sqrt(v[i] / (1 - c.beta2**t)) + c.eps_adam)
            assert b[axis] == pytest.approx(a[axis] - adam["learning_rate"] * move, abs=1e-12)


def test_a_surface_with_the_same_parameters_is_the_same(readonly: Lab, found: dict[str, Any]) -> None:
    sgd, adam = (hiker["learning_rate"] for hiker in found["surface"]["hikers"])
    surface = readonly.ask(
        "surface", word=WORD, x=found["surface"]["x"]["path"], y=found["surface"]["y"]["path"],
        **{name: found[name] for name in ("size", "reach", "steps", "across", "up")}, learning_rate=adam, sgd_rate=sgd,
    )  # fmt: skip
    assert surface["hikers"] == found["surface"]["hikers"]
    assert surface["loss"] == pytest.approx(found["surface"]["loss"], abs=1e-12)


def ways(hiker: dict[str, Any]) -> list[tuple[float, float]]:
    return [(b["x"] - a["x"], b["y"] - a["y"]) for a, b in pairwise(hiker["path"])]


@pytest.mark.parametrize("word", [WORD, "olivia", "zoe"])
def test_in_the_ravine_gradient_descent_overshoots_and_adam_does_not(readonly: Lab, word: str) -> None:
    found = readonly.ask("hike", word=word, scene="ravine")
    surface = found["surface"]
    sgd, adam = surface["hikers"]
    assert found["found"]
    assert surface["lowest"]["inside"]
    assert sgd["on_map"]
    assert adam["on_map"]
    for hiker in (sgd, adam):
        assert hiker["turns"] == sum(a[0] * b[0] + a[1] * b[1] < 0 for a, b in pairwise(ways(hiker)))
    assert sgd["turns"] >= 4
    assert any(b["loss"] > a["loss"] for a, b in pairwise(sgd["path"]))
    assert adam["turns"] == adam["rises"] == 0
    assert surface["lowest"]["loss"] <= sgd["path"][-1]["loss"]
    assert adam["path"][-1]["loss"] < sgd["path"][-1]["loss"]
    assert found["calm"]["learning_rate"] < sgd["learning_rate"]


@pytest.mark.parametrize("word", [WORD, "olivia"])
def test_among_valleys_neither_hiker_ends_at_the_lowest_point(readonly: Lab, word: str) -> None:
    found = readonly.ask("hike", word=word, scene="valleys")
    surface = found["surface"]
    lowest = surface["lowest"]
    assert found["found"]
    for hiker in surface["hikers"]:
        end = hiker["path"][-1]
        assert hiker["on_map"]
        assert lowest["loss"] < end["loss"] < hiker["path"][0]["loss"]
        assert math.dist((end["x"], end["y"]), (lowest["x"], lowest["y"])) > 1


def test_an_engine_that_is_too_slow_to_search_shows_the_steepest_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt.engines.choose.ENGINES", {"scalar": ("scalar", "ScalarEngine")})
    lab = Lab()
    found = lab.ask("hike", word="bo", scene="ravine")
    assert not found["found"]
    assert found["size"] ** 2 == len(found["surface"]["loss"]) < 25**2
