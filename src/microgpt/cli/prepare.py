"""`microgpt prepare`: tokenize text that is too large for memory."""

from __future__ import annotations

import json as json_module
import shlex
from pathlib import Path
from typing import Annotated

import typer

from microgpt.cli import display
from microgpt.cli.options import DOCUMENTS, TOKENIZER, JsonOption, default, number
from microgpt.data.documents import MODES
from microgpt.data.prepared import check
from microgpt.data.tokenizers import KINDS


def prepare(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Text files in UTF-8, read in this order.")],
    *,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DATA", help="The folder of the prepared data.")],
    tokenizer: Annotated[str, typer.Option(metavar="|".join(KINDS), help=TOKENIZER)] = KINDS[0],
    documents: Annotated[str, typer.Option(metavar="|".join(MODES), help=DOCUMENTS)] = MODES[0],
    bos_first: Annotated[bool, typer.Option("--bos-first", help="BOS is token id 0 instead of the last id.")] = False,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes." + default("one for each processor"), **number(int, at_least=1)),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what was prepared otherwise.")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Afterwards, read all of it and compare checksums.")] = False,
    json: JsonOption = False,
) -> None:
    """Tokenize text that is too large for memory, once; training then reads it from disk where it needs it.

    Stopped, it goes on where it was when it is asked the same again.

    [bold]Examples[/]

      microgpt prepare names -o data/names
      microgpt prepare names -o data/bytes --tokenizer byte --documents stream
      microgpt train data/names --out runs/prepared --num-steps 20
    """
    from microgpt.data.prepare import prepare as prepare_data  # and with it what starts processes

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
        display.tell("stopped; the same command goes on from here")
        raise
    facts = data.summary()
    if json:
        print(json_module.dumps(facts))
        return
    documents_told = f"{facts['num_docs']:,} documents, " if data.mode == "lines" else ""
    print(
        f"{output}: {documents_told}{facts['tokens']:,} tokens of {data.vocab_size:,},"
        f" {data.bytes_per_token} bytes each; train on it with: microgpt train {shlex.quote(str(output))}"
    )
