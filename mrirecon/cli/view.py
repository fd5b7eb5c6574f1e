"""`mrirecon view`: look at a folder of results in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from mrirecon.cli.options import Commands
from mrirecon.jobs.reporting import StandardError

_BESIDE = "results, DICOM series or NIfTI file"


def add_view(commands: Commands) -> None:
    """The command `view` and its options."""
    command = commands.add_parser("view", help="look at results in the browser, on this machine", allow_abbrev=False)
    command.add_argument("folder", type=Path, metavar="DIR", help="what recon wrote, a DICOM folder, or a NIfTI file")
    command.add_argument("--reference", type=Path, metavar="PATH", help=f"{_BESIDE} to compare with")
    command.add_argument("--classical", type=Path, metavar="PATH", help=f"{_BESIDE}: classical image of the same data")
    command.add_argument("--port", type=int, default=0, metavar="N", help="default: a free one")
    command.add_argument("--no-browser", action="store_true", help="only print the address")
    command.set_defaults(run=run_view)


def run_view(arguments: argparse.Namespace) -> int:
    """Run `view`; the exit status."""
    from mrirecon.jobs.view import ViewOptions, view

    options = ViewOptions(
        reference=arguments.reference,
        classical=arguments.classical,
        port=arguments.port,
        browser=not arguments.no_browser,
    )
    view(arguments.folder, options, StandardError())
    return 0
