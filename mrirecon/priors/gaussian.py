"""Gaussian images: the prior whose denoiser, density and samples are known in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.space import Space
from mrirecon.operators.algebra import UnitaryOperator
from mrirecon.operators.elementary import Fourier, Identity
from mrirecon.priors.base import Denoiser, per_item
from mrirecon.shapes import Sigma


@dataclass(frozen=True, eq=False)
class GaussianPrior(Denoiser):
    """The exact MMSE denoiser of x ~ N(mean, C) with C = U^H diag(variance) U for a unitary U.

        E[clean | x] = mean + C (C + sigma^2 I)^-1 (x - mean)

    Variances count per real component, as sigma does: a complex image has E (x - mean)(x - mean)^H = 2 C and
    independent real and imaginary parts of every coefficient.

    Parameters
    ----------
    mean
        Shape ``basis.domain.shape``.
    variance
        Non-negative variances of the coefficients, shape ``basis.codomain.shape``, real.
    basis
        U; `GaussianPrior.dense`, `diagonal` and `stationary` build the usual ones.

    Raises
    ------
    ShapeError
        If the shapes disagree or a variance is negative.

    Examples
    --------
    >>> space = Space(("channel", "x"), (1, 2), torch.float32)
    >>> prior = GaussianPrior.diagonal(torch.zeros(1, 2), torch.tensor([[1.0, 3.0]]), space=space)
    >>> prior(torch.tensor([[4.0, 4.0]]), 1.0)
    tensor([[2., 3.]])
    """

    mean: Tensor
    variance: Tensor
    basis: UnitaryOperator
    is_mmse = True

    def __post_init__(self) -> None:
        self.basis.domain.check(self.mean, "mean")
        if self.mean.ndim != self.basis.domain.ndim:
            raise ShapeError(
                f"`mean` must not have batch axes: expected {self.basis.domain.shape}, got {self.mean.shape}"
            )
        if tuple(self.variance.shape) != self.basis.codomain.shape or self.variance.is_complex():
            raise ShapeError(
                f"`variance` must be real with one entry per coefficient, shape {self.basis.codomain.shape}, "
                f"got {tuple(self.variance.shape)} {self.variance.dtype}"
            )
        if not bool((self.variance >= 0).all()):
            raise ShapeError(f"`variance` must not be negative, its smallest entry is {float(self.variance.min()):.3g}")

    @classmethod
    def diagonal(cls, mean: Tensor, variance: Tensor, *, space: Space) -> GaussianPrior:
        """Independent pixels of the given variances, shape ``space.shape``."""
        return cls(mean, variance, Identity(space))

    @classmethod
    def stationary(
        cls, mean: Tensor, power: Tensor, *, space: Space, axes: tuple[str, ...] = ("y", "x")
    ) -> GaussianPrior:
        """Periodic stationary complex images with the given power spectrum.

        `power` is the variance of every coefficient of the centred orthonormal Fourier transform over `axes`, shape
        ``space.shape``.
        """
        return cls(mean, power, Fourier(space, axes))

    @classmethod
    def dense(cls, mean: Tensor, covariance: Tensor, *, space: Space) -> GaussianPrior:
        """Any covariance: Hermitian, positive semi-definite, shape (n, n) for n components in row-major order.

        Raises
        ------
        ShapeError
            If the matrix has the wrong size, is not Hermitian, or has an eigenvalue below -1e-5 of the largest.
        """
        n = space.size
        if tuple(covariance.shape) != (n, n) or covariance.is_complex() != space.is_complex:
            raise ShapeError(
                f"`covariance` must have shape ({n}, {n}) and be {'complex' if space.is_complex else 'real'}, "
                f"got {tuple(covariance.shape)} {covariance.dtype}"
            )
        scale = float(covariance.abs().max())
        asymmetry = float((covariance - covariance.mH).abs().max())
        if asymmetry > 1e-5 * scale:
            raise ShapeError(f"`covariance` must be Hermitian, it differs from its adjoint by {asymmetry:.3g}")
        values, vectors = torch.linalg.eigh(covariance)
        if float(values[0]) < -1e-5 * scale:
            raise ShapeError(
                f"`covariance` must be positive semi-definite, its least eigenvalue is {float(values[0]):.3g}"
            )
        return cls(mean, values.clamp_min(0.0), _Eigenbasis(space, vectors))

    def __call__(self, x: Tensor, sigma: Sigma) -> Tensor:
        """E[clean | x], exactly; shapes (*batch, *domain), `sigma` per real component."""
        self.basis.domain.check(x, "x")
        coefficients = self.basis.forward(x - self.mean)
        marginal = self._marginal(coefficients, sigma)
        gain = self.variance / marginal.clamp_min(torch.finfo(marginal.dtype).tiny)
        return self.mean + self.basis.adjoint(gain * coefficients)

    def log_density(self, x: Tensor, sigma: Sigma) -> Tensor:
        """Logarithm of the density of clean + sigma * noise at `x`, in nats: real, shape (*batch).

        Its gradient is the score (E[clean | x] - x) / sigma^2. Infinite where variance and sigma both vanish.
        """
        self.basis.domain.check(x, "x")
        coefficients = self.basis.forward(x - self.mean)
        marginal = self._marginal(coefficients, sigma)
        components = 2 if coefficients.is_complex() else 1
        terms = coefficients.abs().square() / marginal + components * (log(2 * pi) + marginal.log())
        return -0.5 * terms.sum(dim=tuple(range(-self.basis.codomain.ndim, 0)))

    def sample(self, *batch: int, generator: torch.Generator) -> Tensor:
        """Clean images, shape (*batch, *domain)."""
        noise = self.basis.codomain.randn(*batch, generator=generator)
        return self.mean + self.basis.adjoint(self.variance.sqrt() * noise)

    def _marginal(self, coefficients: Tensor, sigma: Sigma) -> Tensor:
        sigma = per_item(sigma, coefficients, item_ndim=self.basis.codomain.ndim, name="sigma")
        return self.variance + sigma * sigma


@dataclass(frozen=True, eq=False)
class _Eigenbasis(UnitaryOperator):
    """Coefficients along the columns of `vectors`."""

    space: Space
    vectors: Tensor

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        return Space(("mode",), (self.space.size,), self.space.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(x.ndim - self.space.ndim) @ self.vectors.conj()

    def adjoint(self, y: Tensor) -> Tensor:
        return (y @ self.vectors.mT).reshape(*y.shape[:-1], *self.space.shape)
