"""The data: tokens, statistics, the shuffle, and a user's own file."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microgpt.data.loading import load
from microgpt.data.sources import NAMES

from conftest import whole
from lab.session_client import Lab, file


def test_tokens_are_those_of_the_tokenizer_and_unknown_characters_are_listed(readonly: Lab) -> None:
    response = readonly.ask("tokens", text="Zoë emma")
    tokenizer = load("names").tokenizer
    assert response["ids"] == tokenizer.encode("oemma")
    assert [c["id"] for c in response["characters"]] == [None, 14, None, None, 4, 12, 12, 0]
    assert response["unknown"] == ["Z", "ë", " "]
    assert (response["positions"], response["cut"]) == (6, 0)
    long = readonly.ask("tokens", text="a" * 20)
    assert (long["positions"], long["cut"]) == (16, 4)


def test_a_document_is_found_in_its_part_of_the_data(lab: Lab) -> None:
    lab.ask("reset", config={}, name="held out", val_fraction=0.2)
    data = load("names")
    training, held_out = data.order(42, 0.2, random.Random(42))
    only_held_out = {data.text(i) for i in held_out} - {data.text(i) for i in training}
    parts = {
        data.text(training[0]): "training",
        data.text(training[-1]): "training",
        **dict.fromkeys(sorted(only_held_out)[:3], "held out"),
        **dict.fromkeys(("", "xqzw", "Emma", "日本"), None),
    }
    assert {text: lab.ask("known", text=text)["part"] for text in parts} == parts


def test_the_statistics_are_those_of_the_file(readonly: Lab) -> None:
    names = NAMES.read_text().split()
    data = readonly.ask("data")
    counts = Counter("".join(names))
    assert {x["char"]: x["count"] for x in data["letters"]} == {**counts, "": len(names)}
    assert dict(map(tuple, data["lengths"])) == Counter(map(len, names))
    assert (data["num_docs"], data["num_chars"]) == (len(names), sum(map(len, names)))
    assert data["first"] == names[:12]
    assert data["unread"] == sum(max(0, len(n) + 1 - 16) for n in names) / sum(len(n) + 1 for n in names)
    held_out = set(random.Random("42:val").sample(range(len(names)), round(0.1 * len(names))))
    assert data["held_out"] == len(held_out)
    order = [name for i, name in enumerate(names) if i not in held_out]
    random.Random(42).shuffle(order)
    assert data["shuffled"] == order[:12]


@given(seed=st.integers(0, 10**6), count=st.integers(2, 60))
def test_the_shuffle_equals_python_s_swap_by_swap(readonly: Lab, seed: int, count: int) -> None:
    response = readonly.ask("shuffle", seed=seed, count=count)
    now = list(response["before"])
    for swap in response["swaps"]:
        now[swap["i"]], now[swap["j"]] = now[swap["j"]], now[swap["i"]]
        assert now == swap["after"]
    expected = list(response["before"])
    random.Random(seed).shuffle(expected)
    assert now == expected


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "'own.txt' is empty"),
        (b" \n\n \n", "'own.txt' is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "'own.txt' is an image, not text"),
        (b"abc\0def", "'own.txt' is not text: it contains a null byte at offset 3"),
        ("Zoë".encode("latin-1"), "'own.txt' is not UTF-8: byte 0xeb at offset 2"),
        ("".join(map(chr, range(0x4E00, 0x4E00 + 5000))), "'own.txt' has 5,000 distinct characters"),
    ],
)
def test_an_unusable_file_is_refused_with_a_message(readonly: Lab, content: str | bytes, words: str) -> None:
    assert words in readonly.refused("load_data", name="own.txt", base64=file(content))


@pytest.mark.parametrize(
    ("content", "num_docs", "some"),
    [
        ("さくら\nはると\nゆい\n" * 20, 60, "さ"),
        ("🦊🐻\n🐼🐨🐯\n👩‍🚀\n", 3, "🦊"),
        ("one line of text and nothing else, which is read as a stream " * 5, None, "t"),
        ("\ufeffanna\r\nbob\r\n", 2, "b"),
    ],
)
def test_a_users_text_is_loaded_and_trained_on(lab: Lab, content: str, num_docs: int | None, some: str) -> None:
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


@pytest.mark.parametrize("count", [75_000, whole(750_000)])  # the longer one has five megabytes
def test_a_long_text_is_loaded_as_lines_and_as_one_line(lab: Lab, count: int) -> None:
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghij", k=rng.randint(3, 9))) for _ in range(5000)]
    lines = "\n".join(rng.choices(words, k=count))
    assert len(lines) > 6.7 * count
    lab.ask("load_data", name="lines.txt", base64=file(lines))
    assert lab.ask("data")["num_docs"] == count
    lab.train(3)
    lab.ask("load_data", name="line.txt", base64=file(lines.replace("\n", " ")))
    data = lab.ask("data")
    assert data["num_chars"] == len(lines)
    assert data["num_docs"] == -(-(len(lines) + 1) // 16)
    lab.train(3)
