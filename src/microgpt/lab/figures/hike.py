"""Search for two weights over which a word's loss is a landscape that teaches something.

Over most pairs of weights the loss is almost a plane. The search computes real losses and real steps and picks the pair
that shows its scene best:

- `ravine`: the lowest point is inside the map, gradient descent overshoots, and Adam neither overshoots nor ends
  higher.
- `valleys`: both hikers settle in a valley that isn't the lowest point of the map.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from microgpt.engines.base import Tokens
from microgpt.lab.figures import loss_surface
from microgpt.lab.figures.loss_surface import Plane, Point, rises, turns
from microgpt.lab.protocol.choices import Landscape
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.tracing.names import parameter_path

if TYPE_CHECKING:
    from microgpt.lab.protocol.training import Calm, Hike, HikerStep, Surface
    from microgpt.lab.session import Session

WEIGHTS = 120  # the weights with the largest gradients, along which the search looks
SAMPLES = 13  # the losses along each of these weights
PAIRS = 14  # the most promising pairs over a ravine, which the hikers try
PRODUCTS, COARSE, FINALISTS = 100, 9, 12  # pairs that are multiplied, the grid that looks for their valleys, the best
STEPS = {"ravine": 24, "valleys": 60}
REACH = {"ravine": 3.0, "valleys": 4.0}  # how far the search looks along a weight
SIZE = 25  # the grid points along each axis of the map
ADAM_RATES = (0.03, 0.05, 0.08, 0.12, 0.2)
SGD_FACTORS = (1.5, 1.75, 2.0, 2.25, 2.5, 3.0)  # in units of 1 / curvature of the steeper weight
VALLEY_RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
CALM_RATES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)  # as shares of the rate that is shown
LOOKS = 16_000  # the losses that a search computes, at most
MARGIN = 0.05  # the least difference that counts as one, as a share of the descent


class Profile(NamedTuple):
    """The loss along one weight.

    Attributes:
        weight: The weight's index in the flat buffer.
        bottom: How far the valley's bottom is from the model's value.
        curvature: The second derivative of the loss at the bottom.
    """

    weight: int
    bottom: float
    curvature: float


class Try(NamedTuple):
    """Two hikers' paths over a pair of weights, and how well they show the scene."""

    score: float
    pair: tuple[int, int]
    sgd_rate: float
    adam_rate: float
    sgd: list[HikerStep]
    adam: list[HikerStep]


