"""What the page can ask, and that the answers are the package's own numbers: the table of lab.md, row by row."""

from __future__ import annotations

import base64
import gzip
import json
import math
import random
import shutil
import subprocess
import sys
from array import array
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_imports import HEAVY

from microgpt import reference
from microgpt.cli import main as cli
from microgpt.config import PRESETS, Config, offsets, shapes
from microgpt.data.loading import load
from microgpt.data.sources import NAMES
from microgpt.engines.native.library import LIBRARY
from microgpt.engines.scalar import ScalarEngine
from microgpt.lab import snapshot
from microgpt.lab.figures import generation
from microgpt.lab.protocol import SCHEMA
from microgpt.lab.requests import REQUESTS, parameters
from microgpt.lab.runs import run as lab_run
from microgpt.reference import Value
from microgpt.runs import checkpoint as checkpoints
from microgpt.runs.run import Run
from microgpt.schedule import learning_rate
from microgpt.system.safetensors import read
from microgpt.tracing import names as tensor_names
from microgpt.tracing.trace import trace

from conftest import ROOT, SOURCE, clean_environment, every_python, golden, slow
from lab import session_client
from lab.session_client import Lab

WORD = "emma"
SMALL = {"n_embd": 8, "n_head": 2, "block_size": 8}


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture(scope="module")
def still() -> Lab:
    """A session that nobody changes."""
    return Lab()


@pytest.fixture(scope="module")
def played() -> Lab:
    """A session with which anything may be done."""
    return Lab()


def published() -> checkpoints.Checkpoint:
    """The published model, read from its file by nobody of the lab."""
    config = PRESETS["final"]
    params, m, v = array("d"), array("d"), array("d")
    for file, prefixes in (("final", {"": params}), ("final.adam", {"adam_m.": m, "adam_v.": v})):
        tensors, _ = read(SOURCE / "verification" / "golden" / f"{file}.safetensors")
        for prefix, numbers in prefixes.items():
            for name in shapes(config, 27):
                numbers.extend(tensors[prefix + name].floats())
    symbols = [*"abcdefghijklmnopqrstuvwxyz", ""]
    rng_state = random.Random(0).getstate()
    return checkpoints.Checkpoint(config, symbols, params, m, v, 1000, rng_state)


# --- The session


def test_a_fresh_session_holds_the_published_model_and_its_curve(still: Lab) -> None:
    hello, model = still.ask("hello"), still.ask("model")
    assert hello["schema"] == SCHEMA
    assert hello["python"].endswith(sys.version.split()[0])
    assert (model["step"], model["version"], model["num_params"]) == (1000, 0, 4192)
    assert "32,033 names" in model["about"]
    [run] = still.ask("runs")["runs"]
    assert run["losses"] == golden("final")["losses"]


@pytest.mark.parametrize(("n_embd", "n_head"), [(16, 4), (12, 4), (8, 1)])
def test_the_page_is_told_what_follows_from_a_models_settings(lab: Lab, n_embd: int, n_head: int) -> None:
    model = lab.ask("reset", config={"n_embd": n_embd, "n_head": n_head})
    width = len(lab.ask("forward", word="a")["tensors"]["pos0.layer0.x_attn.head0"]["data"])
    assert (model["head_dim"], model["sqrt_head_dim"]) == (width, math.sqrt(width))
    assert model["uniform_loss"] == lab.ask("loss", word="a")["uniform"] == math.log(len(model["symbols"]))


def test_the_published_vocabulary_is_that_of_the_bundled_names() -> None:
    assert load("names").tokenizer.symbols == published().symbols


def test_opening_a_session_reads_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt.lab.runs.texts.load", lambda *_, **__: pytest.fail("the names were read"))
    lab = Lab()
    lab.ask("hello")
    lab.ask("forward", word=WORD)


def test_the_source_is_the_file_that_runs(still: Lab) -> None:
    source = still.ask("source")
    assert source["lines"] == Path(reference.__file__).read_text().splitlines()
    places = {f["name"]: (f["first"], f["last"]) for f in source["functions"]}
    code = reference.Value.backward.__code__
    assert places["Value.backward"][0] == code.co_firstlineno
    assert "gpt" in places
    assert [part["title"][:2] for part in source["parts"]] == ["1.", "2.", "3.", "4.", "5.", "6."]
    assert source["parts"][-1]["last"] == len(source["lines"])


@pytest.mark.parametrize(
    "text",
    ["", "[]", "null", '{"method": 1}', '{"method": "tokens", "params": []}', "{" * 100_000, '{"method": "__init__"}'],
)
def test_what_is_no_request_is_refused_in_words(still: Lab, text: str) -> None:
    error = json.loads(still.wire.ask(text))["error"]
    assert "a request must be JSON" in error or "there is no method" in error


