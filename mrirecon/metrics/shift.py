"""Distribution shift in nats, from what two denoisers make of the same noisy data.

Two priors p and q, known only through their MMSE denoisers, are as far apart as their denoisers disagree:

    KL(p || q) = int_0^inf  E_{x ~ p} || D_p(x_s) - D_q(x_s) ||^2  s^-3  ds ,      x_s = x + s n

With sigma per real component the identity holds for complex images as it stands. Where only parts P x of the image, in
some unitary basis, are measured, the integral of the weighted disagreement

    E || W ( D_p(P x_s) - D_q(P x_s) ) ||^2  s^-3 ,      W = E[P]^exponent

of denoisers of what was measured, E[P x | P x_s], gives the divergence of the measured parts: for one fixed P exactly
that of the marginals. For independent coefficients and random masks the exponent -1/2 gives back that of the whole
images; the -3/2 printed in [1]_ gives E[P]^-2 times as much. Noise of the data themselves, of level s_0, leaves the
integral above s_0, which is the divergence of the noisy distributions.

One image x in place of the expectation, and the image itself in place of D_p, gives a logarithm of a ratio of
densities, by the same argument for the point mass at x:

    log r(x) - log q(x) = int_0^inf  E_n ( || x - D_q(x_s) ||^2 - || x - D_r(x_s) ||^2 )  s^-3  ds

References
----------
.. [1] Shoushtari et al., Measurement-domain KL divergence for distribution shift, arXiv:2505.11482, theorem 1.
.. [2] Kong, Brekelmans and Ver Steeg, Information-theoretic diffusion, ICLR 2023, arXiv:2302.03792.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.operators.algebra import UnitaryOperator
from mrirecon.priors.base import Denoiser

MeasuredDenoiser = Callable[[Tensor, float, Tensor], Tensor]
"""(measured coefficients with noise, sigma, mask) to E[coefficients | these], of the same shape."""


@dataclass(frozen=True, eq=False)
class ShiftCurve:
    """A disagreement by noise level, and its integral.

    Parameters
    ----------
    sigmas
        Noise levels, rising.
    disagreement
        Weighted squared differences, shape (level, *item), float64.
    open_below
        Whether the integral begins at 0; else at the first level, that of the noise of the data.
    """

    sigmas: Tensor
    disagreement: Tensor
    open_below: bool = True

    @property
    def cumulative(self) -> Tensor:
        """The integral up to every level, shape (level, *item), in nats.

        By the trapezoidal rule over log s. Below the first level the disagreement is taken to fall as s^4.
        """
        rate = self.disagreement / _column(self.sigmas, self.disagreement) ** 2
        widths = _column(self.sigmas.log().diff(), self.disagreement)
        start = rate[:1] / 2 if self.open_below else torch.zeros_like(rate[:1])
        return torch.cat([start, start + (widths * (rate[1:] + rate[:-1]) / 2).cumsum(0)])

    @property
    def divergence(self) -> Tensor:
        """The whole integral, shape (*item), in nats; above the last level the disagreement is taken as constant."""
        return self.cumulative[-1] + self.disagreement[-1] / self.sigmas[-1] ** 2 / 2


@dataclass(frozen=True, eq=False)
class ZeroFilled:
    """A denoiser of whole images applied to measured coefficients, zero where there are none.

        (c, sigma, mask) -> mask * U D(U^H c; sigma)

    It is the denoiser of what was measured for images of independent coefficients, and an approximation else.

    Parameters
    ----------
    denoiser
        D.
    basis
        U, from images to coefficients.
    """

    denoiser: Denoiser
    basis: UnitaryOperator

    def __call__(self, coefficients: Tensor, sigma: float, mask: Tensor) -> Tensor:
        return mask * self.basis.forward(self.denoiser(self.basis.adjoint(coefficients), sigma))


def geometric_levels(lowest: float, highest: float, n: int) -> Tensor:
    """`n` noise levels with equal ratios, float64, both ends included."""
    if not 0 < lowest < highest or n < 2:
        raise ConfigError(f"expected 0 < lowest < highest and at least 2 levels, got {lowest}, {highest} and {n}")
    return torch.logspace(0, 1, n, base=highest / lowest, dtype=torch.float64) * lowest


def shift_curve(
    p: Denoiser, q: Denoiser, x: Tensor, *, sigmas: Tensor, generator: torch.Generator, noise_sigma: float = 0.0
) -> ShiftCurve:
    """The disagreement of two denoisers on images of p; its `divergence` is KL(p || q).

    Parameters
    ----------
    p, q
        MMSE denoisers.
    x
        Samples of p, shape (batch, *domain); the more, the smaller the error, which falls as 1/sqrt(batch).
    sigmas
        Rising noise levels, from well below the finest structure of the priors to well above their extent.
    generator
        Of the noise.
    noise_sigma
        Noise that `x` has already, at most the lowest level.
    """
    levels = _levels(sigmas, noise_sigma)
    values = []
    for sigma, added in levels:
        noisy = x + added * _unit_noise(x, generator)
        values.append(_squares(p(noisy, sigma) - q(noisy, sigma)).mean())
    return ShiftCurve(sigmas.double(), torch.stack(values), noise_sigma == 0)


def measured_shift_curve(
    p: MeasuredDenoiser,
    q: MeasuredDenoiser,
    measured: Tensor,
    mask: Tensor,
    *,
    sigmas: Tensor,
    generator: torch.Generator,
    exponent: float = -0.5,
    noise_sigma: float = 0.0,
) -> ShiftCurve:
    """The disagreement of two denoisers on what was measured of images of p.

    Parameters
    ----------
    p, q
        MMSE denoisers of measured coefficients, see `ZeroFilled`.
    measured
        P U x, shape (batch, *codomain).
    mask
        P of every item, bool, broadcastable to `measured`.
    exponent
        Of E[P], the mean of the masks over the batch, in the weights: -1/2 is exact for independent coefficients,
        -3/2 is printed in [1]_, 0 weights nothing and is the divergence of the measured parts.
    sigmas, generator, noise_sigma
        See `shift_curve`.

    Raises
    ------
    ShapeError
        If the mask does not fit, or no item measures some coefficient, which then has no weight.
    """
    kept = mask.expand(measured.shape).to(measured.real.dtype if measured.is_complex() else measured.dtype)
    rate = kept.double().mean(dim=0)
    if exponent < 0 and not bool((rate > 0).all()):
        raise ShapeError(
            f"every coefficient must be measured in some item, {int((rate == 0).sum())} of {rate.numel()} are not; "
            "give more masks, or an exponent of 0"
        )
    weight = (rate**exponent).to(kept.dtype)
    values = []
    for sigma, added in _levels(sigmas, noise_sigma):
        noisy = kept * (measured + added * _unit_noise(measured, generator))
        difference = weight * kept * (p(noisy, sigma, kept) - q(noisy, sigma, kept))
        values.append(_squares(difference).mean())
    return ShiftCurve(sigmas.double(), torch.stack(values), noise_sigma == 0)


def log_ratio_curve(
    q: Denoiser, r: Denoiser, x: Tensor, *, sigmas: Tensor, generator: torch.Generator, draws: int = 1
) -> ShiftCurve:
    """How much worse q denoises images than r does, image by image; its `divergence` is log r(x) - log q(x).

    Averaged over images of p this is KL(p || q) - KL(p || r): what it costs to take q for p, with r as the yardstick.

    Parameters
    ----------
    q, r
        MMSE denoisers.
    x
        Images, shape (batch, *domain).
    sigmas, generator
        See `shift_curve`.
    draws
        Of the noise, per image and level.
    """
    values = []
    for sigma, added in _levels(sigmas, 0.0):
        found = torch.zeros(len(x), dtype=torch.float64, device=x.device)
        for _ in range(draws):
            noisy = x + added * _unit_noise(x, generator)
            found += _squares(x - q(noisy, sigma)) - _squares(x - r(noisy, sigma))
        values.append(found / draws)
    return ShiftCurve(sigmas.double(), torch.stack(values))


def _levels(sigmas: Tensor, noise_sigma: float) -> list[tuple[float, float]]:
    """(level, noise to be added) for every level."""
    if sigmas.ndim != 1 or len(sigmas) < 2 or not bool((sigmas.diff() > 0).all()) or not float(sigmas[0]) > 0:
        raise ConfigError("`sigmas` must be at least two rising, positive noise levels")
    values = [float(s) for s in sigmas]
    if not 0 <= noise_sigma <= values[0] * (1 + 1e-9):
        raise ConfigError(f"`noise_sigma` must lie between 0 and the lowest level {values[0]:g}, got {noise_sigma:g}")
    return [(s, max(s * s - noise_sigma**2, 0.0) ** 0.5) for s in values]


def _unit_noise(x: Tensor, generator: torch.Generator) -> Tensor:
    real = x.real.dtype if x.is_complex() else x.dtype
    shape = (*x.shape, 2) if x.is_complex() else x.shape
    noise = torch.randn(shape, generator=generator, dtype=real, device=generator.device).to(x.device)
    return torch.view_as_complex(noise) if x.is_complex() else noise


def _squares(x: Tensor) -> Tensor:
    """Sum of squares of every batch item, float64."""
    return x.abs().double().square().flatten(1).sum(dim=1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(-1, *(1,) * (like.ndim - 1))
