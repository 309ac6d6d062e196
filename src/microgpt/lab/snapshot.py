"""The responses that the page shows before Python has loaded, computed at build time.

A new session computes the responses.

    python -m microgpt.lab.snapshot [OUT.json]

This command writes a JSON object that maps each request to its response. A request is written as its method, followed
by its parameters as JSON with sorted keys and no spaces: `forward {"word":"emma"}`. The page loads this file first, so
the file contains only the responses that are visible immediately.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microgpt.errors import LabError
from microgpt.lab.wire import Wire

WORD = "emma"
RAREST = "qqq"  # the rarest letter of the names, three times
SEED = 42
STEEP = "lm_head[12][13]"  # the weight with the largest gradient
GENERATED = {"seed": SEED, "index": 0, "temperature": 0.5}
TEMPERATURES = (0.2, 0.5, 2.0)  # shown side by side
POINTS = [round(-2 + i / 10, 3) for i in range(41)]
EXP = {  # the exp curve, with one point per input
    "source": ";".join(f"y{i}=exp(x{i})" for i in range(len(POINTS))),
    "inputs": {f"x{i}": x for i, x in enumerate(POINTS)},
}
OPERATIONS = ("a**2", "a**-1", "log(a)", "exp(a)", "relu(a)")

SIZES = {  # section 11: model sizes, each with its number of training tokens (0: not stated)
    (16, 1, 16, 27): 0,
    (768, 12, 1024, 50_257): 0,
    (12_288, 96, 2048, 50_257): 300_000_000_000,
    (12_288, 96, 1024, 50_257): 0,  # the previous model, with half the context
}

# What the page requests in its initial state. All other requests wait until Python has loaded.
REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("hello", {}),
    ("source", {}),
    ("variants", {}),
    ("model", {}),
    ("runs", {}),
    ("examples", {}),
    ("tokens", {"text": WORD}),
    ("data", {}),
    ("shuffle", {"seed": SEED, "count": 8}),
    ("samples", {"seed": SEED, "count": 6, "temperature": 0.5}),
    *(("samples", {"seed": 7, "count": 10, "temperature": temperature}) for temperature in TEMPERATURES),
    ("known", {"text": WORD}),
    ("progress", {"fresh": True}),
    ("memorized", {}),
    ("pair", {"differs": "learning_rate"}),
    ("generate", GENERATED),
    ("generate", {**GENERATED, "seed": 7}),
    ("expression", {"source": "y = x * x + x", "inputs": {"x": 1.5}}),
    ("expression", {"source": "y = x * x + x", "inputs": {"x": 1.5}, "accumulate": False}),
    ("expression", {"source": "y = x * x + x", "inputs": {"x": 1.5}, "order": "naive"}),
    ("expression", {"source": "y = x * x + x", "inputs": {"x": 1.5}, "times": 2}),
    ("expression", EXP),
    *(("expression", {"source": f"y = {one}", "inputs": {"a": 0.8}}) for one in OPERATIONS),
    *(("expression", {"source": f"y = a {sign} b", "inputs": {"a": 0.8, "b": -1.5}}) for sign in "+*"),
    ("expression", {"source": "h = relu(x); y = w * h", "inputs": {"x": 0.7, "w": -1.5}}),
    ("graph", {"word": WORD}),
    ("parameters", {}),
    ("likeness", {}),
    ("nearest", {"symbol": WORD[2]}),
    ("forward", {"word": WORD}),
    ("forward", {"word": WORD, "only": ["tok_emb", "pos_emb", "emb"]}),
    ("number", {"word": WORD, "path": "pos3.layer0.q[9]"}),
    ("attention", {"word": WORD}),
    ("number", {"word": WORD, "path": "pos3.layer0.attn_logits.head0[0]"}),
    ("number", {"word": WORD, "path": "pos3.layer0.x_attn.head0[0]"}),
    ("gate", {"word": WORD, "layer": 0}),
    ("guesses", {"word": WORD}),
    ("deciding_heads", {}),
    ("guesses_without", {"word": WORD, "layer": 0, "part": "x_attn", "numbers": [0]}),
    ("guesses_attending", {"word": WORD, "layer": 0, "head": 0, "position": 3, "skip": 0}),
    ("guesses_on_the_way", {"word": WORD, "position": 3}),
    ("most_missed", {"word": WORD, "layer": 0, "position": 3}),
    ("ripple", {"word": WORD, "position": 3, "opening": True}),
    ("history", {"word": WORD, "path": "wte[26][0]"}),
    ("sizes", {"n_embd": 768, "n_layer": 12, "block_size": 512, "vocab_size": 40_478}),
    ("sizes", {"n_embd": 1600, "n_layer": 48, "block_size": 1024, "vocab_size": 50_257}),
    ("sizes", {"n_embd": 12_288, "n_layer": 96, "block_size": 2048, "vocab_size": 50_257}),
    ("loss", {"word": WORD}),
    ("gradients", {"word": WORD}),
    ("evaluate", {}),
    ("learned", {"word": WORD}),
    ("update", {"word": WORD, "what": []}),
    ("update", {"word": WORD, "what": ["delta"]}),
    ("adam", {"word": WORD, "path": STEEP}),
    ("schedule", {}),
    *(("hike", {"word": WORD, "scene": scene}) for scene in ("ravine", "valleys")),
    ("spelled", {"text": WORD}),
    ("generate", {**GENERATED, "prompt": "hello"}),
    *(
        ("budget", {**dict(zip(("n_embd", "n_layer", "block_size", "vocab_size"), sizes)), "tokens": tokens})
        for sizes, tokens in SIZES.items()
    ),
    *(("chapter", {"name": name, "word": WORD}) for name in ("data", "tokens", "forward", "loss", "adam")),
)


def snapshot() -> Iterator[tuple[str, Any]]:
    """Yield each request's name and response.

    Raises:
        LabError: A request failed.
    """
    wire = Wire()

    def ask(method: str, params: dict[str, Any]) -> tuple[str, Any]:
        response = json.loads(wire.ask(json.dumps({"method": method, "params": params})))
        if "error" in response:
            raise LabError(f"{name(method, params)}: {response['error']}")
        return name(method, params), response["result"]

    for method, params in REQUESTS:
        yield ask(method, params)
    _, generated = ask("generate", GENERATED)
    _, missed = ask("most_missed", {"word": WORD, "layer": 0, "position": 3})
    yield ask("guesses_without", {"word": WORD, "layer": 0, "part": "mlp_act", "numbers": [missed["unit"]]})
    _, examples = ask("examples", {})
    for word in compared(examples):
        yield ask("loss", {"word": word})
    # applied to the logits of the first letter
    scales = [1 / temperature for temperature in TEMPERATURES]
    yield ask("softmax", {"logits": generated["letters"][0]["logits"], "scales": scales})


def compared(examples: dict[str, Any]) -> list[str]:
    """Return the words that section 6 compares with the reader's word, of those that `examples` found."""
    reversed_ = [word for pair in examples["backwards"][:1] for word in (pair["word"], pair["backwards"])]
    others = [one["word"] for kind in ("familiar", "held_out", "invented", "worse") for one in examples[kind][:1]]
    return list(dict.fromkeys([*reversed_, *others, RAREST]))


def name(method: str, params: dict[str, Any]) -> str:
    """Return a request's name: its method, followed by its parameters as JSON."""
    return f"{method} {json.dumps(params, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}"


def main() -> None:
    """Write the snapshot to the file named on the command line, or to standard output."""
    text = json.dumps(dict(snapshot()), separators=(",", ":"), allow_nan=False)
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