@pytest.mark.parametrize(
    ("method", "params", "words"),
    [
        ("nothing", {}, "there is no method 'nothing': there are adam, attention"),
        ("train", {"steps": 1}, "there is no method 'train'"),
        ("forward", {}, "forward needs the parameter 'word'"),
        ("forward", {"word": WORD, "colour": 1}, "forward has no parameter 'colour': it takes word"),
        ("forward", {"word": 3}, "word of forward must be a string, got word=3"),
        ("shuffle", {"seed": 1.5, "count": 8}, "seed of shuffle must be a whole number, got seed=1.5"),
        ("shuffle", {"seed": 1, "count": 1}, "count must be from 2 to 100, got count=1"),
        ("number", {"word": WORD, "path": "pos9.emb[0]"}, "this word has no position 9: it has 5"),
        ("number", {"word": WORD, "path": "pos9.probs[2].exp"}, "this word has no position 9: it has 5"),
        ("number", {"word": WORD, "path": "pos3.embed[0]"}, "there is no tensor 'pos3.embed'"),
        ("number", {"word": WORD, "path": "wte"}, "path must name one number"),
        ("history", {"path": "wte[4]"}, "path must be one number of a parameter"),
        ("history", {"path": "wte[4][99]"}, "must be from 0 to 15"),
        ("change", {"path": "wte[0][0]", "value": "much"}, "value of change must be a number"),
        ("forward", {"word": "x" * 2000}, "at most 1,000 characters"),
        ("gate", {"word": WORD, "layer": 1}, "layer must be from 0 to 0, got layer=1"),
        ("softmax", {"logits": [], "scale": 1}, "logits must hold at least one number"),
        ("softmax", {"logits": [1, "2"], "scale": 1}, "logits[1] of softmax must be a number"),
        ("reset", {"config": {"n_embd": 10}}, "n_embd must be a multiple of n_head, got n_embd=10"),
        ("reset", {"config": {"colour": 1}}, "there is no setting 'colour'"),
        ("reset", {"config": {"num_steps": "many"}}, "num_steps must be a whole number, got num_steps='many'"),
        ("reset", {"config": {"n_embd": 4096}}, "choose a smaller n_embd, n_layer or block_size"),
        ("reset", {"val_fraction": 2}, "val_fraction must be at least 0 and less than 1"),
        ("reset", {"config": {"batch_size": 10_000_000}}, "batch_size must be at most 1024 here"),
        ("choose", {"run": "mine"}, "there is no run 'mine': there are published"),
        ("scrub", {"step": 3}, "the weights before step 1000 are not known here"),
        ("scrub", {"step": 1001}, "train the run further first"),
        ("generate", {"seed": 1, "index": 0, "temperature": 0}, "temperature must be above 0"),
        ("generate", {"seed": 1, "index": 0, "temperature": 1, "top_k": 28}, "top_k must be from 1 to"),
        ("generate", {"seed": 1, "index": 0, "temperature": 1, "prompt": "Ä"}, "prompt has the character 'Ä'"),
        ("generate", {"seed": 1, "index": 0, "temperature": 1, "prompt": "a" * 16}, "prompt must be shorter than"),
        ("samples", {"seed": 1, "count": 2000, "temperature": 1}, "count must be from 0 to 1000"),
        ("surface", {"word": WORD, "x": "wte[0][0]", "y": "wte[0][0]", "size": 5, "reach": 1, "steps": 1}, "twice"),
        ("open_run", {"name": "a", "checkpoint": "%", "metrics": ""}, "checkpoint must be base64"),
        ("open_run", {"name": "a", "checkpoint": "YWJj", "metrics": ""}, "'a' is not a microgpt checkpoint"),
        ("restore", {"state": "{}"}, "the saved state cannot be read"),
        ("neighbourhood", {"word": WORD, "path": "loss", "up": 99}, "up must be from 0 to 12, got up=99"),
        ("neighbourhood", {"word": WORD, "path": "loss", "limit": 999}, "limit must be from 1 to 300, got limit=999"),
        ("find", {"word": WORD, "query": "q", "limit": 0}, "limit must be from 1 to 50, got limit=0"),
        ("nearest", {"symbol": "ab"}, "symbol must be one of 'a', 'b'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(still: Lab, method: str, params: dict[str, Any], words: str) -> None:
    assert words in still.refused(method, **params)


ANY = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
    st.sampled_from(["emma", "wte[0][0]", "loss", "published", "a*b"]),
    st.lists(st.floats(allow_nan=False, width=32), max_size=3), st.dictionaries(st.text(max_size=3), st.integers()),
)  # fmt: skip
METHODS = sorted(name for name, request in REQUESTS.items() if not request.streams)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(METHODS), values=st.lists(ANY, min_size=6, max_size=6))
def test_no_request_ends_the_session(played: Lab, method: str, values: list[Any]) -> None:
    told = session_client.answer(played.session, method, **dict(zip(parameters(REQUESTS[method].function), values)))
    assert "this is a bug" not in told.get("error", "")


def test_a_mistake_of_ours_is_an_answer_too(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microgpt.lab.runs.texts.encode", lambda *_: 1 / 0)
    told = lab.session.ask("tokens", {"text": "a"})
    assert told["error"] == "this is a bug in the lab; please report it: ZeroDivisionError: division by zero"
    assert lab.ask("model")["step"] == 1000


# --- 0 and 9: samples


def test_the_samples_are_those_of_the_command_line(
    still: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints.save(tmp_path / "model.safetensors", published())
    command = [
        "sample",
        str(tmp_path / "model.safetensors"),
        "-n",
        "30",
        "--seed",
        "7",
        "--temperature",
        "0.8",
        "--json",
    ]
    assert cli.main([*command, "--data", str(NAMES)]) == 0
    texts = [json.loads(line)["text"] for line in capsys.readouterr().out.splitlines()]
    assert still.ask("samples", seed=7, count=30, temperature=0.8)["texts"] == texts
    for index in range(10):
        assert still.ask("generate", seed=7, index=index, temperature=0.8)["text"] == texts[index]


def test_the_die_falls_on_the_letter_that_is_written(still: Lab) -> None:
    for index in range(30):
        generated = still.ask("generate", seed=1, index=index, temperature=1.2, top_k=9, prompt="ma")
        rng = random.Random(f"1:{index}")
        for letter in generated["letters"]:
            assert letter["die"] == rng.random()
            assert sum(p > 0 for p in letter["probs"]) == 9
            below = sum(letter["probs"][: letter["token_id"]])
            assert below <= letter["die"] + 1e-12
            assert letter["die"] <= below + letter["probs"][letter["token_id"]] + 1e-12
        written = "ma" + "".join(letter["char"] for letter in generated["letters"])
        assert generated["text"] == written
        assert (generated["letters"][-1]["char"] == "") == (generated["ended"] == "bos")


def test_the_first_letters_of_samples_have_the_frequencies_that_are_shown(still: Lab) -> None:
    probs = still.ask("generate", seed=0, index=0, temperature=1.0)["letters"][0]["probs"]
    texts = [text for seed in range(4) for text in still.ask("samples", seed=seed, count=1000, temperature=1)["texts"]]
    counts = Counter(text[:1] for text in texts)
    symbols = still.ask("model")["symbols"]
    expected = [(p * len(texts), counts[symbols[i]]) for i, p in enumerate(probs)]
    often = [(e, n) for e, n in expected if e >= 5]
    often.append((len(texts) - sum(e for e, _ in often), len(texts) - sum(n for _, n in often)))
    chi_square = sum((n - e) ** 2 / e for e, n in often if e > 0)
    freedom = len(often) - 1
    # beyond four standard deviations of chi square's distribution; the seeds are fixed
    assert chi_square < freedom + 4 * math.sqrt(2 * freedom)


def edits(a: str, b: str) -> int:
    """The edit distance, the textbook's way."""
    table = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, table[0] = table[0], i
        for j, y in enumerate(b, 1):
            before, table[j] = table[j], min(table[j] + 1, table[j - 1] + 1, before + (x != y))
    return table[-1]


@given(st.text("abc", max_size=6), st.sets(st.text("abcd", min_size=1, max_size=7), max_size=40))
def test_the_nearest_documents_are_the_nearest(text: str, documents: set[str]) -> None:
    found = generation.nearest(text, sorted(documents))
    every = sorted((edits(text, document), document) for document in documents)
    assert [(near["distance"], near["text"]) for near in found] == every[: generation.NEAREST]


def test_a_text_is_looked_up_in_the_data(still: Lab) -> None:
    documents = set(load("names"))
    for index in range(40):
        generated = still.ask("generate", seed=3, index=index, temperature=0.5)
        assert generated["in_data"] == (generated["text"] in documents)
        assert (generated["nearest"][0]["distance"] == 0) == generated["in_data"]
    samples = still.ask("samples", seed=3, count=40, temperature=0.5)
    assert samples["new"] == sum(text not in documents for text in samples["texts"])


# --- 1: data and tokenizer


def test_tokens_are_the_tokenizers_and_unknown_characters_are_told(still: Lab) -> None:
    answer = still.ask("tokens", text="Zoë emma")
    tokenizer = load("names").tokenizer
    assert answer["ids"] == tokenizer.encode("oemma")
    assert [c["id"] for c in answer["characters"]] == [None, 14, None, None, 4, 12, 12, 0]
    assert answer["unknown"] == ["Z", "ë", " "]
    assert (answer["positions"], answer["cut"]) == (6, 0)
    long = still.ask("tokens", text="a" * 20)
    assert (long["positions"], long["cut"]) == (16, 4)


def test_the_statistics_are_those_of_the_file(still: Lab) -> None:
    names = NAMES.read_text().split()
    data = still.ask("data")
    counts = Counter("".join(names))
    assert {x["char"]: x["count"] for x in data["letters"]} == {**counts, "": len(names)}
    assert dict(map(tuple, data["lengths"])) == Counter(map(len, names))
    assert (data["num_docs"], data["num_chars"]) == (len(names), sum(map(len, names)))
    assert data["first"] == names[:12]
    assert data["unread"] == sum(max(0, len(n) + 1 - 16) for n in names) / sum(len(n) + 1 for n in names)
    order = list(names)
    random.Random(42).shuffle(order)
    assert data["shuffled"] == order[:12]


@given(seed=st.integers(0, 10**6), count=st.integers(2, 60))
def test_the_shuffle_is_randoms_swap_by_swap(still: Lab, seed: int, count: int) -> None:
    answer = still.ask("shuffle", seed=seed, count=count)
    now = list(answer["before"])
    for swap in answer["swaps"]:
        now[swap["i"]], now[swap["j"]] = now[swap["j"]], now[swap["i"]]
        assert now == swap["after"]
    expected = list(answer["before"])
    random.Random(seed).shuffle(expected)
    assert now == expected


def file(text: str | bytes) -> str:
    """A file as the page sends it."""
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "'own.txt' is empty"),
        (b" \n\n \n", "'own.txt' is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "'own.txt' is not"),
        (b"abc\0def", "'own.txt' is not a text: a zero byte at offset 3"),
        ("Zoë".encode("latin-1"), "'own.txt' is not UTF-8: byte 0xeb at offset 2"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 5000))), "'own.txt' has 5,000 different characters"),
    ],
)
def test_a_file_that_is_no_data_is_refused_in_words(still: Lab, content: str | bytes, words: str) -> None:
    assert words in still.refused("load_data", name="own.txt", base64=file(content))


