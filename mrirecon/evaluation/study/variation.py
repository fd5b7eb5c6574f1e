"""How much images vary in the object, relative to their brightness there."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d

from mrirecon.linalg.cg import CGOptions
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.reconstruction.linear import require_linear
from mrirecon.reconstruction.uncertainty import standard_deviation


def object_mask(y: Tensor, model: MeasurementModel, *, threshold: float) -> Tensor:
    """Where the object is, from the acquired data alone: bool (item, y, x).

    Parameters
    ----------
    y
        Shape (*batch, *codomain).
    threshold
        Share of the 99th percentile of the smoothed magnitude of 8 conjugate-gradient steps.
    """
    operator = require_linear(model, "the object")
    image = operator.solve_normal(operator.adjoint(y), 1e-2, cg=CGOptions(8, 0.0))
    smooth = avg_pool2d(magnitude(image).unsqueeze(1), 5, stride=1, padding=2, count_include_pad=False)[:, 0]
    flat = smooth.flatten(1)
    rank = max(1, min(flat.shape[1], round(0.99 * flat.shape[1])))
    level = flat.kthvalue(rank, dim=1).values
    return (smooth > threshold * level[:, None, None]) & (smooth > 0)


def magnitude(image: Tensor) -> Tensor:
    """Root sum of squares over the channels: (*batch, channel, y, x) to (item, y, x)."""
    parts = torch.view_as_real(image.resolve_conj()) if image.is_complex() else image.unsqueeze(-1)
    size: Tensor = torch.linalg.vector_norm(parts, dim=(-4, -1))
    return size.reshape(-1, *size.shape[-2:])


def relative_deviation(samples: Tensor, image: Tensor, inside: Tensor) -> NDArray[np.float64]:
    """Mean standard deviation of the magnitude over the samples in the object, over its mean: one value per item."""
    spread = standard_deviation(torch.stack([magnitude(sample) for sample in samples]))
    return _ratio(_mean(spread, inside), magnitude(image), inside)


def relative_variation(images: Tensor, inside: Tensor) -> NDArray[np.float64]:
    """Root mean variance of the magnitude between images (repetition, ...) in the object, over its mean."""
    sizes = torch.stack([magnitude(image) for image in images])
    return _ratio(_mean(sizes.double().var(dim=0), inside).sqrt(), sizes.mean(dim=0), inside)


def _ratio(value: Tensor, size: Tensor, inside: Tensor) -> NDArray[np.float64]:
    brightness = _mean(size, inside)
    return torch.where(brightness > 0, value / brightness, torch.nan).numpy(force=True)


def _mean(values: Tensor, inside: Tensor) -> Tensor:
    """Over the object of every item; NaN without one."""
    return (values.double() * inside).sum(dim=(-2, -1)) / inside.sum(dim=(-2, -1))
