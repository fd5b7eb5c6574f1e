"""Phases as images have them: coils and field drift, air cavities nearby, fat and tissue off resonance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mrirecon.data.examples import Draws, check_range
from mrirecon.data.fields import SHORTEST, smooth_fields
from mrirecon.errors import ConfigError

_OBJECT_LEVEL = 0.05  # of the brightest pixel
_MOST_CAVITIES = 3


@dataclass(frozen=True)
class Phase:
    """The phase of images.

    Parameters
    ----------
    deviation_rad
        Range of the standard deviation of a smooth phase.
    length
        Range of its correlation length in fields of view.
    slope_cycles
        Largest linear phase along each axis, in cycles per field of view, of the share `sloped` of the items.
    sloped
        Probability of a linear phase.
    cavities
        Probability of air cavities near the slice: one to three, each adding the field of a sphere of other
        susceptibility [1]_ above or below the slice.
    cavity_rad
        Range of the largest phase of a cavity, logarithmically uniform, of either sign.
    cavity_distance
        Range of a cavity's distance from the slice in fields of view; the field varies over lengths of this order.
    tissue
        Probability that the phase depends on the intensity, as susceptibility and chemical shift of tissues do.
    tissue_rad
        Largest amplitude of that phase.
    rim
        Probability that the rim of the object, as the fat of the skin, has a phase of its own.
    rim_depth
        Range of the rim's depth in fields of view.

    References
    ----------
    .. [1] Schenck, The role of magnetic susceptibility in magnetic resonance imaging, Med Phys 23 (1996) 815-850.
    """

    deviation_rad: tuple[float, float] = (0.0, 2.0)
    length: tuple[float, float] = (0.2, 1.0)
    slope_cycles: float = 2.0
    sloped: float = 0.3
    cavities: float = 0.0
    cavity_rad: tuple[float, float] = (2.0, 15.0)
    cavity_distance: tuple[float, float] = (0.05, 0.25)
    tissue: float = 0.0
    tissue_rad: float = 1.5
    rim: float = 0.0
    rim_depth: tuple[float, float] = (0.01, 0.05)

    def __post_init__(self) -> None:
        check_range("phase.length", self.length, above=SHORTEST)
        check_range("phase.cavity_rad", self.cavity_rad, above=0)
        check_range("phase.cavity_distance", self.cavity_distance, above=0)
        check_range("phase.rim_depth", self.rim_depth, above=0)
        if not 0 <= self.deviation_rad[0] <= self.deviation_rad[1] or not self.tissue_rad >= 0:
            raise ConfigError("phase.deviation_rad must be a range and phase.tissue_rad a number, neither negative")
        for name in ("sloped", "cavities", "tissue", "rim"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"phase.{name} must be a probability, got {getattr(self, name)}")


def random_phases(magnitude: Tensor, phase: Phase, draws: Draws) -> Tensor:
    """Phases in radians for magnitudes (n, y, x) from 0 to about 1, each item with its own draws; same shape."""
    n, shape = len(magnitude), (magnitude.shape[-2], magnitude.shape[-1])
    numbers = draws.numbers
    lengths = torch.from_numpy(numbers.uniform(*phase.length, n)).float()
    sizes = torch.from_numpy(numbers.uniform(*phase.deviation_rad, (n, 1, 1))).float()
    smooth = sizes * smooth_fields(lengths, shape, generator=draws.generator)
    slopes = torch.from_numpy(numbers.uniform(-1, 1, (n, 2)) * (numbers.random((n, 1)) < phase.sloped)).float()
    slopes = slopes * (2 * math.pi * phase.slope_cycles)
    y, x = ((torch.arange(m) - m // 2) / m for m in shape)
    linear = slopes[:, :1, None] * y[:, None] + slopes[:, 1:, None] * x
    constant = torch.from_numpy(numbers.uniform(-math.pi, math.pi, (n, 1, 1))).float()
    total = smooth + linear + constant
    if phase.cavities:
        total = total + torch.stack([_cavities(shape, phase, draws) for _ in range(n)])
    if phase.tissue:
        total = total + torch.stack([_tissue(item, phase, draws) for item in magnitude])
    if phase.rim:
        total = total + torch.stack([_rim(item, phase, draws) for item in magnitude])
    return total


def _cavities(shape: tuple[int, int], phase: Phase, draws: Draws) -> Tensor:
    """The fields of a few spheres: a^3 (3 cos^2 theta - 1) / r^3, theta to a main field of any direction."""
    total = torch.zeros(shape)
    if not draws.chance(phase.cavities):
        return total
    aspect = shape[0] / max(shape), shape[1] / max(shape)
    for _ in range(draws.integer((1, _MOST_CAVITIES))):
        distance = draws.log_uniform(phase.cavity_distance)
        largest = draws.log_uniform(phase.cavity_rad) * (1 if draws.chance(0.5) else -1)
        y, x = (
            (((torch.arange(m) - m // 2) / m) - draws.uniform((-0.45, 0.45))) * a / distance
            for m, a in zip(shape, aspect, strict=True)
        )
        along = _along_main_field(y[:, None], x, draws)
        r_squared = 1 + y[:, None] ** 2 + x**2
        total = total + largest / 2 * (3 * along**2 / r_squared - 1) / r_squared**1.5
    return total


def _along_main_field(y: Tensor, x: Tensor, draws: Draws) -> Tensor:
    """Positions (y, x, 1) projected on the direction of the main field: through the slice, or within it."""
    if draws.chance(0.5):
        return torch.ones_like(y * x)
    angle = draws.uniform((0.0, math.pi))
    return math.sin(angle) * y + math.cos(angle) * x


def _tissue(magnitude: Tensor, phase: Phase, draws: Draws) -> Tensor:
    """A smooth function of the intensity: fewer than one and a half periods of a sine."""
    if not draws.chance(phase.tissue):
        return torch.zeros_like(magnitude)
    size, periods = draws.uniform((0.0, phase.tissue_rad)), draws.uniform((0.3, 1.5))
    return size * torch.sin(2 * math.pi * (periods * magnitude + draws.uniform((0.0, 1.0))))


def _rim(magnitude: Tensor, phase: Phase, draws: Draws) -> Tensor:
    """One phase where the object's border is near, 0 elsewhere.

    At depth d below a straight border a box of width w is filled to 1/2 + d/w; the rim is where less than 3/4 are.
    """
    if not draws.chance(phase.rim):
        return torch.zeros_like(magnitude)
    half = max(1, round(2 * draws.log_uniform(phase.rim_depth) * max(magnitude.shape)))
    inside = (magnitude > _OBJECT_LEVEL * magnitude.max()).float()
    filled = avg_pool2d(inside[None], 2 * half + 1, 1, half)[0]
    return inside * (filled < 0.75) * draws.uniform((-math.pi, math.pi))
