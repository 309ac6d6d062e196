"""The guess of the next token, and how it changes when a part of the model is missing.

The program's own functions compute every guess, at temperature 1. A part is taken away in one of two ways. What
attention's heads, or the MLP's units, contribute is taken away in a copy of the weights: the column of `attn_wo` or
`mlp_fc2` that reads the number is set to zero. What happens inside one head is changed as the program calls
`attention()`: its scores are multiplied, or one entry of its lists is left out.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

from microgpt.engines.base import Engine
from microgpt.engines.program import ScalarModel
from microgpt.engines.scalar import scalar_arithmetic
from microgpt.errors import LabError
from microgpt.lab.editing.edited import Names, need
from microgpt.lab.figures.examples import examples
from microgpt.lab.requests import model_request
from microgpt.lab.runs.run import LabRun
from microgpt.lab.runs.texts import label, read
from microgpt.tracing.recorder import Recorder, Tensor, forward

if TYPE_CHECKING:
    from microgpt.lab.protocol.figures import (
        Attending,
        DecidingHead,
        DecidingHeads,
        Guesses,
        GuessesOnTheWay,
        Missed,
        StageGuess,
    )
    from microgpt.lab.session import Session

READS = {"x_attn": "attn_wo", "mlp_act": "mlp_fc2"}  # a part's numbers, and the matrix that reads them
DECISIONS = 4  # the largest number of guesses that one head decides
STAGES = ("resid_pre", "resid_mid", "resid_post")


@model_request
def guesses(session: Session, word: str) -> Guesses:
    """Return the probabilities of the next token at every position, and those before weights were changed by hand."""
    tokens, run = session.tokens(word), session.active
    return guesses_of(run, tokens, session.forward(tokens), session.forward(tokens, run.unchanged()))


@model_request
def guesses_without(session: Session, word: str, layer: int, part: str, numbers: list[int]) -> Guesses:
    """Return the guesses if a layer's attention or MLP did not pass on some of its numbers.

    Args:
        session: The session.
        word: The word.
        layer: The layer.
        part: `x_attn` for what the heads found (a head owns head_dim of its numbers), `mlp_act` for the MLP's units.
        numbers: The numbers' indices.
    """
    tokens, run = session.tokens(word), session.active
    made = Names(forward(tokens, without(run.model, layer, part, numbers)))
    return guesses_of(run, tokens, made, session.forward(tokens))


def without(model: ScalarModel, layer: int, part: str, numbers: Sequence[int]) -> ScalarModel:
    """Return the model with zeros for the weights that read the given numbers of a part.

    Raises:
        LabError: The part or one of its numbers does not exist.
    """
    if part not in READS:
        raise LabError(f"part must be one of {', '.join(READS)}, got part={part!r:.40}")
    name = f"layer{layer}.{READS[part]}"
    if name not in model.shapes:
        raise LabError(f"the model has no {name}, which this figure needs")
    rows, columns = model.shapes[name]
    if wrong := [i for i in numbers if not 0 <= i < columns]:
        raise LabError(f"numbers of {part} must be between 0 and {columns - 1}, got {wrong[0]}")
    params, start = array("d", model.params), model.offsets[name].start
    for row in range(rows):
        for i in numbers:
            params[start + row * columns + i] = 0.0
    return replace(model, params=params)


@model_request
def guesses_attending(
    session: Session, word: str, layer: int, head: int, position: int, scale: float = 1.0, skip: int = -1
) -> Attending:
    """Return the guesses if one head attended differently at one position.

    Args:
        session: The session.
        word: The word.
        layer: The head's layer.
        head: The head.
        position: The position that asks.
        scale: A factor on the head's scores.
        skip: An earlier position, or the position itself, that the head does not see there; -1 if it sees all.
    """
    tokens, run = session.tokens(word), session.active
    count = len(read(tokens, run.config))
    need(run.program, "attention")
    for name, value, limit in (
        ("layer", layer, run.config.n_layer),
        ("head", head, run.config.n_head),
        ("position", position, count),
    ):
        if not 0 <= value < limit:
            raise LabError(f"{name} must be between 0 and {limit - 1}, got {name}={value}")
    if not -1 <= skip <= position:
        raise LabError(f"skip must be between -1 and {position}, got skip={skip}")
    if skip == position == 0:
        raise LabError("position 0 sees nothing but itself, so there would be nothing to attend to")
    made = attending(run, tokens, layer, head, position, scale, skip)
    weights = made[f"pos{position}.layer{layer}.attn_weights.head{head}"].numbers.tolist()
    return {**guesses_of(run, tokens, made, session.forward(tokens)), "position": position, "weights": weights}


def attending(
    run: LabRun, tokens: Sequence[int], layer: int, head: int, position: int, scale: float, skip: int
) -> Names:
    """Return the tensors of a forward pass in which one call of attention() is changed, as in `guesses_attending`."""
    model = run.model
    with scalar_arithmetic():
        recorder = Recorder(model, model.state_dict())
        functions = recorder.functions()
        attention = functions["attention"]

        def changed(q: Any, keys: Any, values: Any, *args: Any, **options: Any) -> Any:
            if (recorder.layer, recorder.heads) == (f"pos{position}.layer{layer}", head):
                q = [qj * scale for qj in q] if scale != 1 else q  # a score is a sum of products with q
                keys, values = ([x for s, x in enumerate(entries) if s != skip] for entries in (keys, values))
            return attention(q, keys, values, *args, **options)

        functions["attention"] = changed
        recorder.loss(functions["loss"], tokens)
    return Names({name: Tensor((len(n),), array("d", (x.data for x in n))) for name, n in recorder.nodes.items()})


@model_request
def guesses_on_the_way(session: Session, word: str, position: int) -> GuessesOnTheWay:
    """Return what would be guessed at a position if the residual stream were read out early, stage by stage.

    The program's own linear() and softmax() read the stream out, as they do at the end. The last stage is the model's
    guess.
    """
    tokens, run = session.tokens(word), session.active
    recorded, position = session.forward(tokens), last_of(run, tokens, position)
    need(run.program, "linear", "softmax")
    module, lm_head = run.program.module, run.model.state_dict()["lm_head"]
    found: list[StageGuess] = []
    for layer in range(run.config.n_layer):
        for name in STAGES:
            if name == "resid_pre" and layer:
                continue  # the preceding layer's resid_post
            path = f"pos{position}.layer{layer}.{name}"
            stream = [module.Value(x) for x in recorded[path].numbers]
            probs = [p.data for p in module.softmax(module.linear(stream, lm_head))]
            found.append({"path": path, "probs": probs})
    return {"position": position, "stages": found}


@model_request
def most_missed(session: Session, word: str, layer: int, position: int) -> Missed:
    """Return the unit of a layer's MLP without which the guess at a position changes most, and the change.

    The change is the probability that moves from some tokens to others: half the sum of the absolute differences.
    """
    tokens, run = session.tokens(word), session.active
    recorded, position = session.forward(tokens), last_of(run, tokens, position)
    path = f"pos{position}.layer{layer}.mlp_act"
    base = recorded[f"pos{position}.probs"].numbers
    best = {"unit": 0, "moved": 0.0}
    for unit, value in enumerate(recorded[path].numbers):
        if value:  # a closed unit passes on nothing, so nothing changes without it
            model = without(run.model, layer, "mlp_act", [unit])
            moved = moved_between(base, next_probs(run, model, tokens[: position + 1]))
            if moved > best["moved"]:
                best = {"unit": unit, "moved": moved}
    return {"unit": int(best["unit"]), "moved": best["moved"]}


@model_request
def deciding_heads(session: Session) -> DecidingHeads:
    """Return guesses that one head decides: without the head, another token is the most likely next one.

    The words that `examples` suggests are searched. The beginning of a word occurs at most once, with the head that
    moves most; the largest change comes first.
    """
    run = session.active
    words = examples(session)["suggested"]
    documents = {word: read(session.tokens(word), run.config) for word in words}
    full = run.scratch()
    before = {word: probs_after_each(run, full, tokens) for word, tokens in documents.items()}
    found: dict[tuple[int, ...], DecidingHead] = {}
    head_dim = run.config.n_embd // run.config.n_head
    for layer, head in product(range(run.config.n_layer), range(run.config.n_head)):
        own = range(head * head_dim, (head + 1) * head_dim)
        engine = run.scratch(without(run.model, layer, "x_attn", own).params)
        for word, tokens in documents.items():
            for position, (was, now) in enumerate(zip(before[word], probs_after_each(run, engine, tokens))):
                best, instead = (max(range(len(probs)), key=probs.__getitem__) for probs in (was, now))
                moved, begins = moved_between(was, now), tuple(tokens[: position + 1])
                if best != instead and (begins not in found or moved > found[begins]["moved"]):
                    found[begins] = {
                        "word": word,
                        "position": position,
                        "layer": layer,
                        "head": head,
                        "best": best,
                        "instead": instead,
                        "moved": moved,
                    }
    return {"searched": len(words), "found": sorted(found.values(), key=lambda one: -one["moved"])[:DECISIONS]}


def last_of(run: LabRun, tokens: Sequence[int], position: int) -> int:
    """Return a position of a word: the last one if the word is too short for the given one.

    Raises:
        LabError: The position is negative.
    """
    if position < 0:
        raise LabError(f"position must be at least 0, got position={position}")
    return min(position, len(read(tokens, run.config)) - 1)


def moved_between(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how much probability moves between two distributions: half the sum of the absolute differences."""
    return sum(abs(x - y) for x, y in zip(a, b)) / 2


def next_probs(run: LabRun, model: ScalarModel, tokens: Sequence[int]) -> list[float]:
    """Return the probabilities after the last token, as `probs_after_each` does."""
    return probs_after_each(run, run.scratch(model.params), tokens)[-1]


def probs_after_each(run: LabRun, engine: Engine, tokens: Sequence[int]) -> list[list[float]]:
    """Return the probabilities after each token; the engine computes the logits, and the program the softmax."""
    decoder, module = engine.decoder(), run.program.module
    return [[p.data for p in module.softmax([module.Value(x) for x in decoder.feed(token_id)])] for token_id in tokens]


def guesses_of(run: LabRun, tokens: Sequence[int], now: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> Guesses:
    """Return the guesses of a forward pass, compared with those of another."""
    ids = read(tokens, run.config)
    probs, was = ([tensors[f"pos{t}.probs"].numbers.tolist() for t in range(len(ids))] for tensors in (now, before))
    return {
        "labels": [label(token_id, run.run.tokenizer) for token_id in ids],
        "probs": probs,
        "before": was,
        "moved": [moved_between(a, b) for a, b in zip(probs, was)],
    }