@pytest.mark.parametrize(
    ("content", "num_docs", "some"),
    [
        ("さくら\nはると\nゆい\n" * 20, 60, "さ"),
        ("🦊🐻\n🐼🐨🐯\n👩‍🚀\n", 3, "🦊"),
        ("one line of text and nothing else, which is read as a stream " * 5, None, "t"),
        ("\ufeffanna\r\nbob\r\n", 2, "b"),
    ],
)
def test_an_own_text_is_taken_and_trained_on(lab: Lab, content: str, num_docs: int | None, some: str) -> None:
    model = lab.ask("load_data", name="own.txt", base64=file(content))
    assert (model["step"], model["num_params"]) == (0, sum(rows * columns for _, rows, columns in model["shapes"]))
    assert some in model["symbols"]
    data = lab.ask("data")
    assert data["name"] == "own.txt"
    assert num_docs in (None, data["num_docs"])
    lab.train(5)
    lab.ask("forward", word=some)
    assert lab.ask("generate", seed=1, index=0, temperature=1.0)["letters"]
    lab.ask("samples", seed=1, count=3, temperature=1.0)


def test_five_megabytes_are_taken_as_lines_and_as_one_line(lab: Lab) -> None:
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(3, 9))) for _ in range(5000)]
    lines = "\n".join(rng.choices(words, k=750_000))
    assert len(lines) > 5_000_000
    lab.ask("load_data", name="lines.txt", base64=file(lines))
    assert lab.ask("data")["num_docs"] == 750_000
    lab.train(3)
    lab.ask("load_data", name="line.txt", base64=file(lines.replace("\n", " ")))
    data = lab.ask("data")
    assert data["num_chars"] == len(lines)
    assert data["num_docs"] == -(-(len(lines) + 1) // 16)
    lab.train(3)


# --- 3: parameters


def test_the_parameters_are_the_files(still: Lab) -> None:
    answer, expected = still.ask("parameters", moments=True), published()
    table = shapes(expected.config, 27)
    assert list(answer["tensors"]) == list(table)
    for name, part in offsets(table).items():
        assert answer["tensors"][name] == {"shape": list(table[name]), "data": list(expected.params[part])}
        assert answer["m"][name] == list(expected.m[part])
        assert answer["v"][name] == list(expected.v[part])
    one = still.ask("history", path="lm_head[26][15]")
    assert (one["m"], one["v"]) == (answer["m"]["lm_head"][-1], answer["v"]["lm_head"][-1])
    assert still.ask("parameters")["m"] == {}


@pytest.mark.golden
def test_the_published_state_is_that_of_the_published_run(names_file: Path) -> None:
    if not LIBRARY.exists():
        pytest.skip("the scalar engine would take two minutes")
    run = Run.begin(names_file, PRESETS["final"])
    for _ in run.steps(together=True):
        pass
    for ours, theirs in zip(
        (published().params, published().m, published().v), (run.engine.params, run.engine.m, run.engine.v)
    ):
        assert ours.tobytes() == theirs.tobytes()


def test_models_of_any_size_are_counted_as_the_reference_would_make_them(still: Lab) -> None:
    config = {"n_embd": 16, "n_layer": 1, "block_size": 16, "vocab_size": 27}
    model = still.ask("model")
    assert still.ask("sizes", **config) == {"num_params": model["num_params"], "shapes": model["shapes"]}
    gpt3 = {"n_embd": 12_288, "n_layer": 96, "block_size": 2048, "vocab_size": 50_257}
    layers = 96 * (4 + 8) * 12_288**2  # attention's four matrices, and the MLP's two, each fourfold
    assert still.ask("sizes", **gpt3)["num_params"] == layers + (50_257 + 2048 + 50_257) * 12_288
    for name, size in (("n_embd", 0), ("n_layer", 1001), ("vocab_size", 10**9)):
        assert f"got {name}={size}" in still.refused("sizes", **{**config, name: size})


def test_the_history_of_a_weight_is_what_it_was_at_those_steps(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 300})
    lab.train(300)
    history = lab.ask("history", path="layer0.mlp_fc1[63][15]")
    assert history["steps"] == [0, 100, 200, 300]
    for step, value in zip(history["steps"], history["values"]):
        lab.ask("scrub", step=step)
        assert lab.ask("parameters")["tensors"]["layer0.mlp_fc1"]["data"][-1] == value


# --- 4: the forward pass, number by number


@pytest.mark.parametrize("count", [200, slow(None)])
def test_every_number_of_a_word_opens_into_a_sum_that_makes_it_again(
    still: Lab, count: int | None, rng: random.Random
) -> None:
    """count: how many of the numbers are opened, None for all."""
    forward = still.ask("forward", word=WORD)
    lines = still.ask("source")["lines"]
    recorded = trace(forward["tokens"], published().params, PRESETS["final"], 27)
    every = [
        (tensor_names.element_path(name, tuple(tensor["shape"]), i), value)
        for name, tensor in forward["tensors"].items()
        for i, value in enumerate(tensor["data"])
    ]
    assert len(every) == sum(math.prod(shape) for shape in tensor_names.intermediates(PRESETS["final"], 27, 5).values())
    for path, value in rng.sample(every, count or len(every)):
        number = still.ask("number", word=WORD, path=path)
        assert number["value"] == value == number["recomputed"], path
        assert number["grad"] == recorded.node(path).grad
        total = None
        for term in number["terms"]:
            total = term["value"] if total is None else total + term["value"]
            assert term["total"] == total, path
            assert term["value"] == math.prod(factor["value"] for factor in term["factors"]), path
        if number["terms"] and number["after"] is None:
            assert total == value, path
        if number["after"]:
            assert number["after"]["value"] == value
            assert number["after"]["text"] in lines[number["line"] - 1]
        assert number["formula"] in lines[number["line"] - 1] or number["kind"] == "parameter"
        assert number["meaning"]
        assert len(number["users"]) == min(32, number["num_users"])


