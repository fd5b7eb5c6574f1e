"""`mrirecon restore`: restore a degraded photograph."""

from __future__ import annotations

import argparse
from pathlib import Path

from mrirecon.cli.options import Commands, add_sampling, replaced, sampling
from mrirecon.config.schema import Unfolded
from mrirecon.jobs.reporting import StandardError

RESTORATION_TASKS = ("sr4", "deblur-gauss", "deblur-motion", "inpaint-box", "inpaint-random", "denoise")


def add_restore(commands: Commands) -> None:
    """The command `restore` and its options."""
    command = commands.add_parser("restore", help="restore a degraded photograph", allow_abbrev=False)
    command.add_argument("image", type=Path, help="photograph: PNG, JPEG, BMP ...; clean with --simulate")
    command.add_argument("--task", required=True, choices=RESTORATION_TASKS, help="what happened to it")
    command.add_argument("--out", type=Path, metavar="DIR", help="new folder, default IMAGE-TASK here")
    command.add_argument("--kernel", type=Path, metavar="FILE", help="deblur: .npy, .mat or picture; default of "
                         "deblur-gauss: a Gaussian of 3 pixels")  # fmt: skip
    command.add_argument("--kernel-number", type=int, default=0, metavar="K", help="which of the file, from 0")
    command.add_argument("--mask", type=Path, metavar="FILE", help="inpaint: picture that is white where it is known")
    command.add_argument("--sigma", type=float, help="noise in grey levels of 255; needed to denoise, else 2.55")
    command.add_argument("--simulate", action="store_true", help="degrade the clean IMAGE first, report PSNR and SSIM")
    add_sampling(command, checkpoint="image-small")
    command.add_argument("--seed", type=int, default=0, help="of everything random")
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    command.add_argument("--memory", metavar="SIZE", help="cap, e.g. 4G; fails before the work when too small")
    command.add_argument("--overwrite", action="store_true", help="replace an existing output folder")
    command.set_defaults(run=run_restore)


def run_restore(arguments: argparse.Namespace) -> int:
    """Run `restore`; the exit status."""
    from mrirecon.config.restore_schema import Restoration
    from mrirecon.jobs.plan import parse_size
    from mrirecon.jobs.restore import restore_file

    method = Unfolded(Path("image-small"))
    names = ("task", "sigma", "kernel", "kernel_number", "mask", "simulate", "seed")
    config = Restoration(
        method=replaced(method, sampling(arguments, method)),
        **{name: getattr(arguments, name) for name in names},
    )
    restore_file(
        arguments.image,
        arguments.out or Path(f"{arguments.image.stem}-{arguments.task}"),
        config,
        StandardError(),
        device=arguments.device,
        memory_limit=None if arguments.memory is None else parse_size(arguments.memory),
        overwrite=arguments.overwrite,
    )
    return 0
