"""`microgpt verify`: compare an engine or a port with the reference."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from microgpt.cli import display
from microgpt.cli.options import EngineOption, JsonOption, PrecisionOption, default, number


def verify(
    engine: EngineOption = "auto",
    *,
    precision: PrecisionOption = None,
    case: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run only this case; repeatable." + default("all"))
    ] = None,
    names: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Path of the public names.txt." + default("the downloaded file"))
    ] = None,
    golden_steps: Annotated[
        int | None,
        typer.Option(
            help="Number of steps of each published run to repeat; 0 for none." + default("all"),
            **number(int, at_least=0),
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            help="Largest difference allowed; 0 requires bit-exact results." + default("depends on the precision"),
            **number(float),
        ),
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the reference's values to a folder, for comparison with a port's."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Compare a port's values with the reference's; use the same folder layout as --export.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Compare an engine or a port with the reference, tensor by tensor.

    An engine is also compared with the published runs. The exit status is 1
    if anything differs by more than the tolerance. docs/verify.md describes
    the folder layout that --export and --against use.

    [bold]Examples[/]

      microgpt verify --engine scalar --case odd_sizes --golden-steps 0
      microgpt verify --export port
      microgpt verify --against port
    """
    from microgpt.verification import engine as oracle
    from microgpt.verification import port

    other = "against" if against else "export" if export else None
    options = {"case": case, "names": names, "golden_steps": golden_steps, "precision": precision, "export": export}
    for name, value in options.items():
        if other and value and name != other:
            raise ValueError(f"{name} and {other} cannot be used together: omit one of them")
    if export is not None:
        with display.Status() as status:
            paths = port.export(export, status)
        display.note(f"wrote {len(paths)} files to {export}; compare with: microgpt verify --against DIR")
        return
    if against is not None:
        with display.Status() as status:
            answer = port.against(against, tolerance, status)
        print(json_module.dumps(answer.to_dict(), allow_nan=False) if json else port.render(answer))
        raise typer.Exit(answer.status)
    with display.Status() as status:
        report = oracle.verify(
            engine,
            precision,
            cases=case,
            names=names,
            golden_steps=golden_steps,
            tolerance=tolerance,
            progress=status,
        )
    print(json_module.dumps(report.to_dict(), allow_nan=False) if json else oracle.render(report))
    raise typer.Exit(report.status)
