"""From a slice to an image: placed on a random matrix, with random contrast and shading, ringing as a scanner does."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from mrirecon.data.examples import Draws, check_range, check_weights
from mrirecon.data.fields import smooth_fields
from mrirecon.data.slices import Slice, SliceStore, object_extent
from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import centre_slice, fft, ifft

CONTRASTS = ("original", "gamma", "monotone", "free")
FINER = 1.5
"""How much finer the grid is from which k-space is cut."""

_LEVELS = 256
_TRIES = 8
_SLENDEREST = 1.35
_STEEPEST = 5.0  # of a random curve from 0 to 1; steeper ones turn the noise of the volumes into texture


@dataclass(frozen=True)
class Placement:
    """How slices are placed in the field of view.

    Parameters
    ----------
    fill
        Share of the field of view that the object takes along the tighter axis.
    turn_deg
        Largest small rotation.
    stretch
        Largest relative change of the pixels' aspect ratio.
    enlargement
        Slices that would have to be enlarged more are drawn again.
    """

    fill: tuple[float, float] = (0.6, 1.0)
    turn_deg: float = 15.0
    stretch: float = 0.1
    enlargement: float = 1.25

    def __post_init__(self) -> None:
        check_range("placement.fill", self.fill, above=0)
        if not (self.turn_deg >= 0 and self.stretch >= 0 and self.enlargement > 0):
            raise ConfigError("placement.turn_deg and .stretch must not be negative, .enlargement must be positive")


def placed_slice(
    store: SliceStore, shape: tuple[int, int], placement: Placement, draws: Draws
) -> tuple[Tensor, Tensor]:
    """A random slice on a matrix (y, x): flipped, turned, scaled, reduced with a filter against aliasing; 0 to 1.

    Returns it and the box of its object, (2, 2): middle and extent along (y, x) in fields of view. A box more slender
    than 1.35 (in pixels) is widened to that.
    """
    for _ in range(_TRIES):
        chosen, turned = store.draw(draws), draws.chance(0.5)
        fill = draws.uniform(placement.fill)
        pixel = _target_pixel(chosen, turned, shape, fill)
        if max(chosen.pixel_size_mm) / pixel <= placement.enlargement:
            break
    stretch = math.exp(draws.uniform((-placement.stretch, placement.stretch)) / 2)
    scale = [chosen.pixel_size_mm[0] / (pixel * stretch), chosen.pixel_size_mm[1] / pixel * stretch]
    image, rows, columns = chosen.magnitude, chosen.rows, chosen.columns
    size = [max(2, round(n * s)) for n, s in zip(image.shape, scale, strict=True)]
    scale = [m / n for m, n in zip(size, image.shape, strict=True)]
    small = interpolate(image[None, None], size=size, mode="bicubic", antialias=True, align_corners=False)[0, 0]
    box = np.array([[rows[0] * scale[0], rows[1] * scale[0]], [columns[0] * scale[1], columns[1] * scale[1]]])
    if turned:
        small, box = small.mT, box[::-1]
    flips = [draws.chance(0.5), draws.chance(0.5)]
    angle = math.radians(draws.uniform((-placement.turn_deg, placement.turn_deg))) if draws.chance(0.6) else 0.0
    extent = box[:, 1] - box[:, 0]
    shift = [draws.uniform((-1.0, 1.0)) * max(0.0, n - e) / 2 for n, e in zip(shape, extent, strict=True)]
    placed = _resampled(small, box, shape, flips=flips, angle=angle, shift=shift)
    return placed, _box(placed)


def _box(placed: Tensor) -> Tensor:
    rows, columns = object_extent(placed.numpy())
    ends = np.array([rows, columns])
    extent = ends[:, 1] - ends[:, 0]
    middle = (ends.sum(1) - 1) / 2 - np.array(placed.shape) // 2
    extent = np.maximum(extent, extent.max() / _SLENDEREST)
    return torch.from_numpy(np.stack([middle, extent]) / np.array(placed.shape)).float()


def _target_pixel(chosen: Slice, turned: bool, shape: tuple[int, int], fill: float) -> float:
    """Edge in mm of the square pixels with which the object takes the share `fill` of the tighter axis."""
    extents = [
        (end - start) * size
        for (start, end), size in zip((chosen.rows, chosen.columns), chosen.pixel_size_mm, strict=True)
    ]
    extents = extents[::-1] if turned else extents
    return max(extent / (fill * n) for extent, n in zip(extents, shape, strict=True))


def _resampled(
    image: Tensor,
    box: np.ndarray,
    shape: tuple[int, int],
    *,
    flips: list[bool],
    angle: float,
    shift: list[float],
) -> Tensor:
    """The image about the middle of its object's box, flipped, turned and shifted, on `shape`; zero outside."""
    along = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 - s for n, s in zip(shape, shift, strict=True)]
    y, x = torch.meshgrid(*along, indexing="ij")
    y, x = math.cos(angle) * y - math.sin(angle) * x, math.sin(angle) * y + math.cos(angle) * x
    places = []
    for place, flip, (start, end), n in zip((y, x), flips, box.tolist(), image.shape, strict=True):
        index = (start + end - 1) / 2 + (-place if flip else place)
        places.append((2 * index + 1) / n - 1)
    grid = torch.stack(places[::-1], dim=-1)[None]
    sampled = grid_sample(image[None, None], grid, mode="bicubic", padding_mode="zeros", align_corners=False)
    return sampled[0, 0].clamp(0.0, 1.0)


