"""The `mrirecon` command: parses, calls a job, prints, exits.

One file per command: `add_<command>` declares its options, `run_<command>` imports the job when it is called, so that
`mrirecon --help` imports no framework.

Exit status: 0 done, 2 bad input or options (nothing was written), 3 some of several inputs failed, 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mrirecon import __version__
from mrirecon.cli.data import add_data
from mrirecon.cli.demo import add_demo
from mrirecon.cli.inspect import add_inspect
from mrirecon.cli.recon import add_recon
from mrirecon.cli.restore import add_restore
from mrirecon.cli.send import add_send
from mrirecon.cli.serve import add_serve
from mrirecon.cli.study import add_study, with_default_job
from mrirecon.cli.train import add_train
from mrirecon.cli.verify import add_verify
from mrirecon.cli.view import add_view
from mrirecon.errors import MrireconError

COMMANDS = (
    add_inspect,
    add_recon,
    add_demo,
    add_restore,
    add_train,
    add_data,
    add_study,
    add_send,
    add_serve,
    add_verify,
    add_view,
)
"""In the order of the help."""


def parser() -> argparse.ArgumentParser:
    """The command line, one subcommand per job."""
    top = argparse.ArgumentParser(
        prog="mrirecon",
        description="Raw multi-coil k-space to viewer-ready DICOM and NIfTI. Research use only, not a medical device.",
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"mrirecon {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in COMMANDS:
        add(commands)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    arguments = parser().parse_args(with_default_job(sys.argv[1:] if argv is None else argv))
    try:
        return int(arguments.run(arguments))
    except MrireconError as error:
        sys.stderr.write(f"mrirecon: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("mrirecon: interrupted; run the same command again to go on\n")
        return 130
