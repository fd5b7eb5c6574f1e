"""The table of restoration tasks: from a picture and what spoilt it to operator, data and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import pad

from mrirecon.errors import ConfigError
from mrirecon.linalg.space import Space
from mrirecon.operators.base import LinearOperator
from mrirecon.operators.image import (
    bicubic_downsampling,
    blur,
    box_mask,
    denoising,
    image_space,
    inpainting,
    random_mask,
)
from mrirecon.operators.kernels import gaussian_kernel, motion_kernel

Size = tuple[int, int]
TaskName = Literal["sr4", "deblur-gauss", "deblur-motion", "inpaint-box", "inpaint-random", "denoise"]
GAUSSIAN_STD, GAUSSIAN_SIZE = 3.0, 61
MOTION_INTENSITY = 0.5


@dataclass(frozen=True)
class Severity:
    """How much a simulation spoils a picture.

    Parameters
    ----------
    motion_size
        Edge of the kernels of camera shake in pixels, smaller in smaller pictures.
    missing
        Share of the pixels that "inpaint-random" loses.
    box_share
        The hole of "inpaint-box" has this fraction of the picture's edges: 4 for a quarter.
    """

    motion_size: int = 33
    missing: float = 0.8
    box_share: int = 4


@dataclass(frozen=True)
class RestorationTask:
    """A row of the table.

    Parameters
    ----------
    needs
        What must be known to undo it: a blur kernel, a mask of the known pixels, or the noise level only.
    factor
        The picture is so many times larger than the data along each edge.
    operator
        (images, kernel or mask) to operator.
    typical
        (size of the clean picture, severity, generator) to a kernel or mask for simulations; nothing where none is
        needed.
    assumed
        The kernel that may be assumed when none is given; None demands one.
    sigma
        Noise level in a simulation unless given, in grey levels of 255.
    """

    needs: Literal["kernel", "mask", "sigma"] | None
    operator: Callable[[Space, Tensor], LinearOperator]
    typical: Callable[[Size, Severity, torch.Generator], Tensor] = lambda size, severity, generator: torch.empty(0)
    assumed: Callable[[], Tensor] | None = None
    factor: int = 1
    sigma: float = 2.55


def restoration_tasks() -> Mapping[str, RestorationTask]:
    """The table, by `TaskName`."""
    return {
        "sr4": RestorationTask(None, lambda space, _: bicubic_downsampling(space, 4), factor=4),
        "deblur-gauss": RestorationTask("kernel", blur, lambda *_: _gaussian(), assumed=_gaussian),
        "deblur-motion": RestorationTask("kernel", blur, _motion),
        "inpaint-box": RestorationTask("mask", inpainting, _centre_box),
        "inpaint-random": RestorationTask("mask", inpainting, _scattered),
        "denoise": RestorationTask("sigma", lambda space, _: denoising(space), sigma=25.0),
    }


@dataclass(frozen=True, eq=False)
class Problem:
    """Data of one picture channel after the other, and how the restored picture is cut out.

    Parameters
    ----------
    operator
        On images (1, y, x).
    data
        (channel, 1, y, x), from -1 to 1 but for noise.
    corner, size
        Where the picture lies in the operator's domain.
    """

    operator: LinearOperator
    data: Tensor
    corner: Size
    size: Size

    def cut(self, images: Tensor) -> Tensor:
        """(..., y, x) on the domain to the picture."""
        (top, left), (height, width) = self.corner, self.size
        return images[..., top : top + height, left : left + width]


def observed_problem(task: RestorationTask, data: Tensor, known: Tensor) -> Problem:
    """A degraded picture as it is.

    Parameters
    ----------
    task
        What happened to it.
    data
        (channel, y, x), from -1 to 1.
    known
        Its kernel or mask; anything for tasks without.

    Returns
    -------
        For deblurring the picture is continued by twice the kernel's half width on every side, faded from mirror image
        to mirror image, and the blur acts periodically on that: what lies beyond the edges of a photograph is not
        known, and a sharp seam would ring into it.
    """
    height, width = data.shape[-2:]
    if task.needs == "kernel":
        _require_fit(known, (height, width))
        margin = tuple(min(2 * (n // 2), edge - 1) for n, edge in zip(known.shape, (height, width), strict=True))
        extended = _continued(data, (margin[0], margin[1]))
        space = image_space(1, *extended.shape[-2:])
        return Problem(task.operator(space, known), extended.unsqueeze(1), (margin[0], margin[1]), (height, width))
    size = (task.factor * height, task.factor * width)
    operator = task.operator(image_space(1, *size), known)
    return Problem(operator, operator.keep_measured(data.unsqueeze(1)), (0, 0), size)


def simulated_problem(
    task: RestorationTask, clean: Tensor, known: Tensor, *, sigma: float, generator: torch.Generator
) -> Problem:
    """A clean picture degraded here, as benchmarks do it: periodic blur, Gaussian noise, neither clipped nor rounded.

    Parameters
    ----------
    clean
        (channel, y, x), from -1 to 1. It is mirrored at its lower right to a multiple of the downsampling factor.
    sigma
        Noise level, where pictures range from -1 to 1.
    """
    height, width = clean.shape[-2:]
    if task.needs == "kernel":
        _require_fit(known, (height, width))
    bottom, right = -height % task.factor, -width % task.factor
    if bottom >= height or right >= width:
        raise ConfigError(f"a picture of {height} x {width} is too small to be reduced {task.factor} times")
    whole = pad(clean.unsqueeze(1), (0, right, 0, bottom), mode="reflect") if bottom or right else clean.unsqueeze(1)
    operator = task.operator(image_space(1, *whole.shape[-2:]), known)
    data = operator(whole)
    noise = torch.randn(data.shape, generator=generator)
    return Problem(operator, operator.keep_measured(data + sigma * noise), (0, 0), (height, width))


def _gaussian() -> Tensor:
    return gaussian_kernel(GAUSSIAN_STD, size=GAUSSIAN_SIZE)


def _motion(size: Size, severity: Severity, generator: torch.Generator) -> Tensor:
    return motion_kernel(min(severity.motion_size, *size), intensity=MOTION_INTENSITY, generator=generator)


def _centre_box(size: Size, severity: Severity, generator: torch.Generator) -> Tensor:
    height, width = (max(1, edge // severity.box_share) for edge in size)
    return box_mask(size, (height, width))


def _scattered(size: Size, severity: Severity, generator: torch.Generator) -> Tensor:
    return random_mask(size, missing=severity.missing, generator=generator)


def _require_fit(kernel: Tensor, size: Size) -> None:
    if kernel.shape[0] > size[0] or kernel.shape[1] > size[1]:
        raise ConfigError(
            f"the kernel of {kernel.shape[0]} x {kernel.shape[1]} is larger than the picture of {size[0]} x {size[1]}; "
            "give a smaller one with --kernel"
        )


def _continued(data: Tensor, margin: Size) -> Tensor:
    """(channel, y, x) continued by `margin` on every side to a picture that is periodic without a seam."""
    top, left = margin
    extended = pad(data.unsqueeze(0), (left, left, top, top), mode="reflect")[0]
    for axis, width in ((-2, top), (-1, left)):
        if width:
            extended = _faded(extended.movedim(axis, -1), width).movedim(-1, axis)
    return extended


def _faded(x: Tensor, width: int) -> Tensor:
    """Across the seam between end and start, `width` samples on either side fade from one mirror image to the other."""
    n = 2 * width
    ramp = (torch.arange(n, dtype=x.dtype) + 0.5) / n
    before, after = x[..., -width:], x[..., :width]  # the seam is between them
    leaving = torch.cat([before, before.flip(-1)], dim=-1)
    arriving = torch.cat([after.flip(-1), after], dim=-1)
    blended = leaving * (1 - ramp) + arriving * ramp
    return torch.cat([blended[..., width:], x[..., width:-width], blended[..., :width]], dim=-1)
