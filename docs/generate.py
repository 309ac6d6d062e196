"""Fill in the figures of the documents, so that none is typed: `python docs/generate.py [--check]`.

In README.md and docs/*.md a figure stands between two comments, `<!--NAME-->` and `<!--/-->`, which a reader does not
see. NAME is one of `figures()`; `lines:X` gives the lines of reference.py that define X (`Value`, `Value.backward`).
--check writes nothing, and exits with 1 where a document is not up to date.
"""

from __future__ import annotations

import ast
import dataclasses
import math
import random
import re
import sys
from pathlib import Path

from microgpt import reference
from microgpt.config import PRESETS, Config, num_params, shapes
from microgpt.data.sources import NAMES
from microgpt.reference import Value
from microgpt.tracing import names as tensor_names
from microgpt.verification import port
from microgpt.verification.cases import CASES

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "microgpt"
MARK = re.compile(r"<!--([a-z][\w:. -]*)-->(.*?)<!--/-->", re.DOTALL)

ROLES = {
    "wte": "token embeddings: a row for each token",
    "wpe": "position embeddings: a row for each position",
    "lm_head": "the next token's logits: a row for each token",
    "layer0.attn_wq": "queries: what a position looks for",
    "layer0.attn_wk": "keys: what it can be found by",
    "layer0.attn_wv": "values: what it tells when it is found",
    "layer0.attn_wo": "mixes what the heads found",
    "layer0.mlp_fc1": "widens fourfold, before the activation",
    "layer0.mlp_fc2": "narrows again, after it",
}
MAP = {  # the file map of the README
    "src/microgpt/reference.py": "the complete algorithm in one file; runs alone",
    "src/microgpt/config.py": "sizes, settings, presets; the table of parameters",
    "src/microgpt/tokenization.py": "characters, bytes, byte pairs",
    "src/microgpt/permutation.py": "a shuffled order that takes no memory",
    "src/microgpt/searching.py": "which of many short sequences stand in a long one",
    "src/microgpt/data.py": "text to token ids: data sets, files, the held-out part",
    "src/microgpt/safetensors.py": "the file format: named tensors, written whole or not at all",
    "src/microgpt/prepared.py": "text beyond memory, tokenized and on disk",
    "src/microgpt/preparing.py": "makes that: in parallel, and resumable",
    "src/microgpt/checkpoint.py": "all that a run needs to go on, in one such file",
    "src/microgpt/engines/__init__.py": "what an engine is: the contract, in words",
    "src/microgpt/engines/native/kernel/": "forward, backward and Adam in C, exact or fast",
    "src/microgpt/engines/native.py": "the kernel behind that contract",
    "src/microgpt/engines/shared_library.py": "the kernel as this machine's compiler made it",
    "src/microgpt/engines/webassembly.py": "the kernel in a browser",
    "src/microgpt/engines/scalar.py": "the reference behind that contract",
    "src/microgpt/engines/torch.py": "PyTorch behind that contract: GPUs",
    "src/microgpt/engines/torch_ranks.py": "many processes that train one model",
    "src/microgpt/engines/torch_model.py": "the model as an nn.Module with the reference's names",
    "src/microgpt/training.py": "a generator of training steps",
    "src/microgpt/sampling.py": "a generator of tokens",
    "src/microgpt/evaluation.py": "held-out loss, what counting letters reaches, how much is new",
    "src/microgpt/listing.py": "the program that runs, and how it is called: reference.py, or an edited one",
    "src/microgpt/naming.py": "what every number of an execution is called",
    "src/microgpt/recording.py": "those numbers, noted while the reference runs",
    "src/microgpt/program.py": "the reference with nodes that know how they were made",
    "src/microgpt/anatomy.py": "names for what is inside a number: terms, sums, inverses",
    "src/microgpt/graph.py": "from any path to its number, and back",
    "src/microgpt/stepping.py": "the program's steps, line by line",
    "src/microgpt/tracing.py": "one execution of the reference: any number, its sum, its graph, its blame",
    "src/microgpt/cases.py": "the small trainings on which engines and ports are compared",
    "src/microgpt/comparison.py": "how far two tensors are apart, and where first",
    "src/microgpt/verify.py": "is an engine the reference?",
    "src/microgpt/ports.py": "is somebody's port, in any language, the reference?",
    "src/microgpt/bench.py": "how fast is each engine, and how far from the reference?",
    "src/microgpt/machine.py": "what a measurement was made on",
    "src/microgpt/tables.py": "rows of text as a table",
    "src/microgpt/lock.py": "one process at a time in a folder",
    "src/microgpt/run.py": "the life of a run, and the folder that keeps it",
    "src/microgpt/display.py": "how training looks: live, in a log, to a program",
    "src/microgpt/exporting.py": "a model as an ONNX file",
    "src/microgpt/board.py": "metrics for TensorBoard",
    "src/microgpt/plot.py": "loss curves as a picture",
    "src/microgpt/lab/answers.py": "requests and answers as JSON, checked",
    "src/microgpt/lab/texts.py": "the texts that models are trained on",
    "src/microgpt/lab/expression.py": "a small graph of Values, forward and backward",
    "src/microgpt/lab/source.py": "the program as a text",
    "src/microgpt/lab/variants.py": "changes to the program, to be tried",
    "src/microgpt/lab/running.py": "a program run for what it prints",
    "src/microgpt/lab/runs.py": "runs, and the way back to each of their steps",
    "src/microgpt/lab/edited.py": "an edited program in the reference's place",
    "src/microgpt/lab/figures.py": "what the figures show of a word",
    "src/microgpt/lab/unmasked.py": "attention that sees the future, and what it does to the loss",
    "src/microgpt/lab/updates.py": "one step of Adam, not kept",
    "src/microgpt/lab/surface.py": "the loss over two parameters, and two hikers",
    "src/microgpt/lab/scale.py": "what a model of other sizes costs",
    "src/microgpt/lab/ladder.py": "the same steps by every engine, timed in the page",
    "src/microgpt/lab/generation.py": "new texts, letter by letter, and how new they are",
    "src/microgpt/lab/comparing.py": "where two runs part",
    "src/microgpt/lab/opened.py": "any number, opened",
    "src/microgpt/lab/nudging.py": "a gradient checked by a small push",
    "src/microgpt/lab/finding.py": "a number by its name, or by half of it",
    "src/microgpt/lab/playing.py": "the program, played chapter by chapter, with its variables",
    "src/microgpt/lab/relay.py": "backward, one += after another",
    "src/microgpt/lab/saving.py": "a session as one text, and back",
    "src/microgpt/lab/session.py": "what the lab's page can ask",
    "src/microgpt/lab/__init__.py": "the lab: a page that shows all this at work",
    "src/microgpt/lab/snapshot.py": "what the page shows before Python has loaded in it",
    "src/microgpt/lab/server.py": "serves the page and the runs, to this machine alone",
    "src/microgpt/cli.py": "the commands",
    "src/microgpt/names.txt": "the bundled data: given names of many cultures",
    "src/microgpt/golden/": "the figures of the published runs",
    "web/": "the lab's page: Svelte and TypeScript; build_site.py builds it into the package",
    "tests/": "a file for each module",
    "benchmarks/": "commands that measure",
    "docs/": "the reference explained, how to verify a port, how the lab works; generate.py fills in the figures",
}


