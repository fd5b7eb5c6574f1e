"""Primal-dual splitting for total variation: no inner iteration, exact in the limit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.channels import from_planes, to_planes
from mrirecon.linalg.gradient import divergence, gradient
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.priors.shrinkage import clip_modulus
from mrirecon.reconstruction.base import Reconstruction, Reconstructor, relative_change, require_finite
from mrirecon.reconstruction.linear import require_linear


@dataclass(frozen=True)
class PrimalDualTV(Reconstructor):
    """argmin_x 1/2 ||A x - y||^2 + weight TV(x) by the Condat-Vu primal-dual iteration.

        x' = x - tau ( A^H (A x - y) - div u ),      u <- P( u + sigma grad(2 x' - x) )

    P projects the dual variable on magnitude <= weight; tau and sigma satisfy 1/tau - sigma ||grad||^2 >= ||A||^2 / 2.

    Parameters
    ----------
    weight
        Unit-free: images are scaled to a 99th percentile of about 1.
    isotropic
        Joint magnitude over the directions, or one by one.
    max_iterations, tolerance
        Stop after so many iterations, or when the image changes relatively by less than `tolerance`.

    References
    ----------
    .. [1] Condat, A primal-dual splitting method for convex optimization, J Optim Theory Appl 158 (2013) 460-479.
    .. [2] Rudin, Osher, Fatemi, Nonlinear total variation based noise removal algorithms, Physica D 60 (1992).
    """

    weight: float
    isotropic: bool = True
    spatial_ndim: int = 2
    max_iterations: int = 100
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        if not 0 <= self.weight < float("inf"):
            raise ConfigError(f"`weight` must be finite and not negative, got {self.weight}")

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        operator = require_linear(model, "tv")
        operator.codomain.check(y, "y")
        lipschitz = operator.norm_squared_bound()
        tau = 0.95 / lipschitz
        sigma = (1 / tau - lipschitz / 2) / (4 * self.spatial_ndim)
        target = operator.adjoint(y)
        joint = -self.spatial_ndim - 1 if self.isotropic else None
        x, dual = target, self._gradient(target).zero_()
        change, iteration = float("inf"), 0
        while iteration < self.max_iterations and (change > self.tolerance or iteration < 2):  # the dual starts at 0
            pull = from_planes(divergence(dual, spatial_ndim=self.spatial_ndim))
            descent = operator.normal(x).sub_(target).sub_(pull)
            new = torch.sub(x, descent, alpha=tau)
            ascent = self._gradient(torch.sub(new, x, alpha=0.5))  # half of 2 x' - x
            dual = clip_modulus(dual.add_(ascent, alpha=2 * sigma), self.weight, joint=joint, overwrite=True)
            iteration += 1
            change = relative_change(new, x)
            x = new
        return Reconstruction(require_finite(x, "tv"), iteration, change, change <= self.tolerance)

    def _gradient(self, x: Tensor) -> Tensor:
        """Differences of real and imaginary parts, (part, *batch, channel, direction, [z,] y, x)."""
        return gradient(to_planes(x), spatial_ndim=self.spatial_ndim)