def test_the_graph_around_a_number_is_the_traces(still: Lab) -> None:
    around = still.ask("neighbourhood", word=WORD, path="pos3.layer0.attn_weights.head2[1]", up=2, down=2)
    paths = {node["path"] for node in around["nodes"]}
    assert "pos3.layer0.attn_weights.head2[1]" in paths
    recorded = trace(still.ask("forward", word=WORD)["tokens"], published().params, PRESETS["final"], 27)
    for edge in around["edges"]:
        made = recorded.number(edge["to"])
        assert edge["from"] in paths
        local = [
            x["local_gradient"] for x in made["operands"] if recorded.node(x["path"]) is recorded.node(edge["from"])
        ]
        assert edge["local"] in local
    assert still.ask("neighbourhood", word=WORD, path="loss", down=12)["cut"]


def test_a_weight_changed_by_hand_ripples_and_is_taken_back(lab: Lab) -> None:
    before = lab.ask("forward", word=WORD)
    state = lab.state()
    weight = published().params[offsets(shapes(Config(), 27))["layer0.attn_wv"]][2 * 16 + 3]
    changes = lab.ask("change", path="layer0.attn_wv[2][3]", value=1.5)["changes"]
    assert changes == [{"path": "layer0.attn_wv[2][3]", "before": weight, "after": 1.5}]
    now = lab.ask("forward", word=WORD)
    changed = {name for name, tensor in now["tensors"].items() if tensor != before["tensors"][name]}
    assert now["before"].keys() == changed
    assert "pos0.layer0.v" in changed
    assert "pos0.layer0.q" not in changed
    for name in changed:
        assert now["before"][name] == before["tensors"][name]["data"]
    assert lab.ask("undo")["changes"] == []
    assert lab.state() == state
    assert lab.ask("forward", word=WORD)["before"] == {}


def test_a_weight_that_breaks_the_numbers_is_told_in_words(lab: Lab) -> None:
    lab.ask("change", path="layer0.attn_wv[2][3]", value=1e300)
    assert "undo" in lab.refused("forward", word=WORD)
    assert lab.ask("undo")["changes"] == []


# --- 5: attention


def test_the_masked_matrix_is_the_growing_lists(still: Lab) -> None:
    for word in (WORD, "", "a", "maximiliannatalie"):
        answer, forward = still.ask("attention", word=word), still.ask("forward", word=word)
        assert answer["difference"] == 0.0
        assert len(answer["labels"]) == answer["positions"]
        for h, rows in enumerate(answer["weights"][0]):
            for t, row in enumerate(rows):
                assert answer["sums"][0][h][t] == pytest.approx(1, abs=1e-12)
                assert answer["sums"][0][h][t] == pytest.approx(math.fsum(row), abs=1e-15)
                assert row[t + 1 :] == [0.0] * (answer["positions"] - t - 1)
                assert answer["logits"][0][h][t][t + 1 :] == ["-inf"] * (answer["positions"] - t - 1)
                assert row[: t + 1] == forward["tensors"][f"pos{t}.layer0.attn_weights.head{h}"]["data"]


def test_softmax_goes_from_uniform_to_peaked(still: Lab) -> None:
    assert still.ask("softmax", logits=[1, 2, 3, 4], scale=0)["probs"] == [0.25] * 4
    probs = still.ask("softmax", logits=[1, 2, 3, 4], scale=50)["probs"]
    assert probs[3] == pytest.approx(1)
    same = [p.data for p in reference.softmax([Value(x) for x in (1.0, 2.0, 3.0, 4.0)])]
    assert still.ask("softmax", logits=[1, 2, 3, 4], scale=1)["probs"] == same


# --- 6: the loss


@pytest.mark.parametrize("word", [WORD, "", "z", "maximiliannatalie"])
def test_the_mean_of_the_shown_losses_is_the_programs(still: Lab, word: str) -> None:
    answer = still.ask("loss", word=word)
    tokens = still.ask("forward", word=word)["tokens"]
    program = ScalarEngine(published().params, Config(), 27).backward([tokens])
    assert answer["mean"] == program
    assert sum(x["loss"] for x in answer["letters"]) / len(answer["letters"]) == pytest.approx(program, abs=1e-12)
    assert answer["uniform"] == math.log(27)
    assert all(x["loss"] == -math.log(x["prob"]) for x in answer["letters"])


def test_the_perplexity_is_the_die_that_is_as_unsure(still: Lab) -> None:
    answer = still.ask("loss", word=WORD)
    assert math.log(answer["perplexity"]) == pytest.approx(answer["mean"], rel=1e-12)


