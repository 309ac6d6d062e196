"""`microgpt prepare`: tokenize text that is too large for memory."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated

import typer

from microgpt.cli import display
from microgpt.cli.options import DOCUMENTS, FLAG, TOKENIZER, JsonOption, default, number
from microgpt.data.documents import MODES
from microgpt.data.prepared import check
from microgpt.data.tokenizers import KINDS


def prepare(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="UTF-8 text files, read in the order given.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the prepared data.")],
    tokenizer: Annotated[str, typer.Option(metavar="|".join(KINDS), help=TOKENIZER)] = KINDS[0],
    documents: Annotated[str, typer.Option(metavar="|".join(MODES), help=DOCUMENTS)] = MODES[0],
    bos_first: Annotated[
        bool, typer.Option("--bos-first", help="Use token id 0 for BOS instead of the last id.", **FLAG)
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(help="Number of processes." + default("one per processor"), **number(int, at_least=1)),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace existing data that was prepared with other options.", **FLAG)
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="When done, read all files back and verify their checksums.", **FLAG)
    ] = False,
    json: JsonOption = False,
) -> None:
    """Tokenize text that is too large for memory and store the tokens in files.

    Training then reads only the tokens it needs. If `prepare` is
    interrupted, run the same command again to resume.

    [bold]Examples[/]

      microgpt prepare names -o data/names
      microgpt prepare names -o data/bytes --tokenizer byte --documents stream
      microgpt train data/names --out runs/prepared --num-steps 20
    """
    from microgpt.data.prepare import prepare as prepare_data  # deferred, because it imports multiprocessing

    try:
        with display.Bars() as progress:
            data = prepare_data(
                files,
                output,
                tokenizer=tokenizer,
                documents=documents,
                bos_first=bos_first,
                workers=workers,
                overwrite=overwrite,
                progress=progress,
            )
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
    print(f"{output}: {count}{facts['tokens']:,} tokens, {width}; vocab size: {data.vocab_size:,}")
    print(f"to train on this data: microgpt train {shlex.quote(str(output))}")