def definitions() -> dict[str, tuple[int, int]]:
    """First and last line of each function, class and method of reference.py, and of each of its sections."""
    source = (SOURCE / "reference.py").read_text()
    table = {}
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            assert node.end_lineno
            table[node.name] = (node.lineno, node.end_lineno)
            for method in node.body:
                if isinstance(method, ast.FunctionDef):
                    assert method.end_lineno
                    table[f"{node.name}.{method.name}"] = (method.lineno, method.end_lineno)
    return table


def graph_size(word: str) -> tuple[int, int]:
    """(nodes in all, parameters among them) behind the loss of a word in the standard model."""
    documents = reference.documents(NAMES)
    tokenizer = reference.Tokenizer(set("".join(documents)))
    state_dict = reference.init(reference.shapes(27, 16, 1, 16), random.Random(42), 0.08)
    loss = reference.loss(tokenizer.encode(word), state_dict, 1, 4, 16)
    seen: set[Value] = set()
    stack = [loss]
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += [operand for operand in (node.a, node.b) if operand is not None]
    params = {p for matrix in state_dict.values() for row in matrix for p in row}
    return len(seen), len(seen & params)


def settings_table() -> str:
    rows = ["| setting | final | first | what it is |", "|---|---|---|---|"]
    for f in dataclasses.fields(Config):
        final, first = (getattr(PRESETS[preset], f.name) for preset in ("final", "first"))
        rows.append(f"| `{f.name}` | {final} | {'' if first == final else first} | {f.metadata['help']} |")
    return "\n" + "\n".join(rows) + "\n"


