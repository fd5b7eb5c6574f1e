"""`mrirecon verify`: compare a series with the scanner's."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mrirecon.cli.options import Commands


def add_verify(commands: Commands) -> None:
    """The command `verify` and its options."""
    command = commands.add_parser(
        "verify", help="compare a written series with the scanner's: place, orientation, pictures", allow_abbrev=False
    )
    command.add_argument("series", type=Path, metavar="SERIES", help="DICOM folder, or what recon wrote")
    command.add_argument("--against", type=Path, required=True, metavar="SCANNER_SERIES", help="DICOM folder")
    command.add_argument("--json", action="store_true", help="machine-readable, with every orientation's score")
    tolerance = command.add_argument_group("tolerances")
    tolerance.add_argument("--orientation-deg", type=float, default=0.5, metavar="DEG", help="default 0.5")
    tolerance.add_argument("--position-mm", type=float, metavar="MM", help="default half a pixel, quarter slice step")
    tolerance.add_argument("--size-percent", type=float, default=1.0, metavar="P", help="spacing and FOV, default 1")
    tolerance.add_argument("--shift-mm", type=float, metavar="MM", help="default 0.3 voxels")
    tolerance.add_argument("--correlation", type=float, default=0.9, metavar="C", help="least one, default 0.9")
    tolerance.add_argument("--margin", type=float, default=0.02, metavar="M", help="by which another orientation must "
                           "win, default 0.02")  # fmt: skip
    tolerance.add_argument("--shading-order", type=int, default=2, metavar="N", help="degree of smooth shading that "
                           "is fitted away, default 2; 0 for none")  # fmt: skip
    tolerance.add_argument("--study", choices=["auto", "required", "ignored"], default="auto", help="whether study and "
                           "frame of reference must be the same; auto: unless identifiers were removed")  # fmt: skip
    command.set_defaults(run=run_verify)


def run_verify(arguments: argparse.Namespace) -> int:
    """Run `verify`; 0 when the series agree, 1 when they do not."""
    from mrirecon.evaluation.agreement.tolerances import Tolerances
    from mrirecon.jobs.verify import record_agreement, render_agreement, verify_series

    tolerances = Tolerances(
        orientation_deg=arguments.orientation_deg,
        position_mm=arguments.position_mm,
        size_percent=arguments.size_percent,
        shift_mm=arguments.shift_mm,
        correlation=arguments.correlation,
        margin=arguments.margin,
        shading_order=arguments.shading_order,
        study=arguments.study,
    )
    agreement = verify_series(arguments.series, arguments.against, tolerances)
    if arguments.json:
        record = record_agreement(agreement, arguments.series, arguments.against)
        sys.stdout.write(json.dumps(record, indent=2) + "\n")
    else:
        sys.stdout.write(render_agreement(agreement) + "\n")
    return 0 if agreement.agrees else 1
