"""`mrirecon demo`: simulate a scan and reconstruct it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mrirecon.cli.options import METHODS, Commands
from mrirecon.config.schema import ReconstructionConfig, Undersampling
from mrirecon.jobs.reporting import StandardError


def add_demo(commands: Commands) -> None:
    """The command `demo` and its options."""
    command = commands.add_parser("demo", help="simulate a scan of real anatomy and reconstruct it", allow_abbrev=False)
    command.add_argument("--out", type=Path, default=Path("mrirecon-demo"), metavar="DIR", help="default mrirecon-demo")
    command.add_argument("--accelerate", type=float, default=4.0, metavar="R", help="default 4")
    command.add_argument("--method", choices=list(METHODS), default="wavelet", help="default wavelet")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--overwrite", action="store_true", help="replace the results of an earlier demo")
    command.set_defaults(run=run_demo)


def run_demo(arguments: argparse.Namespace) -> int:
    """Run `demo`; the exit status."""
    from mrirecon.jobs.demo import run_demo

    config = ReconstructionConfig(
        undersampling=Undersampling(acceleration=arguments.accelerate) if arguments.accelerate > 1 else None,
        method=METHODS[arguments.method](),
        seed=arguments.seed,
    )
    sys.stdout.write(run_demo(arguments.out, config, overwrite=arguments.overwrite, reporter=StandardError()) + "\n")
    return 0
