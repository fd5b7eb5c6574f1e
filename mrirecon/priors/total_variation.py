"""Total variation: its value, its exact proximal map by accelerated dual projection, and the parts of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ConvergenceError, ShapeError
from mrirecon.linalg.channels import from_planes, to_planes
from mrirecon.linalg.gradient import Boundary, divergence, gradient
from mrirecon.priors.base import ProximalPrior, check_image, per_item
from mrirecon.priors.shrinkage import clip_modulus, modulus

Coupling = Literal["isotropic", "anisotropic"]
"""Whether the differences of one pixel form one vector with one modulus, or are penalised one by one."""

_CHECK_EVERY = 10


@dataclass(frozen=True)
class TotalVariationOptions:
    """When the exact proximal map stops: after `max_iterations`, or once the error bound is below `tolerance`."""

    max_iterations: int = 500
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        if self.max_iterations < 1:
            raise ConfigError(f"`max_iterations` must be at least 1, got {self.max_iterations}")
        if not self.tolerance >= 0:
            raise ConfigError(f"`tolerance` must not be negative, got {self.tolerance}")


@dataclass(frozen=True)
class TotalVariationResult:
    """The proximal point and how it was reached.

    Parameters
    ----------
    solution
        The image, shape and dtype of the input.
    dual
        Dual variable, shape (*batch, channel, direction, [z,] y, x); ``solution = x + divergence(dual)``. Pass it as
        `start` of the next call for a warm start.
    iterations
        How many dual steps were made.
    gap
        Duality gap: real, shape (*batch). The true proximal point is nearer than ``sqrt(2 * gap)``.
    relative_error_bound
        ``sqrt(2 * gap) / ||x||``, the largest over the batch.
    converged
        Whether that bound is within the tolerance.
    """

    solution: Tensor
    dual: Tensor
    iterations: int
    gap: Tensor
    relative_error_bound: float
    converged: bool


@dataclass(frozen=True)
class TotalVariation(ProximalPrior):
    """Weighted total variation, g(u) = weight * TV(u), with the exact proximal map.

    Parameters
    ----------
    weight
        Non-negative factor of the total variation.
    spatial_ndim
        Number of trailing axes that are differentiated.
    coupling
        "isotropic": sum over pixels of the norm of the gradient. "anisotropic": sum of the moduli of its entries.
    boundary
        "replicate" (zero difference at the far edge) or "circular".
    options
        Stopping rule of the proximal map.

    Raises
    ------
    ConfigError
        If a setting is out of range.

    Notes
    -----
    For primal-dual methods, TV(u) = ||K u|| with `analysis` K, `analysis_adjoint` K^H, `project_dual` (the proximal
    map of the conjugate, whatever its step) and `analysis_norm_squared` >= ||K||^2. Channels are independent.

    References
    ----------
    .. [1] A. Beck, M. Teboulle, "Fast gradient-based algorithms for constrained total variation image denoising and
       deblurring problems", IEEE Trans. Image Process. 18 (2009) 2419-2434.
    .. [2] B. O'Donoghue, E. Candes, "Adaptive restart for accelerated gradient schemes", Found. Comput. Math. 15
       (2015) 715-732.
    """

    weight: float
    spatial_ndim: int = 2
    coupling: Coupling = "isotropic"
    boundary: Boundary = "replicate"
    options: TotalVariationOptions = TotalVariationOptions()

    def __post_init__(self) -> None:
        check_settings(self.weight, self.spatial_ndim, self.coupling, self.boundary)

    @property
    def analysis_norm_squared(self) -> float:
        """An upper bound on the largest eigenvalue of K^H K, sharp for circular boundaries and even sizes."""
        return 4.0 * self.spatial_ndim

    def value(self, x: Tensor) -> Tensor:
        """weight * TV(x): real, shape (*batch)."""
        return self.weight * total_variation(
            x, spatial_ndim=self.spatial_ndim, coupling=self.coupling, boundary=self.boundary
        )

    def analysis(self, x: Tensor) -> Tensor:
        """K x: the differences, shape (*batch, channel, direction, [z,] y, x)."""
        return gradient(x, spatial_ndim=self.spatial_ndim, boundary=self.boundary)

    def analysis_adjoint(self, p: Tensor) -> Tensor:
        """K^H p, minus the divergence: (*batch, channel, direction, [z,] y, x) -> (*batch, channel, [z,] y, x)."""
        return -divergence(p, spatial_ndim=self.spatial_ndim, boundary=self.boundary)

    def project_dual(self, p: Tensor) -> Tensor:
        """Nearest point to `p` whose moduli (per vector if isotropic, per entry if not) are at most `weight`."""
        return from_planes(clip_modulus(to_planes(p), self.weight, joint=self._joint))

    def prox(self, x: Tensor, step: Tensor | float) -> Tensor:
        """argmin_u 1/2 ||u - x||^2 + step * weight * TV(u) to the accuracy of `options`; see `solve` for a report."""
        return self.solve(x, step).solution

    def solve(self, x: Tensor, step: Tensor | float, *, start: Tensor | None = None) -> TotalVariationResult:
        """The proximal map with its dual variable and error bound.

        Accelerated projected gradient on the dual, ``min 1/2 ||x + div r||^2`` over ``|r| <= step * weight``, with
        the momentum dropped when it points uphill. The duality gap, sum(step * weight * |D u| - <D u, r>), is
        free of cancellation and bounds the distance to the true minimiser: 1/2 ||u - u*||^2 <= gap.

        Parameters
        ----------
        x
            Image, shape (*batch, channel, [z,] y, x), real or complex.
        step
            Non-negative step size: a number, or a tensor that broadcasts to the batch axes.
        start
            Dual variable of an earlier call on similar data, zero when omitted; projected first if `step` changed.

        Returns
        -------
            `TotalVariationResult`; not converging is reported there, not raised.

        Raises
        ------
        ShapeError
            If `x` or `start` has the wrong shape.
        ConvergenceError
            If the gap is not finite.

        Notes
        -----
        Differentiable through its iterations. The true error is usually ten times below the bound.
        """
        check_image(x, spatial_ndim=self.spatial_ndim)
        lam = per_item(step, x, item_ndim=self.spatial_ndim + 1, name="step")
        lam = lam * self.weight
        if isinstance(lam, Tensor):
            lam = lam.unsqueeze(-1)  # beside the direction axis of the gradient
        planes = to_planes(x)
        dual, iterations, gap, bound = self._minimise(planes, lam, self._start(x, planes, lam, start))
        if not bound < float("inf"):
            raise ConvergenceError(
                f"total variation: the duality gap is not finite after {iterations} iterations; check `x` for NaN"
            )
        solution = planes + self._divergence(dual)
        return TotalVariationResult(
            from_planes(solution), from_planes(dual), iterations, gap, bound, bound <= self.options.tolerance
        )

    def _minimise(self, x: Tensor, lam: Tensor | float, r: Tensor) -> tuple[Tensor, int, Tensor, float]:
        rate = 1 / self.analysis_norm_squared
        item = (0, *range(-self.spatial_ndim - 2, 0))
        q, iterations = r.clone(), 0
        t = torch.ones([1 if i in item or i - r.ndim in item else n for i, n in enumerate(r.shape)]).to(r)
        while True:
            if iterations % _CHECK_EVERY == 0 or iterations == self.options.max_iterations:
                gap, bound = self._gap(x, lam, r)
                if not bound > self.options.tolerance or iterations == self.options.max_iterations:
                    return r, iterations, gap, bound
            # In-place steps touch only fresh memory that no derivative needs: they keep the iteration in the cache.
            slope = self._gradient(self._divergence(q).add_(x))
            watched = iterations % _CHECK_EVERY == _CHECK_EVERY - 1
            raised = torch.add(q, slope, alpha=rate) if watched else q.add_(slope, alpha=rate)
            new = clip_modulus(raised, lam, joint=self._joint, overwrite=True)
            change = new - r
            if watched:
                uphill = torch.sub(q.detach(), new.detach()).mul_(change.detach()).sum(dim=item, keepdim=True) > 0
                t = torch.where(uphill, 1.0, t)
            t_next = (1 + (1 + 4 * t * t).sqrt()) / 2
            q = change.mul_((t - 1) / t_next).add_(new)
            r, t = new, t_next
            iterations += 1

    def _gap(self, x: Tensor, lam: Tensor | float, r: Tensor) -> tuple[Tensor, float]:
        differences = self._gradient(x + self._divergence(r))
        item = tuple(range(-self.spatial_ndim - 2, 0))
        inner = (differences * r).sum(dim=(0, *item))
        gap = (lam * modulus(differences, joint=self._joint)).sum(dim=item) - inner
        gap = gap.clamp_min(0.0)
        energy = x.square().sum(dim=(0, *item[1:]))
        ratio = 2 * gap.detach() / energy.detach().clamp_min(torch.finfo(x.dtype).tiny)
        return gap, float(ratio.max().sqrt()) if ratio.numel() else 0.0

    def _start(self, x: Tensor, planes: Tensor, lam: Tensor | float, start: Tensor | None) -> Tensor:
        d = self.spatial_ndim
        expected = (*x.shape[: x.ndim - d], d, *x.shape[x.ndim - d :])
        if start is None:
            return torch.zeros((planes.shape[0], *expected), dtype=planes.dtype, device=planes.device)
        if tuple(start.shape) != expected or start.dtype != x.dtype:
            raise ShapeError(
                f"`start` must have shape {expected} and dtype {x.dtype}, got {tuple(start.shape)} {start.dtype}; "
                "pass the `dual` of an earlier result for an image of the same shape"
            )
        return clip_modulus(to_planes(start), lam, joint=self._joint)

    @property
    def _joint(self) -> int | None:
        return -self.spatial_ndim - 1 if self.coupling == "isotropic" and self.spatial_ndim > 1 else None

    def _gradient(self, x: Tensor) -> Tensor:
        return gradient(x, spatial_ndim=self.spatial_ndim, boundary=self.boundary)

    def _divergence(self, p: Tensor) -> Tensor:
        return divergence(p, spatial_ndim=self.spatial_ndim, boundary=self.boundary)


def total_variation(
    x: Tensor, *, spatial_ndim: int = 2, coupling: Coupling = "isotropic", boundary: Boundary = "replicate"
) -> Tensor:
    """Sum over channels and pixels of the modulus of the forward differences.

    Parameters
    ----------
    x
        Image, shape (*batch, channel, [z,] y, x), real or complex.
    spatial_ndim, coupling, boundary
        As for `TotalVariation`.

    Returns
    -------
        Real, shape (*batch).

    Examples
    --------
    >>> total_variation(torch.tensor([[1.0, 4.0, 2.0]]), spatial_ndim=1)
    tensor(5.)
    """
    check_settings(0.0, spatial_ndim, coupling, boundary)
    check_image(x, spatial_ndim=spatial_ndim)
    planes = to_planes(x)
    differences = gradient(planes, spatial_ndim=spatial_ndim, boundary=boundary)
    joint = -spatial_ndim - 1 if coupling == "isotropic" and spatial_ndim > 1 else None
    return modulus(differences, joint=joint).sum(dim=tuple(range(-spatial_ndim - 2, 0)))


def check_settings(weight: float, spatial_ndim: int, coupling: str, boundary: str) -> None:
    """`ConfigError` unless the settings that both total variation priors share make sense."""
    if not 0 <= weight < float("inf"):
        raise ConfigError(f"`weight` must be finite and not negative, got {weight}")
    if spatial_ndim < 1:
        raise ConfigError(f"`spatial_ndim` must be at least 1, got {spatial_ndim}")
    if coupling not in ("isotropic", "anisotropic"):
        raise ConfigError(f"`coupling` must be 'isotropic' or 'anisotropic', got {coupling!r}")
    if boundary not in ("circular", "replicate"):
        raise ConfigError(f"`boundary` must be 'circular' or 'replicate', got {boundary!r}")