def shapes_table() -> str:
    rows = ["| matrix | rows x columns | numbers | what it is |", "|---|---|---|---|"]
    for name, (height, width) in shapes(Config(), 27).items():
        rows.append(f"| `{name}` | {height} x {width} | {height * width:,} | {ROLES[name]} |")
    rows.append(f"| | in all | {num_params(Config(), 27):,} | |")
    return "\n" + "\n".join(rows) + "\n"


def tensors_table() -> str:
    rows = ["| name | shape | what it is |", "|---|---|---|"]
    for part in (
        tensor_names.EMBEDDING,
        tensor_names.BEFORE_HEADS,
        tensor_names.HEAD,
        tensor_names.AFTER_HEADS,
        tensor_names.OUTPUT,
        tensor_names.DOCUMENT,
    ):
        for name, shape, meaning in part:
            name = name.replace("{t}", "T").replace("{i}", "L").replace("{h}", "H")
            rows.append(f"| `{name}` | {', '.join(shape).replace('t+1', 'T+1') or 'one number'} | {meaning} |")
    return "\n" + "\n".join(rows) + "\n"


def cases_table() -> str:
    rows = ["| case | what it is | n_embd | n_head | n_layer | block_size | characters of each step's documents |"]
    rows.append("|---|---|---|---|---|---|---|")
    for case in CASES.values():
        c = case.config
        lengths = "; ".join(", ".join(map(str, step)) for step in case.lengths)
        sizes = f"{c.n_embd} | {c.n_head} | {c.n_layer} | {c.block_size}"
        rows.append(f"| `{case.name}` | {case.about} | {sizes} | {lengths} |")
    return "\n" + "\n".join(rows) + "\n"


def file_map() -> str:
    width = max(map(len, MAP))
    return "\n```\n" + "\n".join(f"{path:{width}}  {what}" for path, what in MAP.items()) + "\n```\n"


def figures() -> dict[str, str]:
    """Every figure by its name."""
    nodes, used = graph_size("emma")
    published = PRESETS["final"]
    return {
        "length": str(len((SOURCE / "reference.py").read_text().splitlines())),
        "names": f"{len(reference.documents(NAMES)):,}",
        "params": f"{num_params(published, 27):,}",
        "params first": f"{num_params(PRESETS['first'], 27):,}",
        "head_dim": str(published.n_embd // published.n_head),
        "ln27": f"{math.log(27):.4f}",
        "nodes emma": f"{nodes:,}",
        "params emma": f"{used:,}",
        "settings": settings_table(),
        "shapes": shapes_table(),
        "map": file_map(),
        "tensors": tensors_table(),
        "cases": cases_table(),
        "tolerance F64": f"{port.TOLERANCES['F64']:g}",
        "tolerance F32": f"{port.TOLERANCES['F32']:g}",
        **{f"lines:{name}": f"{first}–{last}" for name, (first, last) in definitions().items()},
    }


def fill(text: str, table: dict[str, str]) -> str:
    """The document with each figure renewed; KeyError for a name that is no figure."""
    return MARK.sub(lambda match: f"<!--{match[1]}-->{table[match[1]]}<!--/-->", text)


def documents() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def main() -> int:
    table, stale = figures(), []
    for path in documents():
        text = path.read_text(encoding="utf-8")
        filled = fill(text, table)
        if filled != text:
            stale.append(str(path.relative_to(ROOT)))
            if "--check" not in sys.argv:
                path.write_text(filled, encoding="utf-8")
    for name in stale:
        print(f"{'not up to date' if '--check' in sys.argv else 'renewed'}: {name}")
    return int("--check" in sys.argv and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
