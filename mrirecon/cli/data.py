"""`mrirecon data`: list data sets, check a download."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from mrirecon.cli.options import Commands
from mrirecon.jobs.reporting import StandardError


def add_data(commands: Commands) -> None:
    """The command `data` and its options."""
    command = commands.add_parser("data", help="list data sets, check a download", allow_abbrev=False)
    jobs = command.add_subparsers(dest="job", required=True, metavar="JOB")
    check = jobs.add_parser("check", help="say what is wrong with a download", allow_abbrev=False)
    check.add_argument("spec", metavar="SPEC", help="name of a data specification (see `data list`), or a YAML file")
    check.add_argument("root", nargs="?", type=Path, metavar="ROOT", help="folder of the data, default $MRIRECON_DATA")
    check.add_argument("--split", action="append", metavar="S", help="look at this split alone; may be repeated")
    check.add_argument("--no-checksums", action="store_true", help="do not read whole files")
    check.add_argument("--open", action="store_true", help="open every file with its reader, and read one plane")
    check.set_defaults(run=run_data_check)
    listing = jobs.add_parser("list", help="the data sets that are known", allow_abbrev=False)
    listing.set_defaults(run=run_data_list)
    for job in (check, listing):
        job.add_argument("--specs", type=Path, metavar="DIR", help="data specifications, default those of the package")
        job.add_argument("--json", action="store_true", help="machine-readable")


def run_data_check(arguments: argparse.Namespace) -> int:
    """Run `data check`; the exit status."""
    from mrirecon.jobs.data_check import check_download, render_check

    report = check_download(
        arguments.spec,
        arguments.root,
        specs=arguments.specs,
        splits=arguments.split,
        checksums=not arguments.no_checksums,
        open_files=arguments.open,
        reporter=StandardError(),
    )
    sys.stdout.write((json.dumps(report, indent=2) if arguments.json else render_check(report)) + "\n")
    return 0 if report["ok"] else 2


def run_data_list(arguments: argparse.Namespace) -> int:
    """Run `data list`; the exit status."""
    from mrirecon.jobs.data_check import list_specs, render_list

    rows = list_specs(specs=arguments.specs)
    sys.stdout.write((json.dumps(rows, indent=2) if arguments.json else render_list(rows)) + "\n")
    return 0
