"""`microgpt verify`: compare an engine or a port with the reference."""

from __future__ import annotations

import json as json_module
from pathlib import Path

from microgpt.cli import display
from microgpt.cli.options import ENGINE_NAME, JSON, PRECISION, number, option
from microgpt.verification.kinds import KINDS

ARGUMENTS = [
    ENGINE_NAME,
    PRECISION,
    option("--case", action="append", metavar="NAME", shown="all", help="Run only this case; repeatable."),
    option("--names", metavar="FILE", type=Path, shown="the downloaded file", help="Path of the public names.txt."),
    option(
        "--golden-steps",
        **number(int, at_least=0),
        shown="all",
        help="Number of steps to repeat from each published run; 0 for none.",
    ),
    option(
        "--tolerance",
        **number(float),
        shown="depends on the precision",
        help="Largest difference allowed; 0 requires bit-exact results.",
    ),
    option(
        "--export",
        metavar="DIR",
        type=Path,
        help="Write the reference's values to a folder, for comparison with a port's.",
    ),
    option(
        "--against",
        metavar="DIR",
        type=Path,
        help="Compare a port's values with the reference's; use the same folder layout as --export.",
    ),
    option(
        "--require",
        metavar="KINDS",
        help="With --against: fail unless these kinds of tensors were compared in full: a comma-separated list of"
        f" {', '.join(KINDS)}.",
    ),
    JSON,
]


def verify(
    *,
    engine: str,
    precision: str | None,
    case: list[str] | None,
    names: Path | None,
    golden_steps: int | None,
    tolerance: float | None,
    export: Path | None,
    against: Path | None,
    require: str | None,
    json: bool,
) -> int:
    """Compare an engine or a port with the reference, tensor by tensor.

    An engine is also compared with the published runs. The exit status is 1
    if anything differs by more than the tolerance or a required kind of tensor
    was not compared, and 2 if nothing was compared. docs/verify.md describes
    the folder layout that --export and --against use.

    Examples:
      microgpt verify --engine scalar --case odd_sizes --golden-steps 0
      microgpt verify --export expected
      microgpt verify --against mine --case final --require losses,grads
    """
    from microgpt.verification import engine as oracle
    from microgpt.verification import port
    from microgpt.verification.port_report import render

    if require is not None and against is None:
        raise ValueError("require needs against: add --against DIR, the folder with the port's values")
    other = "against" if against else "export" if export else None
    options: dict[str, object] = {
        "engine": engine if engine != "auto" else None,
        "precision": precision,
        "names": names,
    }
    options |= {"golden_steps": golden_steps, "export": export}
    if other == "export":  # a comparison with a port also has these options
        options |= {"case": case, "tolerance": tolerance, "json": json or None}
    for name, value in options.items():
        if other and value is not None and name != other:
            raise ValueError(f"{name} and {other} cannot be used together: omit one of them")
    if export is not None:
        with display.status() as show:
            paths = port.export(export, show)
        display.note(f"wrote {len(paths)} files to {export}; compare with: microgpt verify --against DIR")
        return 0
    if against is not None:
        with display.status() as show:
            kinds = () if require is None else require.split(",")
            comparison = port.against(against, tolerance, show, cases=case, require=kinds)
        if json:
            print(json_module.dumps(comparison.to_dict(), allow_nan=False))
        else:
            display.report(render(comparison), keep="\n")
        return comparison.status
    with display.status() as show:
        report = oracle.verify(
            engine,
            precision,
            cases=case,
            names=names,
            golden_steps=golden_steps,
            tolerance=tolerance,
            progress=show,
        )
    if json:
        print(json_module.dumps(report.to_dict(), allow_nan=False))
    else:
        display.report(oracle.render(report), keep="\n")
    return report.status
