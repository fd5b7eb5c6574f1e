"""Options that several commands share."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mrirecon.config.schema import TV, Adjoint, Sense, Unfolded, Wavelet

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = argparse._SubParsersAction  # what the parser hands to a command to be added to

T = TypeVar("T")
METHODS: dict[str, type[Any]] = {
    "adjoint": Adjoint,
    "sense": Sense,
    "wavelet": Wavelet,
    "tv": TV,
    "unfolded": Unfolded,
}
SAMPLING_STEPS = 8
"""Steps when samples are asked for and nothing is said about steps."""


def add_sampling(command: argparse.ArgumentParser, *, checkpoint: str) -> None:
    """Options of the learned method; `sampling` reads them."""
    weights = f"unfolded: released name, folder or .safetensors file; default {checkpoint}"
    steps = f"unfolded: noise levels; default 1, the fast posterior mean, or {SAMPLING_STEPS} with several samples"
    samples = "unfolded: posterior samples, default 1; several give their mean and a standard-deviation map"
    command.add_argument("--checkpoint", type=Path, metavar="C", help=weights)
    command.add_argument("--steps", type=int, metavar="N", help=steps)
    command.add_argument("--samples", type=int, metavar="S", help=samples)
    command.add_argument("--sampler", choices=["euler", "heun"], help="unfolded: default euler")


def sampling(arguments: argparse.Namespace, choice: Any) -> dict[str, Any]:
    """The options of `add_sampling`; several samples bring several steps unless these are given."""
    steps = arguments.steps
    if steps is None and (arguments.samples or 1) > 1 and getattr(choice, "steps", None) == 1:
        steps = SAMPLING_STEPS
    return {
        "checkpoint": arguments.checkpoint,
        "steps": steps,
        "samples": arguments.samples,
        "sampler": arguments.sampler,
    }


def replaced(record: T, changes: Mapping[str, Any]) -> T:
    """The record with the changes that were given; None stands for an option that was not."""
    given = {name: value for name, value in changes.items() if value is not None}
    return dataclasses.replace(record, **given) if given else record  # type: ignore[type-var]
