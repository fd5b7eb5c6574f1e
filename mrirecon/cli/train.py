"""`mrirecon train`: train a model, or go on training it."""

from __future__ import annotations

import argparse
from pathlib import Path

from mrirecon.cli.options import Commands
from mrirecon.jobs.reporting import StandardError


def add_train(commands: Commands) -> None:
    """The command `train` and its options."""
    command = commands.add_parser("train", help="train a model, or go on training it", allow_abbrev=False)
    command.add_argument("config", type=Path, metavar="CONFIG", help="complete training, see configs/train-*.yaml")
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder, or one of this training")
    command.add_argument("--data", type=Path, metavar="ROOT", help="root of the data, default $MRIRECON_DATA")
    command.add_argument("--specs", type=Path, metavar="DIR", help="data specifications, default data_specs nearby")
    command.add_argument("--steps", type=int, metavar="N", help="instead of the configuration's")
    command.add_argument("--minutes", type=float, metavar="M", help="stop after so long with everything saved")
    command.add_argument("--threads", type=int, metavar="T", help="of the computation")
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    command.add_argument("--start", metavar="CHECKPOINT", help="initial weights, to fine-tune a checkpoint")
    command.set_defaults(run=run_train)


def run_train(arguments: argparse.Namespace) -> int:
    """Run `train`; the exit status."""
    from mrirecon.jobs.train import TrainOptions, train_model

    names = ("out", "data", "specs", "steps", "minutes", "threads", "device", "start")
    options = TrainOptions(**{name: getattr(arguments, name) for name in names})
    result = train_model(arguments.config, options, StandardError())
    return 130 if result.interrupted else 0