def test_the_graph_of_a_word_is_as_large_and_as_deep_as_a_walk_finds(still: Lab) -> None:
    tokens = still.ask("forward", word=WORD)["tokens"]
    answer = still.ask("graph", word=WORD)
    params = published().params
    leaves = iter([Value(p) for p in params])
    state_dict = {
        name: [[next(leaves) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes(Config(), 27).items()
    }
    loss = reference.loss(tokens, state_dict, 1, 4, 16)
    level, depth, seen = {loss}, 0, {loss}
    while below := {x for node in level for x in (node.a, node.b) if x is not None}:
        level, depth, seen = below, depth + 1, seen | below
    assert (answer["nodes"], answer["depth"]) == (len(seen), depth)
    assert answer["operations"] == sum(node.a is not None for node in seen)
    assert answer["limit"] == sys.getrecursionlimit()


def test_a_power_tells_its_exponent(still: Lab) -> None:
    nodes = still.ask("expression", source="y = x**3 / 2", inputs={"x": 2})["nodes"]
    assert [node["exponent"] for node in nodes if node["op"] == "**"] == [3]
    assert {node["exponent"] for node in nodes if node["op"] != "**"} == {None}


def test_a_gate_is_open_where_its_input_is_positive_and_dead_units_never_are(lab: Lab) -> None:
    lab.ask("reset", config={**SMALL, "num_steps": 40})
    lab.train(40)
    for column in range(8):
        lab.ask("change", path=f"layer0.mlp_fc1[5][{column}]", value=0)
    answer = lab.ask("gate", word="anna", layer=0)
    tensors = lab.ask("forward", word="anna")["tensors"]
    for t, gate in enumerate(answer["open"]):
        assert gate == [x > 0 for x in tensors[f"pos{t}.layer0.mlp_pre"]["data"]]
    run = lab.session.active.run
    ever: set[int] = set()
    for i in range(60):  # by another way: the recorded forward pass of some of these documents
        recorded = trace(run.data.sequence(run.order[i]), run.engine.params, run.config, 27, backward=False)
        for t in range(min(8, len(run.data.sequence(run.order[i])) - 1)):
            ever |= {u for u, x in enumerate(recorded.tensor(f"pos{t}.layer0.mlp_pre").numbers) if x > 0}
    assert answer["documents"] >= 60
    assert not ever & set(answer["dead"])
    assert 5 in answer["dead"]
    assert len(answer["dead"]) < 32


# --- 7: one update


def test_the_gradient_is_the_engines_and_untouched_rows_are_zero(still: Lab) -> None:
    answer = still.ask("gradients", word=WORD)
    tokens = still.ask("forward", word=WORD)["tokens"]
    engine = ScalarEngine(published().params, Config(), 27)
    assert answer["loss"] == engine.backward([tokens])
    for name, part in offsets(shapes(Config(), 27)).items():
        assert answer["grads"][name] == list(engine.grads[part])
    assert answer["zero_rows"]["wte"] == [i for i in range(27) if i not in tokens[:-1]]
    assert answer["zero_rows"]["wpe"] == list(range(5, 16))
    assert answer["zero_rows"]["lm_head"] == []
    assert answer["norms"][0] == {"name": "loss", "norm": 1.0}
    norms = {norm["name"]: norm["norm"] for norm in answer["norms"]}
    assert norms["lm_head"] == pytest.approx(math.hypot(*answer["grads"]["lm_head"]), rel=1e-12)
    assert norms["pos0.layer0.q"] == 0.0  # a softmax over one logit cannot be changed


def test_the_snapshot_follows_the_steepest_parameters(still: Lab) -> None:
    grads = still.ask("gradients", word=WORD)["grads"]
    for path in (snapshot.STEEP, snapshot.GENTLE):
        name, (row, column) = tensor_names.look_up(path, shapes(Config(), 27))
        gradient = abs(grads[name][16 * row + column])
        assert gradient == max(map(abs, grads[name]))
        assert path == snapshot.GENTLE or gradient == max(abs(g) for numbers in grads.values() for g in numbers)


def test_the_shown_update_is_the_one_that_is_made(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 30})
    lab.train(7)
    word = lab.ask("data")["shuffled"][7]  # the next document
    answer = lab.ask("update", word=word)
    path = "layer0.mlp_fc2[3][5]"
    one = lab.ask("adam", word=word, path=path)
    before = lab.ask("parameters", moments=True)
    event = lab.train(1)
    after = lab.ask("parameters", moments=True)
    assert (answer["step"], answer["learning_rate"]) == (8, event["learning_rate"])
    assert answer["loss_before"] == event["losses"][0]
    for name, tensor in answer["tensors"].items():
        moved = [b - a for a, b in zip(before["tensors"][name]["data"], after["tensors"][name]["data"])]
        assert tensor["delta"] == moved
        assert tensor["m"] == after["m"][name]
        assert tensor["v"] == after["v"][name]
        c = Config()
        assert tensor["m_hat"] == [m / (1 - c.beta1**8) for m in tensor["m"]]
        assert tensor["v_hat"] == [v / (1 - c.beta2**8) for v in tensor["v"]]
    i = 3 * 64 + 5
    assert {name: answer["tensors"]["layer0.mlp_fc2"][name][i] for name in ("grad", "m", "v", "delta")} == {
        name: one[name] for name in ("grad", "m", "v", "delta")
    }
    assert one["after"] - one["before"] == one["delta"]
    assert (one["before"], one["after"]) == (before["tensors"]["layer0.mlp_fc2"]["data"][i],
                                             after["tensors"]["layer0.mlp_fc2"]["data"][i])  # fmt: skip
    assert (one["m_before"], one["v_before"]) == (before["m"]["layer0.mlp_fc2"][i], before["v"]["layer0.mlp_fc2"][i])
    assert one["plain"] == -one["learning_rate"] * one["grad"]
    assert lab.ask("loss", word=word)["mean"] == pytest.approx(answer["loss_after"], abs=1e-12)


@pytest.mark.parametrize(
    "config", [{}, {"decay": "cosine", "warmup_steps": 7}, {"decay": "cosine"}, {"warmup_steps": 39}], ids=str
)
def test_the_schedule_that_is_drawn_is_the_one_that_is_trained_by(lab: Lab, config: dict[str, Any]) -> None:
    lab.ask("reset", config={**SMALL, "num_steps": 40, **config})
    rates = [lab.train(1)["learning_rate"] for _ in range(40)]
    drawn = lab.ask("schedule")
    assert drawn["steps"] == list(range(40))
    assert drawn["rates"] == rates
    rates += [lab.train(1)["learning_rate"] for _ in range(40)]  # the plan is doubled
    drawn = lab.ask("schedule")
    assert (drawn["steps"], drawn["rates"]) == (list(range(80)), rates)


def test_of_a_long_schedule_some_steps_are_drawn_and_all_where_it_bends(lab: Lab) -> None:
    config = Config(num_steps=100_000, warmup_steps=777, decay="cosine")
    lab.ask("reset", config={"num_steps": 100_000, "warmup_steps": 777, "decay": "cosine"})
    drawn = lab.ask("schedule")
    assert {0, 776, 777, 99_999} <= set(drawn["steps"])
    assert len(drawn["steps"]) < 250
    assert max(drawn["rates"]) == config.learning_rate
    for step, rate in zip(drawn["steps"], drawn["rates"]):
        assert rate == learning_rate(step, 100_000, config.learning_rate, 777, "cosine")


def test_untouched_rows_do_not_move(still: Lab) -> None:
    zero_rows = still.ask("gradients", word=WORD)["zero_rows"]
    answer = still.ask("update", word=WORD, fresh=True, learning_rate=0.01)  # what m remembers moves other rows too
    for name, rows in zero_rows.items():
        columns = still.ask("parameters")["tensors"][name]["shape"][1]
        for row in rows:
            assert not any(answer["tensors"][name]["delta"][row * columns : (row + 1) * columns])
    assert len(zero_rows["wte"]) == 23
    assert answer["loss_after"] < answer["loss_before"]


def test_without_its_memory_adam_begins_anew_and_its_first_step_is_as_long_as_the_rate(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 30})
    lab.train(7)
    word, path = WORD, "layer0.attn_wo[2][9]"
    known, fresh = lab.ask("adam", word=word, path=path), lab.ask("adam", word=word, path=path, fresh=True)
    assert (known["step"], known["fresh"], fresh["step"], fresh["fresh"]) == (8, False, 1, True)
    assert (fresh["m_before"], fresh["v_before"]) == (0.0, 0.0)
    assert fresh["m_hat"] == pytest.approx(fresh["grad"], rel=1e-12)
    assert fresh["delta"] == pytest.approx(-fresh["learning_rate"] * math.copysign(1, fresh["grad"]), rel=1e-5)
    assert known["learning_rate"] == fresh["learning_rate"]
    lab.ask("reset")  # with nothing to remember yet
    assert lab.ask("adam", word=word, path=path) == lab.ask("adam", word=word, path=path, fresh=True)


def test_an_update_has_the_learning_rate_and_the_numbers_that_are_asked_for(still: Lab) -> None:
    longest = still.ask("update", word=WORD, what=["delta"], learning_rate=0.5, fresh=True)
    assert longest["learning_rate"] == 0.5
    assert longest["loss_after"] > longest["loss_before"]
    assert {tuple(tensor) for tensor in longest["tensors"].values()} == {("delta",)}
    still_ones = still.ask("update", word=WORD, what=[], learning_rate=0)
    assert still_ones["loss_after"] == still_ones["loss_before"]
    assert set(map(len, still_ones["tensors"].values())) == {0}


def test_a_hiker_has_the_learning_rate_that_is_asked_for(still: Lab) -> None:
    asked = {"word": WORD, "x": "lm_head[0][0]", "y": "wte[0][0]", "size": 2, "reach": 1, "steps": 1}
    _, adam = still.ask("surface", **asked, learning_rate=0.25)["hikers"]
    assert adam["learning_rate"] == 0.25
    assert abs(adam["path"][1]["x"] - adam["path"][0]["x"]) == pytest.approx(0.25, rel=1e-4)


