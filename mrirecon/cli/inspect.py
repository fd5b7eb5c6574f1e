"""`mrirecon inspect`: say what a file is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mrirecon.cli.options import Commands


def add_inspect(commands: Commands) -> None:
    """The command `inspect` and its options."""
    command = commands.add_parser("inspect", help="say what a file is and what recon would do", allow_abbrev=False)
    command.add_argument("file", type=Path, help="raw data, NIfTI or DICOM; of a BART pair, either file")
    command.add_argument("--json", action="store_true", help="machine-readable")
    command.set_defaults(run=run_inspect)


def run_inspect(arguments: argparse.Namespace) -> int:
    """Run `inspect`; the exit status."""
    from mrirecon.jobs.inspect import inspect_file, render_text

    report = inspect_file(arguments.file)
    text = json.dumps(report, indent=2) if arguments.json else render_text(report)
    sys.stdout.write(text.rstrip() + "\n")
    return 0
