"""A degraded photograph to a restored one in memory, or a clean one degraded and restored with its figures."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.config.build_unfolded import TrainedMethod
from mrirecon.config.restore_schema import FULL_RANGE, Restoration
from mrirecon.data.restoration_tasks import (
    Problem,
    Severity,
    observed_problem,
    restoration_tasks,
    simulated_problem,
)
from mrirecon.errors import ConfigError
from mrirecon.io.kernel import read_kernel
from mrirecon.io.picture_levels import Levels, Photograph, read_photograph
from mrirecon.jobs.derivation import spread_notes
from mrirecon.jobs.plan import PROCESS_BYTES, format_size
from mrirecon.jobs.plane_worker import plane_generator
from mrirecon.jobs.reporting import Reporter
from mrirecon.metrics.image import psnr, ssim
from mrirecon.networks.memory import activation_bytes
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.noise import GaussianNoise, Noiseless
from mrirecon.reconstruction.uncertainty import standard_deviation

_SSIM_WINDOW = 7


@dataclass(frozen=True, eq=False)
class Restored:
    """A restored photograph and how it came about.

    Parameters
    ----------
    pixels
        Grey levels (channel, y, x), of the depth of the input.
    spread
        Standard deviation over the samples in grey levels of 255, float32 (channel, y, x), where several were drawn;
        times the conformal factor of the checkpoint if it has one.
    degraded
        The simulated input, in the same levels.
    known
        Kernel or mask that was drawn for a simulation or assumed, None where it was given or there is none.
    figures
        PSNR in dB and SSIM of a simulation: of the result, and of the input where it is of the same size.
    trained
        The network.
    seconds
        Wall time of the network.
    notes
        One sentence each.
    """

    pixels: Levels
    spread: NDArray[np.float32] | None
    degraded: Levels | None
    known: NDArray[np.float32] | None
    figures: dict[str, float]
    trained: TrainedMethod
    seconds: float
    notes: tuple[str, ...]


def restore(
    photograph: Photograph,
    config: Restoration,
    trained: TrainedMethod,
    *,
    known: Tensor,
    drawn: bool,
    reporter: Reporter,
    device: str = "cpu",
    memory_limit: int | None = None,
) -> Restored:
    """Restore a photograph channel by channel.

    Parameters
    ----------
    photograph
        Degraded, or clean with `config.simulate`.
    config
        Task and method.
    trained
        The network of `config.method`.
    known
        Kernel or mask; empty for tasks without.
    drawn
        Whether it was not given by the user.
    device
        Where to compute.
    memory_limit
        Bytes; raises before the work when it cannot be done within it.

    Raises
    ------
    ConfigError
        If the picture is too small for the kernel or the task, or the memory for the picture.
    """
    task, top = restoration_tasks()[config.task], photograph.maximum
    data = torch.from_numpy(photograph.pixels.astype(np.float32)) / (top / 2) - 1
    sigma = 2 * config.noise_level / FULL_RANGE
    noise = torch.Generator().manual_seed(config.seed)
    problem = (
        simulated_problem(task, data, known, sigma=sigma, generator=noise)
        if config.simulate
        else observed_problem(task, data, known)
    )
    _require_memory(problem, trained, config, memory_limit)
    model = MeasurementModel(problem.operator.to(device), GaussianNoise(sigma) if sigma > 0 else Noiseless())
    begun = time.perf_counter()
    images, spreads = [], []
    channels = range(len(problem.data))
    for channel in reporter.track(channels, total=len(channels), label="restoration"):
        generator = plane_generator(config.seed, channel)
        result = trained.method(problem.data[channel].to(device), model, generator=generator)
        images.append(problem.cut(result.image.cpu())[0])
        if config.method.samples > 1 and result.samples is not None:
            spreads.append(problem.cut(standard_deviation(result.samples).cpu())[0])
    seconds = time.perf_counter() - begun
    pixels = _to_levels(torch.stack(images), top)
    degraded = _to_levels(problem.data[:, 0], top) if config.simulate else None
    return Restored(
        pixels=pixels,
        spread=(torch.stack(spreads) * (trained.spread_factor * FULL_RANGE / 2)).numpy().astype(np.float32)
        if spreads
        else None,
        degraded=degraded,
        known=known.numpy().astype(np.float32) if drawn and known.numel() else None,
        figures=_figures(photograph, pixels, degraded) if config.simulate else {},
        trained=trained,
        seconds=seconds,
        notes=(
            *photograph.notes,
            *_notes(config, drawn=drawn),
            *trained.doubts(sigma),
            *spread_notes(config.method, trained),
        ),
    )


def known_degradation(config: Restoration, photograph: Photograph) -> tuple[Tensor, bool]:
    """The kernel or mask, and whether it was drawn or assumed instead of given."""
    task = restoration_tasks()[config.task]
    height, width = photograph.pixels.shape[-2:]
    if config.kernel is not None:
        return torch.from_numpy(read_kernel(config.kernel, number=config.kernel_number)), False
    if config.mask is not None:
        return _mask(config.mask, (height, width)), False
    if config.simulate:
        generator = torch.Generator().manual_seed(config.seed + 1)  # not the noise's
        return task.typical((height, width), Severity(), generator), True
    return (task.assumed() if task.assumed is not None else torch.empty(0)), True


def _mask(path: Path, size: tuple[int, int]) -> Tensor:
    picture = read_photograph(path)
    if picture.pixels.shape[-2:] != size:
        found = picture.pixels.shape[-2:]
        raise ConfigError(
            f"the mask {path.name} is of {found[0]} x {found[1]} pixels, the picture of {size[0]} x {size[1]}; they "
            "must agree"
        )
    known = torch.from_numpy(picture.pixels.mean(axis=0) >= picture.maximum / 2)
    if not bool(known.any()):
        raise ConfigError(f"the mask {path.name} is black everywhere: white marks the known pixels; invert it")
    return known


def _require_memory(problem: Problem, trained: TrainedMethod, config: Restoration, limit: int | None) -> None:
    pixels = problem.operator.domain.size
    needed = PROCESS_BYTES + activation_bytes(trained.network.network, pixels) + 8 * trained.card.parameters
    needed += 4 * pixels * (40 + 3 * config.method.samples + 4 * len(problem.data))
    if limit is not None and needed > limit:
        raise ConfigError(
            f"this picture needs about {format_size(needed)} of memory, {format_size(limit)} are allowed; raise "
            "--memory or restore parts of the picture"
        )


def _to_levels(x: Tensor, top: int) -> Levels:
    """From -1 ... 1 to 0 ... `top`, rounded and clipped."""
    levels = np.clip(np.rint((x.double().numpy() + 1) * (top / 2)), 0, top)
    return levels.astype(np.uint8) if top <= np.iinfo(np.uint8).max else levels.astype(np.uint16)


def _figures(clean: Photograph, restored: Levels, degraded: Levels | None) -> dict[str, float]:
    """On the levels as written, all channels together, range from black to white."""
    found: dict[str, float] = {}
    reference = clean.pixels.astype(np.float64)
    for name, picture in (("restored", restored), ("degraded", degraded)):
        if picture is None or picture.shape != restored.shape:
            continue
        values = picture.astype(np.float64)
        found[f"{name}_psnr_db"] = psnr(reference, values, data_range=clean.maximum)
        if min(reference.shape[1:]) >= _SSIM_WINDOW:
            found[f"{name}_ssim"] = ssim(reference, values, data_range=clean.maximum)
    return found


def _notes(config: Restoration, *, drawn: bool) -> tuple[str, ...]:
    task = restoration_tasks()[config.task]
    notes: tuple[str, ...] = ()
    if config.sigma is None:
        done = "added" if config.simulate else "assumed"
        notes += (f"Noise of {config.noise_level:g} grey levels of 255 was {done}; change it with --sigma.",)
    if task.needs == "kernel" and drawn and not config.simulate:
        notes += ("No kernel was given: a Gaussian of 3 pixels standard deviation was assumed.",)
    if config.simulate:
        notes += ("The picture was degraded here: blur is periodic, noise neither clipped nor rounded.",)
    return notes
