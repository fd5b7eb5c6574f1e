"""Proximal splitting: 1/2 ||A x - y||^2 + g(x) with a prior that has a proximal map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.cg import CGOptions
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.priors.base import ProximalPrior
from mrirecon.priors.wavelet import Wavelet, cycle_shift
from mrirecon.reconstruction.base import (
    Reconstruction,
    Reconstructor,
    real_inner,
    relative_change,
    relative_size,
    require_finite,
)
from mrirecon.reconstruction.linear import require_linear

ProximalMap = Callable[[Tensor, float, int], Tensor]
"""``proximal_map(x, step, iteration)``: the prior's proximal map, which may use another grid in every iteration."""


def fixed(prior: ProximalPrior) -> ProximalMap:
    """The same proximal map in every iteration."""
    return lambda x, step, iteration: prior.prox(x, step)


def cycle_spinning(prior: Wavelet) -> ProximalMap:
    """Wavelet shrinkage on a grid that moves from iteration to iteration, against block artefacts.

    Coifman, Donoho, Translation-invariant de-noising, Lecture Notes in Statistics 103 (1995) 125-150.
    """
    return lambda x, step, iteration: prior.prox(
        x, step, shift=cycle_shift(iteration, n_levels=prior.n_levels, spatial_ndim=prior.spatial_ndim)
    )


@dataclass(frozen=True)
class ProximalGradient(Reconstructor):
    """Proximal gradient descent, accelerated (FISTA) with restart when the momentum points uphill.

        x_k+1 = prox_{tau g}( z_k - tau A^H (A z_k - y) ),      z_k+1 = x_k+1 + beta_k (x_k+1 - x_k)

    The step is tau = 1 / ||A||^2, from the operator's own bound (power method where it has no closed form).

    Parameters
    ----------
    proximal_map
        Of the regulariser: `fixed(prior)`, or `cycle_spinning(wavelet)`.
    max_iterations, tolerance
        Stop after so many iterations, or when the image changes relatively by less than `tolerance`.
    accelerated
        FISTA when true, plain ISTA when false.

    References
    ----------
    .. [1] Beck, Teboulle, A fast iterative shrinkage-thresholding algorithm, SIAM J Imaging Sci 2 (2009) 183-202.
    .. [2] O'Donoghue, Candes, Adaptive restart for accelerated gradient schemes, Found Comput Math 15 (2015) 715-732.
    """

    proximal_map: ProximalMap
    max_iterations: int = 100
    tolerance: float = 1e-4
    accelerated: bool = True

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        operator = require_linear(model, "proximal gradient")
        operator.codomain.check(y, "y")
        step = 1.0 / operator.norm_squared_bound()
        target = operator.adjoint(y)
        x, z, momentum, change, iteration = target, target, 1.0, float("inf"), 0
        while iteration < self.max_iterations and change > self.tolerance:
            gradient = operator.normal(z).sub_(target)
            new = self.proximal_map(torch.sub(z, gradient, alpha=step), step, iteration)
            difference = new - x
            iteration += 1
            change = relative_size(difference, new)
            if self.accelerated and real_inner(z, difference) > real_inner(new, difference):
                momentum = 1.0
            following = (1 + sqrt(1 + 4 * momentum**2)) / 2
            beta = (momentum - 1) / following if self.accelerated else 0.0
            z, x, momentum = torch.add(new, difference, alpha=beta), new, following
        return Reconstruction(require_finite(x, "proximal gradient"), iteration, change, change <= self.tolerance)


@dataclass(frozen=True)
class ADMM(Reconstructor):
    """Alternating direction method of multipliers on x = v.

        x <- (A^H A + rho I)^-1 (A^H y + rho (v - u)),   v <- prox_{g / rho}(x + u),   u <- u + x - v

    Few, expensive iterations: right where the operator has a closed-form solve.

    Parameters
    ----------
    prior
        The regulariser.
    rho
        Penalty, relative to ||A||^2 <= 1; changes the speed, not the limit.
    max_iterations, tolerance
        Stop after so many iterations, or when the image changes relatively by less than `tolerance`.
    cg
        Stopping rule of the inner solve where there is no closed form; started from the previous image.

    References
    ----------
    .. [1] Boyd et al., Distributed optimization and statistical learning via ADMM, Found Trends Mach Learn 3 (2011).
    """

    prior: ProximalPrior
    rho: float = 0.05
    max_iterations: int = 50
    tolerance: float = 1e-4
    cg: CGOptions = CGOptions(max_iterations=8, tolerance=1e-5)

    def __post_init__(self) -> None:
        if not 0 < self.rho < float("inf"):
            raise ConfigError(f"`rho` must be positive and finite, got {self.rho}")

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        operator = require_linear(model, "ADMM")
        operator.codomain.check(y, "y")
        target = operator.adjoint(y)
        v, u = target, torch.zeros_like(target)
        image, change, iteration = target, float("inf"), 0
        while iteration < self.max_iterations and change > self.tolerance:
            x = operator.solve_normal(target + self.rho * (v - u), self.rho, x0=image, cg=self.cg)
            v = self.prior.prox(x + u, 1 / self.rho)
            u = u + x - v
            iteration += 1
            change = max(relative_change(v, image), relative_change(x, v))
            image = v
        return Reconstruction(require_finite(image, "ADMM"), iteration, change, change <= self.tolerance)