@model_request
def hike(session: Session, word: str, scene: Landscape) -> Hike:
    """Find two weights over which the word's loss shows the scene, and return the surface and the hikers' paths.

    If the search finds none, or the engine is too slow to search, the response shows the two steepest weights, and
    `found` is false.

    Args:
        session: The session.
        word: The word whose loss is computed.
        scene: What the landscape has to show.
    """
    run, tokens = session.active, session.tokens(word)
    slopes = _slopes(run, tokens)
    steepest = _steepest(range(len(slopes)), slopes, WEIGHTS)
    plane = Plane(run, tokens, *steepest[:2])
    steps, size, tries = STEPS[scene], SIZE, []
    budget = loss_surface.affordable(run, tokens)
    if budget > LOOKS:
        tries = [*(_ravine(plane, steepest) if scene == "ravine" else _valleys(plane, run, slopes))]
    elif 2 * steps + size * size > budget:
        size, steps = max(5, math.isqrt(budget // 2)), max(8, budget // 4)
    for found in (*sorted(tries, key=lambda one: -one.score)[:FINALISTS], None):
        pair = found.pair if found else (steepest[0], steepest[1])
        plane.turn_to(*pair)
        reach, middle = _frame(plane, found, scene)
        adam_rate, sgd_rate = (found.adam_rate, found.sgd_rate) if found else (0.05, None)
        names = (parameter_path(pair[0], run.shapes), parameter_path(pair[1], run.shapes))
        surface = loss_surface.draw(plane, names, size, reach, middle, steps, adam_rate, sgd_rate)
        if found and _shows(scene, surface):
            break
    return {
        "found": found is not None,
        "scene": scene,
        "size": size,
        "reach": reach,
        "across": middle[0],
        "up": middle[1],
        "steps": steps,
        "weights": len(steepest),
        "calm": _calm(plane, surface["hikers"][0]["learning_rate"], steps),
        "surface": surface,
    }


def _shows(scene: Landscape, surface: Surface) -> bool:
    """Return whether the surface has everything that the scene promises."""
    sgd, adam = surface["hikers"]
    ends = [hiker["path"][-1]["loss"] for hiker in (sgd, adam)]
    if not (sgd["on_map"] and adam["on_map"]):
        return False
    if scene == "valleys":
        return surface["lowest"]["loss"] < min(ends)
    calm = not adam["rises"] and not adam["turns"] and ends[1] < ends[0]
    return surface["lowest"]["inside"] and sgd["rises"] > 0 and sgd["turns"] > 0 and calm


def _calm(plane: Plane, rate: float, steps: int) -> Calm | None:
    """Return the rate at which gradient descent ends lowest, of those tried at which it never goes uphill or back."""
    best = _best((plane.sgd(steps, rate * share), rate * share) for share in CALM_RATES)
    return {"learning_rate": best[1], "loss": best[0][-1]["loss"]} if best else None


def _slopes(run: LabRun, tokens: Tokens) -> list[float]:
    engine = run.scratch()
    engine.backward([tokens])
    return [abs(g) for g in engine.grads]


def _steepest(weights: Sequence[int], slopes: Sequence[float], count: int) -> list[int]:
    return sorted(weights, key=lambda i: -slopes[i])[:count]


def _profile(plane: Plane, weight: int, steepest: Sequence[int]) -> Profile:
    plane.turn_to(weight, steepest[0] if weight != steepest[0] else steepest[1])
    (x, y), reach = plane.start, REACH["ravine"]
    step = 2 * reach / (SAMPLES - 1)
    losses = [plane.loss(x - reach + i * step, y) for i in range(SAMPLES)]
    i = _descend(losses)
    bend = losses[i - 1] - 2 * losses[i] + losses[i + 1] if 0 < i < SAMPLES - 1 else 0.0
    if not bend > 0:
        return Profile(weight, math.inf, 0.0)
    a, _, c = losses[i - 1 : i + 2]
    return Profile(weight, -reach + (i + (a - c) / (2 * bend)) * step, bend / step**2)


def _descend(losses: Sequence[float]) -> int:
    """Return the sample at the bottom of the valley in which the middle one lies."""
    i = len(losses) // 2
    while 0 < i < len(losses) - 1:
        lower = min((i - 1, i + 1), key=losses.__getitem__)
        if not losses[lower] < losses[i]:
            break
        i = lower
    return i


def _ravine(plane: Plane, steepest: Sequence[int]) -> Iterator[Try]:
    profiles = [_profile(plane, weight, steepest) for weight in steepest]
    floors = [p for p in profiles if p.curvature > 0 and 0.2 < abs(p.bottom) < 2.5]
    steep = sorted((p for p in floors if abs(p.bottom) < 1.5), key=lambda p: -p.curvature)[:12]
    gentle = [p for p in floors if abs(p.bottom) > 0.9]
    pairs = [(a, b) for a in steep for b in gentle if a.weight != b.weight and a.curvature > 6 * b.curvature]
    for a, b in sorted(pairs, key=lambda pair: -_promise(*pair))[:PAIRS]:
        plane.turn_to(a.weight, b.weight)
        adam = _best((plane.adam(STEPS["ravine"], rate), rate) for rate in ADAM_RATES)
        if adam is None:
            continue
        end, start = adam[0][-1]["loss"], adam[0][0]["loss"]
        if not end < start:
            continue
        for factor in SGD_FACTORS:
            path = plane.sgd(STEPS["ravine"], factor / a.curvature)
            margin = (path[-1]["loss"] - end) / (start - end)
            if turns(path) < 4 or not rises(path) or margin < MARGIN or not _stays(path, plane.start, REACH["ravine"]):
                continue
            swing = max(_extent(path, "x"), 1e-9) / max(_extent(path, "y"), 1e-9)
            score = min(margin, 0.4) + 0.5 * min(turns(path), 10) / 10 - 0.3 * abs(math.log(swing))
            yield Try(score, (a.weight, b.weight), factor / a.curvature, adam[1], path, adam[0])


def _promise(steep: Profile, gentle: Profile) -> float:
    """Rate a pair by its profiles: a long way along the gentle weight, and floors that are far apart in steepness."""
    return min(steep.curvature / gentle.curvature, 25) * min(abs(gentle.bottom) / abs(steep.bottom), 3)


def _best(paths: Iterator[tuple[list[HikerStep], float]]) -> tuple[list[HikerStep], float] | None:
    """Return the path that ends lowest among those that always lead downhill and never turn back, with its rate."""
    calm = [(path, rate) for path, rate in paths if not rises(path) and not turns(path)]
    return min(calm, key=_end, default=None)


def _end(one: tuple[list[HikerStep], float]) -> float:
    return one[0][-1]["loss"]


def _valleys(plane: Plane, run: LabRun, slopes: Sequence[float]) -> Iterator[Try]:
    reach = REACH["valleys"]
    found = []
    for pair in _products(run, slopes)[:PRODUCTS]:
        plane.turn_to(*pair)
        axes = [[start + reach * (2 * i / (COARSE - 1) - 1) for i in range(COARSE)] for start in plane.start]
        heights = [plane.loss(x, y) for y in axes[1] for x in axes[0]]
        bottom = loss_surface.lowest(axes, heights)
        end = _roll(heights)
        low = min(heights)
        gap = (heights[end] - low) / (heights[len(heights) // 2] - low or math.inf)
        if gap > MARGIN:
            found.append((gap + bottom["inside"], pair, low))
    for promise, pair, low in sorted(found, reverse=True)[:FINALISTS]:
        plane.turn_to(*pair)
        sgd = [(plane.sgd(STEPS["valleys"], rate), rate) for rate in VALLEY_RATES]
        adam = [(plane.adam(STEPS["valleys"], rate), rate) for rate in ADAM_RATES[1:]]
        rested = [
            [one for one in ways if _rests(one[0]) and not turns(one[0]) and _stays(one[0], plane.start, 0.95 * reach)]
            for ways in (sgd, adam)
        ]
        if not all(rested):
            continue
        (sgd_path, sgd_rate), (adam_path, adam_rate) = (min(ways, key=_end) for ways in rested)
        ends, start = min(sgd_path[-1]["loss"], adam_path[-1]["loss"]), sgd_path[0]["loss"]
        gap = (ends - low) / (start - low)
        if gap > MARGIN:
            yield Try(gap + (promise > 1), pair, sgd_rate, adam_rate, sgd_path, adam_path)


def _products(run: LabRun, slopes: Sequence[float]) -> list[tuple[int, int]]:
    """Return pairs of weights that the program multiplies with each other, the steepest first.

    The first weight computes a number from a vector, and the second takes this number to another vector. Only their
    product counts, so both can grow or both can fall: the loss often has a valley on either side.
    """
    pairs = []
    for layer in range(run.config.n_layer):
        for before, after in (("attn_wv", "attn_wo"), ("mlp_fc1", "mlp_fc2")):
            first, second = f"layer{layer}.{before}", f"layer{layer}.{after}"
            if first not in run.shapes or second not in run.shapes:
                continue
            rows, columns = run.shapes[first]
            others, width = run.shapes[second]
            places = run.model.offsets
            for unit in range(min(rows, width)):
                start = places[first].start + unit * columns
                inputs = range(start, start + columns)
                outputs = range(places[second].start + unit, places[second].start + others * width, width)
                pairs += [(a, b) for a in _steepest(inputs, slopes, 2) for b in _steepest(outputs, slopes, 2)]
    return sorted(pairs, key=lambda pair: -slopes[pair[0]] * slopes[pair[1]])


def _roll(heights: Sequence[float]) -> int:
    """Return where a ball comes to rest that rolls from the grid's middle to the lowest neighbour, again and again."""
    at = len(heights) // 2
    while True:
        row, column = divmod(at, COARSE)
        near = [
            r * COARSE + c
            for r in range(max(0, row - 1), min(COARSE, row + 2))
            for c in range(max(0, column - 1), min(COARSE, column + 2))
        ]
        lower = min(near, key=heights.__getitem__)
        if not heights[lower] < heights[at]:
            return at
        at = lower


def _rests(path: Sequence[HikerStep]) -> bool:
    """Return whether a hiker hardly moves any more."""
    descent = path[0]["loss"] - path[-1]["loss"]
    return descent > 0 and abs(path[-6]["loss"] - path[-1]["loss"]) < 0.01 * descent


def _stays(path: Sequence[HikerStep], start: Point, reach: float) -> bool:
    return all(abs(step["x"] - start[0]) < reach and abs(step["y"] - start[1]) < reach for step in path)


def _extent(path: Sequence[HikerStep], axis: str) -> float:
    values = [step["x"] if axis == "x" else step["y"] for step in path]
    return max(values) - min(values)


def _frame(plane: Plane, found: Try | None, scene: Landscape) -> tuple[float, Point]:
    """Return the map's reach and middle: a square around both paths, or everything that the search looked at."""
    if not found or scene == "valleys":
        return REACH[scene], (0.0, 0.0)
    steps = [*found.sgd, *found.adam]
    spans = [
        (min(values) - start, max(values) - start)
        for values, start in zip(([s["x"] for s in steps], [s["y"] for s in steps]), plane.start)
    ]
    reach = max(high - low for low, high in spans) / 2 * 1.35
    return reach, ((spans[0][0] + spans[0][1]) / 2, (spans[1][0] + spans[1][1]) / 2)