def test_the_surface_is_made_of_real_losses_and_walked_with_real_gradients(still: Lab) -> None:
    x, y = "wte[12][3]", "layer0.attn_wo[2][9]"
    answer = still.ask("surface", word=WORD, x=x, y=y, size=7, reach=0.5, steps=12)
    tokens = still.ask("forward", word=WORD)["tokens"]
    places = [offsets(shapes(Config(), 27))["wte"].start + 12 * 16 + 3,
              offsets(shapes(Config(), 27))["layer0.attn_wo"].start + 2 * 16 + 9]  # fmt: skip

    def at(a: float, b: float) -> tuple[float, list[float]]:
        params = published().params
        params[places[0]], params[places[1]] = a, b
        engine = ScalarEngine(params, Config(), 27)
        return engine.backward([tokens]), [engine.grads[place] for place in places]

    size = len(answer["x"]["values"])
    for row, column in ((0, 0), (size - 1, 0), (2, 3)):
        expected, _ = at(answer["x"]["values"][column], answer["y"]["values"][row])
        assert answer["loss"][row * size + column] == pytest.approx(expected, abs=1e-12)
    start = [published().params[place] for place in places]
    sgd, adam = answer["hikers"]
    for hiker in (sgd, adam):
        assert [hiker["path"][0]["x"], hiker["path"][0]["y"]] == start
        for point in hiker["path"][::4]:
            assert point["loss"] == pytest.approx(at(point["x"], point["y"])[0], abs=1e-12)
        assert hiker["path"][-1]["loss"] < hiker["path"][0]["loss"]
    a, b = sgd["path"][3:5]
    _, grad = at(a["x"], a["y"])
    assert b["x"] == pytest.approx(a["x"] - sgd["learning_rate"] * grad[0], abs=1e-12)
    steps = [math.hypot(h["path"][1]["x"] - start[0], h["path"][1]["y"] - start[1]) for h in (sgd, adam)]
    assert steps[0] == pytest.approx(steps[1])


# --- 8: training


def cli_losses(tmp_path: Path, *options: str) -> list[float]:
    """The curve of `microgpt train` with the bundled names."""
    assert cli.main(["train", *options, "--out", str(tmp_path / "run"), "--quiet"]) == 0
    return [json.loads(line)["loss"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]


def curve(lab: Lab) -> list[float]:
    """Of the active run."""
    [run] = [run for run in lab.ask("runs")["runs"] if run["active"]]
    return list(run["losses"])


def test_the_same_seed_gives_the_curve_of_the_command_line(lab: Lab, tmp_path: Path) -> None:
    expected = cli_losses(tmp_path, "--num-steps", "200")
    lab.ask("reset", config={"num_steps": 200})
    seen: list[float] = []
    for event in lab.events(steps=120, per_event=7):
        seen += event["losses"]
        assert event["step"] == len(seen)
    lab.train(1)
    lab.train(79)
    assert curve(lab) == pytest.approx(expected, rel=0, abs=1e-9)
    assert seen == curve(lab)[:120]
    assert lab.ask("samples", seed=42, count=5, temperature=0.5)["texts"] == Run.load(tmp_path / "run").sample(
        5, seed=42, temperature=0.5
    )


def test_other_settings_too_and_the_held_out_losses(lab: Lab, tmp_path: Path) -> None:
    options = {"n_embd": 8, "batch_size": 3, "seed": 7, "num_steps": 50}
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    expected = cli_losses(tmp_path, *words, "--val-fraction", "0.1")
    lab.ask("reset", config=options, val_fraction=0.1)
    lab.train(50)
    assert curve(lab) == pytest.approx(expected, rel=0, abs=1e-9)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    [run] = [run for run in lab.ask("runs")["runs"] if run["active"]]
    held_out = [{"step": line["step"], "loss": line["val_loss"]} for line in lines if "val_loss" in line]
    assert len(held_out) == 10
    assert run["validations"] == held_out
    evaluation = lab.ask("evaluate")
    assert evaluation["held_out"]
    assert evaluation["loss"] == pytest.approx(held_out[-1]["loss"], abs=1e-9)
    assert not Lab().ask("evaluate")["held_out"]


def test_scrubbing_restores_the_weights_exactly(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 250})
    states = {0: lab.state()}
    for event in lab.events(steps=260, per_event=13):  # beyond its plan
        states[event["step"]] = lab.state()
    for step in random.Random(1).sample(sorted(states), len(states)):
        assert lab.ask("scrub", step=step)["step"] == step
        assert lab.state() == states[step]
    single = Lab()
    single.ask("reset", config={"num_steps": 250})
    for step in range(1, 40):
        single.train(1)
        lab.ask("scrub", step=step)
        assert lab.state() == single.state()


def test_scrubbing_passes_through_what_was_changed_by_hand(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 200})
    lab.train(33)
    lab.ask("change", path="wte[4][0]", value=2.0)
    lab.ask("change", path="wte[4][1]", value=-1.0)
    lab.ask("change", path="wte[4][1]", value=-2.0)
    lab.train(50)
    assert lab.ask("model")["changes"] == []
    states = {83: lab.state()}
    lab.train(100)
    states[183] = lab.state()
    for step in (10, 183, 33, 83):
        model = lab.ask("scrub", step=step)
        assert model["changes"] == []
        if step in states:
            assert lab.state() == states[step]
    plain = Lab()
    plain.ask("reset", config={"num_steps": 200})
    plain.train(33)
    lab.ask("scrub", step=33)
    assert lab.state() == plain.state()  # before the change


def test_training_on_after_scrubbing_back_is_a_branch(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 100})
    lab.train(60)
    whole, state = curve(lab), lab.state()
    lab.ask("scrub", step=25)
    event = lab.train(35)
    model = lab.ask("model")
    assert model["run"] == event["run"] == "run2"
    assert curve(lab) == whole  # nothing was changed: it goes the same way
    assert lab.state() == state
    answer = lab.ask("runs")["runs"]
    assert [run["id"] for run in answer] == ["published", "run1", "run2"]
    assert answer[2]["branch"] == {"run": "run1", "step": 25}
    assert (answer[1]["step"], answer[1]["losses"]) == (60, whole)
    assert lab.ask("compare", a="run1", b="run2")["first"] is None
    lab.ask("scrub", step=30)
    lab.ask("change", path="lm_head[0][0]", value=1.0)
    lab.train(30)
    part = lab.ask("compare", a="run1", b="run3")
    assert part["first"]["step"] == 31
    assert part["documents"] is None
    assert part["differs"] == [{"setting": "changed by hand", "a": "nothing", "b": "lm_head[0][0] at step 30"}]


def test_two_runs_part_where_they_part(lab: Lab) -> None:
    for config in ({"num_steps": 100}, {"num_steps": 100, "beta2": 0.95}, {"num_steps": 100, "seed": 1}):
        lab.ask("reset", config={"seed": 42, "beta2": 0.99, **config})
        lab.train(100)
    early = lab.ask("compare", a="run1", b="run2")
    assert early["differs"] == [{"setting": "beta2", "a": 0.99, "b": 0.95}]
    # the first step's v_hat is the squared gradient for any beta2, but for the last bit
    assert early["first"]["step"] in (1, 2)
    values = []
    for run in ("run1", "run2"):
        lab.ask("choose", run=run)
        lab.ask("scrub", step=early["first"]["step"])
        name, (row, column) = tensor_names.parse(early["first"]["path"])
        tensor = lab.ask("parameters")["tensors"][name]
        values.append(tensor["data"][row * tensor["shape"][1] + column])
    assert values == [early["first"]["a"], early["first"]["b"]]
    assert values[0] != values[1]
    seeds = lab.ask("compare", a="run1", b="run3")
    assert seeds["first"]["step"] == 0
    assert seeds["first"]["path"] == "wte[0][0]"
    assert seeds["documents"]["step"] == 1
    assert {setting["setting"] for setting in seeds["differs"]} == {"seed"}