@dataclass(frozen=True)
class Contrast:
    """How intensities are changed.

    Parameters
    ----------
    kinds
        Weights of the kinds: "original"; "gamma", a power; "monotone", a random rising curve; "free", a random curve
        that may fall and rise (another weighting). All are smooth and keep the background at 0.
    gamma
        Range of the power.
    shading
        Largest standard deviation of the logarithm of a smooth shading.
    """

    kinds: dict[str, float] = field(
        default_factory=lambda: {"original": 1.0, "gamma": 1.0, "monotone": 1.0, "free": 1.5}
    )
    gamma: tuple[float, float] = (0.6, 1.7)
    shading: float = 0.25

    def __post_init__(self) -> None:
        check_weights("contrast.kinds", self.kinds, CONTRASTS)
        check_range("contrast.gamma", self.gamma, above=0)
        if not self.shading >= 0:
            raise ConfigError(f"contrast.shading must not be negative, got {self.shading}")


def recontrasted(magnitude: Tensor, contrast: Contrast, draws: Draws) -> Tensor:
    """Magnitudes (batch, y, x) from 0 to 1 through a random curve of their own each, and shaded."""
    tables = torch.stack([_curve(contrast, draws) for _ in range(len(magnitude))])
    place = magnitude.flatten(1) * (_LEVELS - 1)
    low = place.floor().clamp(0, _LEVELS - 2)
    fraction, index = place - low, low.long()
    values = tables.gather(1, index) * (1 - fraction) + tables.gather(1, index + 1) * fraction
    shape = (magnitude.shape[-2], magnitude.shape[-1])
    lengths = torch.from_numpy(draws.numbers.uniform(0.5, 1.2, len(magnitude))).float()
    sizes = torch.from_numpy(draws.numbers.uniform(0.0, contrast.shading, (len(magnitude), 1, 1))).float()
    shading = torch.exp(sizes * smooth_fields(lengths, shape, generator=draws.generator))
    return values.reshape(magnitude.shape) * shading


def _curve(contrast: Contrast, draws: Draws) -> Tensor:
    """A table of intensities at `_LEVELS` equal steps from 0 to 1, 0 at 0."""
    kind = draws.choice(contrast.kinds)
    level = torch.linspace(0, 1, _LEVELS)
    if kind == "original":
        return level
    if kind == "gamma":
        return level ** draws.log_uniform(contrast.gamma)
    for _ in range(_TRIES):
        curve = _random_curve(draws, falling=kind == "free")
        if float(curve.diff().abs().max()) * (_LEVELS - 1) <= _STEEPEST:
            break
    return curve


def _random_curve(draws: Draws, *, falling: bool) -> Tensor:
    """A smooth curve through random knots, 0 at 0 and at most 1, rising only or also `falling`."""
    knots = torch.from_numpy(draws.numbers.uniform(0.1, 1.0, draws.integer((3, 6)))).float()
    knots = torch.cat([torch.zeros(1), knots if falling else knots.cumsum(0)])
    curve = interpolate(knots[None, None, :, None], size=(_LEVELS, 1), mode="bicubic", align_corners=True)[0, 0, :, 0]
    curve = curve.clamp_min(0.0) if falling else curve.cummax(0).values
    return curve / curve.max()


def finer_grid(shape: tuple[int, int], multiple: int) -> tuple[int, int]:
    """A grid `FINER` times finer than `shape`, up to rounding to `multiple`."""
    return (round(FINER * shape[0] / multiple) * multiple, round(FINER * shape[1] / multiple) * multiple)


def truncated(image: Tensor, shape: tuple[int, int]) -> Tensor:
    """Images (*batch, y, x) cut to the centre of their k-space, on the coarser grid `shape`, at equal brightness."""
    kspace = fft(image, (-2, -1))
    rows, columns = (centre_slice(n, m) for n, m in zip(image.shape[-2:], shape, strict=True))
    pixels = shape[0] * shape[1] / (image.shape[-2] * image.shape[-1])
    return ifft(kspace[..., rows, columns], (-2, -1)) * math.sqrt(pixels)
