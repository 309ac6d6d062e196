"""`microgpt prepare`: tokenize text that is too large for memory."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Any

from microgpt.cli import display
from microgpt.cli.options import DOCUMENTS, JSON, TOKENIZER, argument, flag, number, option
from microgpt.data.prepared import PREPARED, check
from microgpt.data.tokenizers import KINDS

ARGUMENTS = [
    argument("FILE...", "UTF-8 text files, read in the order given.", name="files", nargs="+"),
    option("-o", "--output", metavar="DIR", type=Path, required=True, help="Folder for the prepared data."),
    option("--tokenizer", metavar="|".join(KINDS), default=KINDS[0], help=TOKENIZER),
    option("--documents", metavar="|".join(PREPARED), default=PREPARED[0], help=DOCUMENTS),
    flag("--bos-first", "Use token id 0 for BOS instead of the last id."),
    option("--workers", **number(int, at_least=1), shown="one per processor", help="Number of processes."),
    flag("--overwrite", "Replace existing data that was prepared with other options."),
    flag("--verify", "When done, read all files back and verify their checksums."),
    JSON,
]


def prepare(files: list[str], *, output: Path, verify: bool, json: bool, **how: Any) -> None:
    """Tokenize text that is too large for memory and store the tokens in files.

    Training then reads only the tokens it needs. If `prepare` is
    interrupted, run the same command again to resume.

    Examples:
      microgpt prepare names -o data/names
      microgpt prepare names -o data/bytes --tokenizer byte --documents stream
      microgpt train data/names --out runs/prepared --num-steps 20
    """
    from microgpt.data.prepare import prepare as prepare_data  # deferred, because it imports multiprocessing

    try:
        with display.bars() as progress:
            data = prepare_data(files, output, progress=progress, **how)
            if verify:
                check(output, progress)
    except KeyboardInterrupt:
        display.note("stopped; run the same command again to continue")
        raise
    facts = data.summary()
    if json:
        print(json_module.dumps(facts))
        return
    count = f"{facts['num_docs']:,} documents, " if data.mode == "lines" else ""
    width = f"{data.bytes_per_token} byte{'s' * (data.bytes_per_token > 1)} each"
    display.report(f"{output}: {count}{facts['tokens']:,} tokens, {width}; vocab size: {data.vocab_size:,}")
    display.report(f"to train on this data: microgpt train {shlex.quote(str(output))}")