def test_the_published_model_stays_as_it_is_when_it_is_trained_on(lab: Lab) -> None:
    state = lab.state()
    event = lab.train(20)
    assert event["run"] != "published"
    assert event["learning_rate"] == pytest.approx(0.005 * (1 - 19 / 1000))  # the plan is doubled: half its first rate
    assert lab.ask("pretrained")["run"] == "published"
    assert lab.state() == state


def test_a_run_does_not_depend_on_how_many_steps_are_asked_for_at_a_time(lab: Lab) -> None:
    ends = []
    for parts in ((90,), (1, 29, 1, 9, 50)):
        lab.ask("reset", config={**SMALL, "num_steps": 20})
        for steps in parts:
            lab.train(steps)
        ends.append((lab.state(), curve(lab)))
    assert ends[0] == ends[1]
    assert lab.ask("model")["num_steps"] == 160


def test_what_happens_between_two_events_of_a_training_counts(lab: Lab) -> None:
    lab.ask("reset", config={"num_steps": 100})
    events = lab.events(steps=40, per_event=1)
    assert [next(events)["step"] for _ in range(10)] == list(range(1, 11))
    lab.ask("forward", word=WORD)
    lab.ask("change", path="wte[4][0]", value=3.0)
    version = lab.ask("model")["version"]
    event = next(events)
    assert (event["step"], event["version"]) == (11, version + 1)
    state = lab.state()
    lab.ask("scrub", step=5)
    assert list(events) == []  # the run was taken away
    lab.ask("scrub", step=11)
    assert lab.state() == state
    plain = Lab()
    plain.ask("reset", config={"num_steps": 100})
    plain.train(10)
    plain.ask("change", path="wte[4][0]", value=3.0)
    plain.train(1)
    assert plain.state() == state


def test_a_training_that_is_stopped_stands_where_it_was_stopped(lab: Lab) -> None:
    lab.ask("reset")
    events = lab.session.stream("train", {"steps": 1000, "per_event": 50})
    seen = [loss for _ in range(2) for loss in next(events)["result"]["losses"]]
    events.close()  # type: ignore[attr-defined]
    assert 0 < len(seen) <= 100
    assert curve(lab) == seen
    assert lab.ask("model")["step"] == len(seen)
    lab.train(3)
    assert len(curve(lab)) == len(seen) + 3


def test_a_training_that_leaves_the_numbers_ends_with_a_sentence(lab: Lab) -> None:
    lab.ask("reset", config={"learning_rate": 1e150, "num_steps": 50})
    *_, last = lab.events(steps=50)
    assert "begin a new run with a lower learning_rate=1e+150" in last["error"]
    assert "can be scrubbed back" in last["error"]
    assert len(curve(lab)) == lab.ask("model")["step"] < 50
    assert lab.ask("scrub", step=0)["step"] == 0
    lab.ask("forward", word=WORD)


def test_steps_that_make_no_sense_are_refused(lab: Lab) -> None:
    for params, words in (({"steps": 0}, "steps must be from 1"), ({"steps": 5, "per_event": 0}, "per_event must be")):
        [answer] = lab.events(**params)
        assert words in answer["error"]


# --- Runs from files


def test_a_run_from_its_files_has_its_curve_and_its_earlier_steps(lab: Lab, tmp_path: Path) -> None:
    losses = cli_losses(tmp_path, "--num-steps", "120", "--val-fraction", "0.1")
    content = (tmp_path / "run" / "model.safetensors").read_bytes()
    metrics = (tmp_path / "run" / "metrics.jsonl").read_text()
    model = lab.ask("open_run", name="my run", checkpoint=file(content), metrics=metrics)
    assert (model["name"], model["step"]) == ("my run", 120)
    state = lab.state()
    [run] = [run for run in lab.ask("runs")["runs"] if run["active"]]
    assert run["losses"] == losses
    assert len(run["validations"]) == 10
    assert run["first"] == 0
    lab.ask("scrub", step=77)
    whole = Run.begin("names", Config(num_steps=120), val_fraction=0.1)
    for _ in whole.steps(until=77):
        pass
    assert lab.session.active.engine.params == whole.engine.params
    lab.ask("scrub", step=120)
    assert lab.state() == state
    lab.train(5)
    assert len(curve(lab)) == 125


def test_of_a_run_whose_text_is_not_here_only_the_end_is_known(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("anna\nbob\n" * 10)
    cli_losses(tmp_path, str(tmp_path / "own.txt"), "--num-steps", "5")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    assert curve(lab) == ["nan"] * 5
    assert "are not known here" in lab.refused("scrub", step=3)
    [answer] = lab.events(steps=1)
    assert "which is not here: load that file first" in answer["error"]
    lab.ask("forward", word="anna")
    lab.ask("load_data", name="own.txt", base64=file((tmp_path / "own.txt").read_bytes()))
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    assert lab.ask("scrub", step=3)["step"] == 3
    lab.train(2)


def test_a_run_that_was_not_trained_in_one_go_keeps_to_its_end(lab: Lab, tmp_path: Path) -> None:
    cli_losses(tmp_path, "--num-steps", "20")
    assert cli.main(["train", "--resume", "--num-steps", "30", "--out", str(tmp_path / "run"), "--quiet"]) == 0
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics=(tmp_path / "run" / "metrics.jsonl").read_text())
    assert "was not trained in one go" in lab.refused("scrub", step=10)


def test_a_run_of_too_many_steps_is_refused(still: Lab, tmp_path: Path) -> None:
    state = published()
    state.step = 1_000_001
    checkpoints.save(tmp_path / "model", state)
    sentence = still.refused("open_run", name="run", checkpoint=file((tmp_path / "model").read_bytes()), metrics="")
    assert sentence == "'run' has made 1,000,001 steps; runs of at most 1,000,000 can be opened here"


def test_damaged_metrics_are_refused_in_words(still: Lab, tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "model", published())
    sentence = still.refused(
        "open_run", name="run", checkpoint=file((tmp_path / "model").read_bytes()), metrics="{}\nnonsense\n"
    )
    assert "'the metrics of run' is not the metrics of a run, or is damaged: line 1" in sentence


def test_an_exported_model_is_read_by_the_package(lab: Lab, tmp_path: Path) -> None:
    lab.ask("reset", config=SMALL)
    lab.train(10)
    lab.ask("change", path="wte[0][0]", value=0.5)
    answer = lab.ask("export_model")
    (tmp_path / answer["name"]).write_bytes(base64.b64decode(answer["base64"]))
    run = Run.load(tmp_path / answer["name"])
    assert run.engine.params == lab.session.active.engine.params
    assert run.sample(5, seed=1) == lab.ask("samples", seed=1, count=5, temperature=0.5)["texts"]


# --- A session that outlives its worker


