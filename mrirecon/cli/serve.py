"""`mrirecon serve`: reconstruct what scanners and other clients stream."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from mrirecon.cli.options import Commands


def add_serve(commands: Commands) -> None:
    """The command `serve` and its options."""
    command = commands.add_parser("serve", help="reconstruct what scanners stream (MRD)", allow_abbrev=False)
    command.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen; default loopback")
    command.add_argument("--port", type=int, default=9002, metavar="N", help="default 9002; 0 takes a free one")
    command.add_argument("--configs", type=Path, metavar="DIR", help="YAML files that clients may ask for by name, "
                         "default those of the package")  # fmt: skip
    command.add_argument("--budget", type=float, metavar="S", help="seconds from the last data to the images; "
                         "classical ones are sent when the method is slower (default: only when it fails)")  # fmt: skip
    command.add_argument("--max-connections", type=int, default=4, metavar="N", help="clients at a time, default 4")
    command.add_argument("--idle", type=float, default=60.0, metavar="S", help="give up a silent client, default 60")
    command.add_argument("--total", type=float, default=1800.0, metavar="S", help="longest connection, default 1800")
    command.add_argument("--max-data", default="4G", metavar="SIZE", help="samples of one client, default 4G")
    command.add_argument("--pixels", choices=["int16", "float32"], default="int16", help="default int16, 0 to 4095")
    command.add_argument("--view", choices=["acquired", "standard"], default="acquired", help="order of rows and "
                         "columns; default acquired, as scanners expect")  # fmt: skip
    command.add_argument("--conjugate", action="store_true", help="opposite sign of the Fourier exponent, where images "
                         "come out mirrored on all encoded axes")  # fmt: skip
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    command.add_argument("--threads", type=int, metavar="T", help="of one reconstruction, default a fair share")
    command.add_argument("--memory", default="4G", metavar="SIZE", help="of one reconstruction, default 4G")
    command.add_argument("--spool", type=Path, metavar="DIR", help="for data in progress, default that of temporary "
                         "files; removed with the connection")  # fmt: skip
    command.set_defaults(run=run_serve)


def run_serve(arguments: argparse.Namespace) -> int:
    """Run `serve` until it is interrupted or terminated; the exit status."""
    from mrirecon.jobs.plan import parse_size
    from mrirecon.jobs.reporting import StandardError
    from mrirecon.jobs.serve import ServeOptions, serve
    from mrirecon.serving.mrd.limits import Limits

    names = ("host", "port", "configs", "max_connections", "pixels", "view", "conjugate", "device", "threads", "memory",
             "spool")  # fmt: skip
    options = ServeOptions(
        budget_s=arguments.budget,
        limits=Limits(idle_s=arguments.idle, total_s=arguments.total, data_bytes=parse_size(arguments.max_data)),
        **{name: getattr(arguments, name) for name in names},
    )
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        serve(options, StandardError())
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
    return 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
