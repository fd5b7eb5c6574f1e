"""Random restoration tasks: for every name, an operator drawn for a batch of photographs."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrirecon.data.examples import Draws
from mrirecon.linalg.space import Space
from mrirecon.operators.base import LinearOperator
from mrirecon.operators.image import (
    bicubic_downsampling,
    block_average,
    blur,
    box_mask,
    denoising,
    gaussian_blur,
    inpainting,
    random_mask,
)
from mrirecon.operators.kernels import disc_kernel, gaussian_weights, motion_kernel

TASKS = (
    "super-resolution-2",
    "super-resolution-3",
    "super-resolution-4",
    "super-resolution-6",
    "block-average-2",
    "block-average-4",
    "gaussian-blur",
    "anisotropic-blur",
    "motion-blur",
    "defocus-blur",
    "random-inpainting",
    "box-inpainting",
    "denoising",
)
_BLUR_STD = (0.5, 4.0)
_ANISOTROPIC_SIZE = 33
_MOTION_SIZE = (9, 41)
_DISC_RADIUS = (1.0, 7.0)
_MISSING = (0.3, 0.92)
_BOX = (16, 64)


def draw_operator(task: str, space: Space, batch: int, draws: Draws) -> LinearOperator:
    """An operator of the named task on `batch` images of `space`.

    Super-resolution is antialiased bicubic with mirrored boundary, block averages the mean; Gaussian blur has a
    standard deviation of 0.5 to 4 pixels at a periodic or mirrored boundary; anisotropic and motion blur are periodic
    with one kernel per item, as is that of a defocused lens, a disc of 1 to 7 pixels' radius for the whole batch;
    inpainting misses 30 to 92 % of the pixels, or one rectangle of 16 to 64 pixels per item.

    Parameters
    ----------
    task
        One of `TASKS`; super-resolution and block averages need images that the factor divides.
    """
    height, width = space.shape[-2:]
    if task.startswith("super-resolution-"):
        return bicubic_downsampling(space, edge_divisor(task))
    if task.startswith("block-average-"):
        return block_average(space, edge_divisor(task))
    if task == "gaussian-blur":
        return gaussian_blur(
            space, draws.log_uniform(_BLUR_STD), boundary="circular" if draws.chance(0.5) else "symmetric"
        )
    if task == "anisotropic-blur":
        return blur(space, torch.stack([_anisotropic(draws) for _ in range(batch)]).unsqueeze(1))
    if task == "motion-blur":
        size = min(draws.integer(_MOTION_SIZE), height, width)
        kernels = [
            motion_kernel(size, intensity=draws.uniform((0.0, 1.0)), generator=draws.generator) for _ in range(batch)
        ]
        return blur(space, torch.stack(kernels).unsqueeze(1))
    if task == "defocus-blur":
        return blur(space, disc_kernel(draws.log_uniform(_DISC_RADIUS)))
    if task == "random-inpainting":
        missing = [draws.uniform(_MISSING) for _ in range(batch)]
        masks = [random_mask((height, width), missing=share, generator=draws.generator) for share in missing]
        return inpainting(space, torch.stack(masks).unsqueeze(1))
    if task == "box-inpainting":
        return inpainting(space, torch.stack([_box((height, width), draws) for _ in range(batch)]).unsqueeze(1))
    return denoising(space)


def smallest_edge(task: str) -> int:
    """The smallest image edge that holds every kernel that `draw_operator` may draw for a task."""
    if task == "gaussian-blur":
        return len(gaussian_weights(_BLUR_STD[1]))
    disc = 2 * math.ceil(_DISC_RADIUS[1] - 0.5) + 1
    return {"anisotropic-blur": _ANISOTROPIC_SIZE, "defocus-blur": disc, "motion-blur": 3, "box-inpainting": 2}.get(
        task, 1
    )


def edge_divisor(task: str) -> int:
    """What has to divide the edges of the images of a task."""
    factor = task.rpartition("-")[2]
    return int(factor) if factor.isdigit() else 1


def _anisotropic(draws: Draws) -> Tensor:
    """A Gaussian with two random standard deviations at a random angle, 33 x 33, of sum 1."""
    first, second = draws.log_uniform(_BLUR_STD), draws.log_uniform(_BLUR_STD)
    angle = draws.uniform((0.0, math.pi))
    axis = torch.arange(_ANISOTROPIC_SIZE, dtype=torch.float64) - _ANISOTROPIC_SIZE // 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    along, across = math.cos(angle) * x + math.sin(angle) * y, math.cos(angle) * y - math.sin(angle) * x
    kernel = torch.exp(-0.5 * ((along / first).square() + (across / second).square()))
    return (kernel / kernel.sum()).float()


def _box(size: tuple[int, int], draws: Draws) -> Tensor:
    height, width = (min(draws.integer(_BOX), n // 2) for n in size)
    start = (draws.integer((0, size[0] - height)), draws.integer((0, size[1] - width)))
    return box_mask(size, (height, width), start=start)