def test_a_restored_session_goes_on_as_if_nothing_had_been(lab: Lab) -> None:
    lab.train(30)
    lab.ask("load_data", name="own.txt", base64=file("anna\nbob\nbobanna\n" * 30))
    lab.ask("reset", config={**SMALL, "num_steps": 150})
    lab.train(120)
    lab.ask("scrub", step=50)
    lab.ask("change", path="wte[0][0]", value=0.5)
    lab.train(30)
    lab.ask("change", path="wte[0][1]", value=0.25)
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    for one in (lab, other):
        model = one.ask("model")
        assert model["changes"][0]["path"] == "wte[0][1]"
    assert {**lab.ask("model"), "version": 0} == {**other.ask("model"), "version": 0}
    assert lab.ask("runs")["runs"] == other.ask("runs")["runs"]
    assert lab.state() == other.state()
    for one in (lab, other):
        one.train(70)
        one.ask("scrub", step=64)
    assert lab.state() == other.state()
    assert lab.ask("compare", a="run3", b="run4")["first"] == other.ask("compare", a="run3", b="run4")["first"]
    for one in (lab, other):
        one.ask("undo")
        one.ask("choose", run="run3")
        one.ask("scrub", step=20)
    assert lab.state() == other.state()
    assert other.ask("load_data", name="more.txt", base64=file("otto\n"))["run"] == "run5"


def test_a_state_of_an_opened_run_keeps_its_earlier_steps(lab: Lab, tmp_path: Path) -> None:
    cli_losses(tmp_path, "--num-steps", "20")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    for one in (lab, other):
        one.ask("scrub", step=10)
    assert lab.state() == other.state()


def test_a_state_of_a_run_whose_text_is_not_here_says_so_again(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("anna\nbob\n" * 10)
    cli_losses(tmp_path, str(tmp_path / "own.txt"), "--num-steps", "5")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    lab.ask("open_run", name="run", checkpoint=content, metrics="")
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    assert lab.state() == other.state()
    for one in (lab, other):
        assert "which is not here: load that file first" in one.refused("data")
        [answer] = one.events(steps=1)
        assert "which is not here: load that file first" in answer["error"]


def test_a_state_of_runs_over_one_text_read_both_ways(lab: Lab, tmp_path: Path) -> None:
    cli_losses(tmp_path, "--num-steps", "5", "--documents", "stream")
    content = file((tmp_path / "run" / "model.safetensors").read_bytes())
    stream = lab.ask("open_run", name="run", checkpoint=content, metrics="")["run"]
    lab.ask("save")  # what it wrote of the run is not kept as it was when texts are added
    lab.ask("load_data", name="own.txt", base64=file("anna\nbob\n" * 10))
    other = Lab()
    other.ask("restore", state=lab.ask("save")["state"])
    for one in (lab, other):
        assert one.ask("data")["name"] == "own.txt"
        one.ask("choose", run=stream)
        one.train(3)
    assert {**lab.ask("data"), "version": 0} == {**other.ask("data"), "version": 0}
    assert lab.state() == other.state()


# --- The snapshot


def test_the_snapshot_is_what_a_session_answers_and_small(still: Lab, tmp_path: Path) -> None:
    code = "import sys; from microgpt.lab import snapshot; snapshot.main(); print(*sys.modules, file=sys.stderr)"
    out = tmp_path / "snapshot.json"
    done = subprocess.run(
        [sys.executable, "-c", code, str(out)], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert not HEAVY & set(done.stderr.split())
    answers = json.loads(out.read_text())
    assert len(answers) == len(snapshot.REQUESTS) + len(snapshot.TEMPERATURES)
    for key, answer in answers.items():
        method, _, params = key.partition(" ")
        assert json.dumps(json.loads(params), sort_keys=True, separators=(",", ":")) == params
        assert answer == still.ask(method, **json.loads(params)), key
    assert len(gzip.compress(out.read_bytes())) < 200_000  # in all: the long ones are fetched when a figure asks


# --- Other Pythons

TELL = """
import json
from microgpt.engines import choose
from microgpt.lab.snapshot import REQUESTS
from microgpt.lab.wire import Wire

choose.ENGINES = {"scalar": ("scalar", "ScalarEngine")}  # for every Python the same: the kernel has tests of its own
wire = Wire()
told = {}

def ask(method, **params):
    request = json.dumps({"method": method, "params": params})
    told[f"{method} {len(told)}"] = json.loads(wire.ask(request))

for method, params in REQUESTS:
    if method != "hello":
        ask(method, **params)
ask("change", path="wte[4][3]", value=1.5)
ask("forward", word="emma")
ask("reset", config={"n_embd": 8, "n_head": 2, "block_size": 8, "num_steps": 40}, val_fraction=0.01)
told["training"] = [json.loads(event)["result"]["losses"]  # of more steps an event has as many as time allows
                    for event in wire.stream('{"method": "train", "params": {"steps": 12, "per_event": 1}}')]
ask("scrub", step=7)
ask("parameters", moments=True)
ask("samples", seed=1, count=5, temperature=0.7)
ask("update", word="anna", what=["delta"])
ask("save")
ask("restore", state=told.popitem()[1]["result"]["state"])
ask("runs")
"""


def assert_same(expected: Any, got: Any, path: str = "") -> None:
    """The same but for the last bits of floats, which a system's mathematical library decides."""
    if isinstance(expected, dict):
        assert expected.keys() == got.keys(), path
        for name in expected:
            assert_same(expected[name], got[name], f"{path} {name}")
    elif isinstance(expected, list):
        assert len(expected) == len(got), path
        for i, (x, y) in enumerate(zip(expected, got)):
            assert_same(x, y, f"{path}[{i}]")
    elif isinstance(expected, float):
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-12), path
    elif "restore" not in path:
        assert expected == got, path


def told_by(*command: object) -> Any:
    """What another Python tells."""
    done = subprocess.run([*map(str, command)], env=clean_environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@cache
def told_here() -> Any:
    """What this Python tells."""
    return told_by(sys.executable, "-c", f"{TELL}print(json.dumps(told))")


@pytest.mark.slow
@every_python
def test_the_answers_are_the_same_on_every_python(python: str) -> None:
    assert_same(told_here(), told_by(python, "-c", f"{TELL}print(json.dumps(told))"))


@pytest.mark.slow
def test_the_answers_are_the_same_in_a_browsers_python(tmp_path: Path) -> None:
    pyodide = ROOT / "web" / "node_modules" / "pyodide"
    if not pyodide.is_dir() or not shutil.which("node"):
        pytest.skip("Pyodide is not here: run `npm ci` in web/")
    program = tmp_path / "program.py"
    program.write_text(f"{TELL}json.dumps(told)")
    run = ("node", ROOT / "tests" / "pyodide_run.mjs", pyodide, "none", program, SOURCE.parent)
    assert_same(told_here(), told_by(*run))


# --- Without the kernel


@pytest.mark.slow
def test_without_the_kernel_the_same_answers_come_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    native = Lab()
    monkeypatch.setattr("microgpt.engines.choose.ENGINES", {"scalar": ("scalar", "ScalarEngine")})
    slow = Lab()
    assert slow.ask("model")["engine"] == "scalar"
    answer = slow.ask("surface", word=WORD, x="wte[12][3]", y="wte[4][3]", size=41, reach=0.5, steps=60)
    assert len(answer["x"]["values"]) < 41
    for lab in (native, slow):
        lab.ask("reset", config={**SMALL, "num_steps": 25})
        lab.train(23)
        lab.ask("scrub", step=17)
    assert slow.state() == native.state()
    assert lab_run.EVERY["scalar"] == 10
    assert slow.ask("history", path="wte[0][0]")["steps"] == [0, 10, 17, 20, 23]
