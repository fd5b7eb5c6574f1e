"""Lines left out of a scan and predicted from the others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import centre_slice
from mrirecon.metrics.referenceless import HeldOutMeasure
from mrirecon.mri.calibration import calibration_size
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI, constant_axes_reduced
from mrirecon.operators.noise import GaussianNoise
from mrirecon.reconstruction.base import Reconstructor


class NothingHeldOutError(ConfigError):
    """There are no lines that could be left out; the message says why."""


def held_out_errors(
    reconstructor: Reconstructor,
    y: Tensor,
    model: MeasurementModel,
    measure: HeldOutMeasure,
    *,
    generator: torch.Generator,
) -> NDArray[np.float64]:
    """One value per batch item, as `HeldOutMeasure` defines it; parameters as in `prospective`.

    Raises
    ------
    NothingHeldOutError
        If the operator is not Cartesian MRI, the masks of the slices differ, or there are fewer lines outside the
        centre than parts.
    """
    operator = model.operator
    if not isinstance(operator, CartesianMRI) or operator.spatial_ndim != 2:
        raise NothingHeldOutError(f"lines cannot be left out of a {type(operator).__name__}")
    mask = operator.mask.reshape(-1, *operator.mask.shape[-2:])
    if not bool((mask == mask[:1]).all()):
        raise NothingHeldOutError("the slices were sampled differently; score them one by one")
    parts = held_out_parts(mask[0], operator.codomain.shape[1:], measure.parts, generator=generator)
    energy: Tensor | float = 0.0
    size: Tensor | float = 0.0
    samples = 0
    for part in parts[: measure.evaluated]:
        rest = replace(operator, mask=constant_axes_reduced(operator.mask & ~part, 2))
        held = part.to(operator.domain.real_dtype)
        known = y * (1 - held)
        image = reconstructor(known, MeasurementModel(rest, model.noise), generator=generator).image
        everywhere = replace(operator, mask=constant_axes_reduced(torch.ones_like(operator.mask), 2))
        residual = (everywhere.forward(image) - y) * held
        energy = energy + _squared(residual)
        size = size + _squared(y * held)
        samples += int(part.expand(operator.codomain.shape[1:]).sum()) * operator.codomain.shape[0]
    total = torch.as_tensor(energy)
    if measure.normalisation == "data":
        return (total / torch.as_tensor(size)).sqrt().numpy(force=True)
    sigma = torch.as_tensor(model.noise.sigma if isinstance(model.noise, GaussianNoise) else float("nan"))
    return (total / (2 * samples * sigma.double().reshape(-1).to(total.device) ** 2) - 1).numpy(force=True)


def held_out_parts(mask: Tensor, shape: tuple[int, ...], n_parts: int, *, generator: torch.Generator) -> list[Tensor]:
    """The measured lines (points of a mask over two axes) outside the fully sampled centre, dealt into parts.

    Parameters
    ----------
    mask
        Bool (ky, kx), 1 along constant axes.
    shape
        Of the grid.
    n_parts
        How many; their sizes differ by one at most.

    Returns
    -------
        Masks of the shape of `mask`.

    Raises
    ------
    NothingHeldOutError
        If there are fewer lines than parts.
    """
    rows, columns = shape
    size = calibration_size(mask.cpu(), shape=(rows, columns))
    candidates = mask.cpu().clone()
    block = [
        centre_slice(n, min(s, n)) if m > 1 else slice(None) for n, s, m in zip(shape, size, mask.shape, strict=True)
    ]
    candidates[block[0], block[1]] = False
    places = torch.nonzero(candidates.flatten()).flatten()
    if len(places) < n_parts:
        raise NothingHeldOutError(
            f"only {len(places)} lines were measured outside the fully sampled centre, {n_parts} parts need as many"
        )
    order = places[torch.randperm(len(places), generator=generator)]
    parts = []
    for chosen in order.tensor_split(n_parts):
        part = torch.zeros(mask.numel(), dtype=torch.bool)
        part[chosen] = True
        parts.append(part.reshape(mask.shape).to(mask.device))
    return parts


def _squared(values: Tensor) -> Tensor:
    """Sum of squares of every batch item, double precision."""
    return torch.view_as_real(values.to(torch.complex128)).square().flatten(-4).sum(dim=-1).reshape(-1)
