"""Small reconstruction problems whose solution is known by other means."""

from __future__ import annotations

import torch
from torch import Tensor

from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI, cartesian_mri
from mrirecon.operators.noise import GaussianNoise


def smooth_maps(n_coils: int, shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Random polynomial maps of unit root-sum-of-squares, complex128."""
    y = torch.linspace(-1, 1, shape[0], dtype=torch.float64)[:, None]
    x = torch.linspace(-1, 1, shape[1], dtype=torch.float64)
    basis = torch.stack([torch.ones(shape, dtype=torch.float64), y.expand(shape), x.expand(shape), y * x])
    weights = torch.randn(n_coils, 4, dtype=torch.complex128, generator=generator)
    maps = torch.einsum("cb,byx->cyx", weights, basis.to(torch.complex128))
    return maps / torch.linalg.vector_norm(maps, dim=0)


def dense(operator: CartesianMRI) -> Tensor:
    """The operator as a matrix (codomain size, domain size)."""
    n = operator.domain.size
    units = torch.eye(n, dtype=operator.domain.dtype).reshape(n, *operator.domain.shape)
    return operator.forward(units).reshape(n, -1).T


def mri_problem(
    mask: Tensor, *, n_coils: int = 3, noise: float = 0.0, seed: int = 0
) -> tuple[CartesianMRI, MeasurementModel, Tensor, Tensor]:
    """(operator, model, image, data) on the mask's matrix, complex128, a blocky object with smooth phase."""
    generator = torch.Generator().manual_seed(seed)
    shape = (mask.shape[-2], mask.shape[-1])
    maps = smooth_maps(n_coils, shape, generator)
    operator = cartesian_mri(mask, maps)
    image = torch.zeros(1, *shape, dtype=torch.complex128)
    image[0, shape[0] // 4 : -shape[0] // 5, shape[1] // 3 : -shape[1] // 4] = 1.0
    image[0, shape[0] // 2 :, : shape[1] // 2] += 0.5
    phase = torch.linspace(0, 1.5, shape[1], dtype=torch.float64)
    image = image * torch.exp(1j * phase)
    y = operator.forward(image)
    y = y + noise * operator.codomain.randn(generator=generator) * mask
    return operator, MeasurementModel(operator, GaussianNoise(max(noise, 1e-3))), image, y


def line_mask(shape: tuple[int, int], *, axis: int = -1, keep: float = 0.5, seed: int = 0) -> Tensor:
    """A random mask of whole lines with a sampled centre, bool (ky, kx)."""
    n = shape[axis]
    lines = torch.rand(n, generator=torch.Generator().manual_seed(seed)) < keep
    lines[n // 2 - 2 : n // 2 + 2] = True
    return (lines if axis == -1 else lines[:, None]).expand(shape).clone()
