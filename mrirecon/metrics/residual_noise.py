"""What is known of the noise on k-space, and the distribution of quadratic forms that are measured against it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special
from torch import Tensor

from mrirecon.errors import ShapeError


@dataclass(frozen=True, eq=False)
class ResidualNoise:
    """Measured noise of multi-coil data: given once, as `sigma` or as `covariance`; neither means unknown.

    Parameters
    ----------
    sigma
        Standard deviation per real component of data whose channels are white and alike: a number, or one per batch
        item.
    covariance
        E[n n^H] between the coils, shape (coil, coil), units of the data squared, as `mri.whitening` gives it.
    unmixing
        With `sigma`: the receive coils from the channels of the data, shape (coil, channel), so that coils are named
        as the scanner does; the channels themselves when omitted.
    samples
        Complex noise samples from which the level was estimated; None if it is known exactly.
    source
        Where it comes from, in words for the record.

    Raises
    ------
    ShapeError
        If the noise is given twice, is not positive (definite), or shapes disagree.
    """

    sigma: float | Tensor | None = None
    covariance: Tensor | None = None
    unmixing: Tensor | None = None
    samples: int | None = None
    source: str = "known"

    def __post_init__(self) -> None:
        if self.sigma is not None and self.covariance is not None:
            raise ShapeError("give the noise once, as `sigma` or as `covariance`, not both")
        if self.sigma is not None:
            level = torch.as_tensor(self.sigma)
            if not bool(((level > 0) & torch.isfinite(level)).all()):
                raise ShapeError(f"`sigma` must be positive and finite, got {self.sigma}")
        if self.unmixing is not None and (self.sigma is None or self.unmixing.ndim != 2):
            raise ShapeError("`unmixing` must have shape (coil, channel) and goes with the `sigma` of white channels")
        if self.samples is not None and self.samples < 1:
            raise ShapeError(f"`samples` must be at least 1 or None (known exactly), got {self.samples}")

    @property
    def known(self) -> bool:
        """Whether there is a noise level."""
        return self.sigma is not None or self.covariance is not None

    def white(self, residual: Tensor) -> Tensor:
        """The residual (*batch, coil, ky, kx) with unit noise variance per real component, independent channels.

        Raises
        ------
        ShapeError
            If the noise is unknown, or the covariance does not fit or is not positive definite.
        """
        if self.covariance is not None:
            return whitened(residual, self.covariance, axis=-3)
        return residual / self._level(residual)

    def coil_energy(self, residual: Tensor) -> Tensor:
        """Sums of squares of `by_coil` over k-space, shape (*batch, coil), without forming it: from inner products."""
        if self.unmixing is None:
            return squares(self.by_coil(residual)).sum(dim=(-2, -1), dtype=torch.float64)
        flat = self.white(residual).flatten(-2)
        mixing = self._mixing(flat.shape[-2], flat.device)
        gram = (flat @ flat.mH).to(mixing.dtype)
        return torch.einsum("ij,...jk,ik->...i", mixing, gram, mixing.conj()).real

    def by_coil(self, residual: Tensor) -> Tensor:
        """The residual of every receive coil with unit noise variance per real component; coils stay correlated."""
        if self.covariance is not None:
            self.white(residual)  # refuses what is not a covariance of these coils
            deviation = (self.covariance.diagonal().real.double() / 2).sqrt().to(residual.device)
            return residual.to(torch.complex128) / deviation[:, None, None]
        white = self.white(residual)
        if self.unmixing is None:
            return white
        return torch.einsum("ij,...jyx->...iyx", self._mixing(white.shape[-3], white.device).to(white.dtype), white)

    def _mixing(self, n_channels: int, device: torch.device) -> Tensor:
        """`unmixing` with rows of unit norm, so that white channels make coils of unit variance; complex128."""
        if self.unmixing is None or self.unmixing.shape[1] != n_channels:
            shape = None if self.unmixing is None else tuple(self.unmixing.shape)
            raise ShapeError(f"`unmixing` must have one column per channel, {n_channels}, got {shape}")
        mixing = self.unmixing.to(device=device, dtype=torch.complex128)
        unit: Tensor = mixing / torch.linalg.vector_norm(mixing, dim=1, keepdim=True)
        return unit

    def _level(self, residual: Tensor) -> Tensor | float:
        if self.sigma is None:
            raise ShapeError("the noise is unknown; without it a residual cannot be whitened")
        if isinstance(self.sigma, Tensor):
            level = self.sigma.to(device=residual.device, dtype=residual.dtype.to_real())
            return level.reshape(*self.sigma.shape, 1, 1, 1)
        return self.sigma


def squares(values: Tensor) -> Tensor:
    """|v|^2 of complex values."""
    pairs = torch.view_as_real(values.resolve_conj())
    return pairs[..., 0].square() + pairs[..., 1].square()


def whitened(residual: Tensor, covariance: Tensor, *, axis: int) -> Tensor:
    """Coils mixed so that their noise has unit variance per real component: sqrt(2) L^-1 r, complex128.

    Parameters
    ----------
    residual
        Any shape.
    covariance
        E[n n^H] between coils, shape (coil, coil).
    axis
        Which axis of `residual` are the coils.

    Raises
    ------
    ShapeError
        If the shapes disagree or the covariance is not positive definite.
    """
    n_coils = residual.shape[axis]
    if covariance.shape != (n_coils, n_coils):
        raise ShapeError(f"`covariance` must have shape ({n_coils}, {n_coils}), got {tuple(covariance.shape)}")
    factor, info = torch.linalg.cholesky_ex(covariance.to(device=residual.device, dtype=torch.complex128))
    if int(info) != 0:
        raise ShapeError("`covariance` must be positive definite; a channel is dead or two are copies: leave one out")
    moved = residual.movedim(axis, 0)
    flat = moved.reshape(n_coils, -1).to(torch.complex128)
    white: Tensor = math.sqrt(2) * torch.linalg.solve_triangular(factor, flat, upper=False)
    return white.reshape(moved.shape).movedim(0, axis)


def upper_tail(
    energy: ArrayLike,
    *,
    mean: ArrayLike,
    variance: ArrayLike,
    channels: int,
    noise_samples: int | None = None,
    replicas: int | None = None,
) -> NDArray[np.float64]:
    """P(at least this energy), for squared norms of Gaussian residuals that were divided by estimated noise.

    With exactly known noise and expectation, energy * nu / mean is taken as chi-square with nu = 2 mean^2 / variance
    degrees of freedom (exact for white residuals and projections of them; Satterthwaite's approximation [1]_
    otherwise). A covariance of c channels from n noise samples makes a sum over M positions the trace of one Wishart
    matrix times the inverse of another; with a mean found from `replicas` draws there is a second denominator. Both
    turn chi-square into F, whose two degrees of freedom are chosen so that mean and variance are those of the trace
    [2]_, [3]_: for one channel and one draw F(2 M, 2 n) exactly, which for c channels would be Hotelling's at M = 1.

    Parameters
    ----------
    energy
        Sum of squared real components after whitening.
    mean, variance
        Its expectation and variance if the whitening were exact; 2 N and 4 N for N complex samples of noise alone.
    channels
        c: channels that were whitened together; 1 for coils normalised one by one.
    noise_samples
        n, complex; None if the covariance is known.
    replicas
        Draws that `mean` is the average of; None if it is known.

    Returns
    -------
        NaN where no distribution can be given: noise samples hardly more than channels.

    References
    ----------
    .. [1] Satterthwaite, An approximate distribution of estimates of variance components, Biometrics 2 (1946) 110-114.
    .. [2] McKeon, F approximations to the distribution of Hotelling's T0^2, Biometrika 61 (1974) 381-383.
    .. [3] Tulino, Verdu, Random matrix theory and wireless communications (2004), lemma 2.10: moments of the inverse
       of a complex Wishart matrix.
    """
    energy, mean, variance = (np.asarray(v, dtype=np.float64) for v in (energy, mean, variance))
    nu = 2 * mean**2 / variance
    inflation, spread, sharing = np.ones_like(nu), np.zeros_like(nu), 1.0
    if noise_samples is not None:
        n, c = noise_samples, channels
        if n <= c + 1:
            return np.full_like(nu, np.nan)
        d = n - c
        square = c / d * (n / (d * d - 1) + (c - 1) / (d + 1))  # E (tr W^-1)^2
        inflation = inflation * n / d
        spread = spread + square * d * d / (c * c) - 1
        sharing = n * d / (d * d - 1)  # c E tr W^-2 / (E tr W^-1)^2
    first = nu * (1 + spread) / sharing
    if replicas is not None:
        second = replicas * nu
        usable = second > 4
        second = np.where(usable, second, 5.0)
        inflation = np.where(usable, inflation * second / (second - 2), np.nan)
        spread = (1 + spread) * (1 + 2 / (second - 4)) - 1
    ratio = energy / (mean * inflation)
    if noise_samples is None and replicas is None:
        tail: NDArray[np.float64] = special.chdtrc(nu, ratio * nu)
        return tail
    below = 4 + 2 / spread
    tail = special.fdtrc(first, below, ratio * below / (below - 2))
    return tail
