"""The sharp form of the data-consistency certificate: the expected misfit from simulated repetitions of the scan.

The residual of a reconstruction R that was fitted to the data has less energy than the noise, and some bias. Both are
found by repeating the scan in simulation: with the image x in the place of the truth, data A x + n_b are drawn and
reconstructed by the same method. What is compared is the residual without the method's own bias, estimated by
reconstructing noiseless data of its image once more,

    d(y, x) = (y - A x) - (A x - A R(A x)).

For a linear R, with G = I - A R, d = G^2 y, and what remains of the bias is second order, G^2 A x. The draws
d_b = d(A x + n_b, R(A x + n_b)) are then Hutchinson's probes of the trace of the residual operator: their mean squared
norms are unbiased for tr G^2 (G^2)^H, of every line and coil too, and the products of different draws for tr C^2, the
variance of a squared norm with covariance C. An image that was altered after the reconstruction, x + e, has
d = G^2 y - (I + G) A e instead: what the fit would have absorbed shows. It shows best in the image: A^H G^2 y is
nearly 0, noise and errors of the sensitivities included, as no image explains them, and A^H (I + G) A e is not. So
A^H d is tested too where A is linear.

Exact false-alarm rate: linear reconstructions run to convergence (or fixed polynomials of A^H A), whose second-order
bias is below the noise, in white or whitened Gaussian noise of known level. Tikhonov's weight must be small against
the well-determined singular values. For nonlinear methods the rate holds as far as they are locally linear, and it is
conservative where they repeat less of their bias at the image than at the truth; samplers count their own scatter as
expected.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.metrics.certificate import CertificateResult, certificate, untested
from mrirecon.metrics.certificate_families import ExpectedEnergy, Planes
from mrirecon.metrics.residual_energy import (
    LineAxis,
    ResidualEnergy,
    by_line,
    line_axis,
    measured,
    residual_energies,
)
from mrirecon.metrics.residual_noise import ResidualNoise, squares
from mrirecon.operators.base import LinearOperator
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.noise import GaussianNoise
from mrirecon.reconstruction.base import Reconstructor

_NEGLIGIBLE = 0.01


def certify_reconstruction(
    reconstructor: Reconstructor,
    y: Tensor,
    model: MeasurementModel,
    *,
    seed: int,
    image: Tensor | None = None,
    n_replicas: int = 12,
    noise: ResidualNoise | None = None,
    axis: LineAxis | None = None,
    false_alarm_rate: float = 0.01,
    planes: Planes = "slices",
) -> CertificateResult:
    """The certificate with the expectation ``replicas``.

    Parameters
    ----------
    reconstructor
        The method.
    y
        Data, shape (*batch, coil, ky, kx), complex, with white noise.
    model
        Operator and noise; `GaussianNoise`, else the verdict is "not tested".
    seed
        Of the simulated noise and of methods that draw.
    image
        The image to be certified, shape (*batch, *domain), if it is not `reconstructor` of `y` itself.
    n_replicas
        Simulated repetitions, at least 2; with 12 the expectation of a plane adds 4 % to the width of the test.
    noise
        Says more than the model: from how many samples the level is known, and how to name coils.
    axis, false_alarm_rate, planes
        See `metrics.certificate.certify`.

    Raises
    ------
    ConfigError
        If there are fewer than two replicas or the noise is not that of the model.
    ShapeError
        If shapes disagree or the data are not multi-coil k-space.

    Notes
    -----
    Cost: 2 `n_replicas` + 1 reconstructions, one more without `image`.
    """
    if n_replicas < 2:
        raise ConfigError(f"`n_replicas` must be at least 2, got {n_replicas}; 12 are usual")
    if not isinstance(model.noise, GaussianNoise):
        return untested("the noise of these data is unknown", false_alarm_rate=false_alarm_rate)
    level = noise or ResidualNoise(sigma=model.noise.sigma)
    if level.sigma is None or not torch.equal(*map(torch.as_tensor, (level.sigma, model.noise.sigma))):
        raise ConfigError("`noise` must have the sigma of the model; whiten correlated data before")
    energies, expected = replica_energies(
        reconstructor, y, model, seed=seed, image=image, n_replicas=n_replicas, noise=level, axis=axis
    )
    return certificate(energies, noise=level, expected=expected, false_alarm_rate=false_alarm_rate, planes=planes)


def replica_energies(
    reconstructor: Reconstructor,
    y: Tensor,
    model: MeasurementModel,
    *,
    seed: int,
    noise: ResidualNoise,
    image: Tensor | None = None,
    n_replicas: int = 12,
    axis: LineAxis | None = None,
) -> tuple[tuple[ResidualEnergy, ...], tuple[ExpectedEnergy, ...]]:
    """Energy of the corrected residual of every batch item, and what is expected of it.

    Parameters and errors are those of `certify_reconstruction`; `noise` has the sigma of the model.
    """
    operator, space = model.operator, model.operator.codomain
    kept = measured(y, operator)
    axis = axis or line_axis(kept)
    generator = torch.Generator().manual_seed(seed)

    def rebuilt(data: Tensor) -> Tensor:
        return reconstructor(data, model, generator=generator).image

    def corrected(data: Tensor, x: Tensor) -> Tensor:
        predicted: Tensor = operator(x)
        return data - 2 * predicted + operator(rebuilt(predicted))

    with torch.no_grad():
        x = rebuilt(y) if image is None else image
        found = corrected(y, x)
        energies = residual_energies(found, y, operator, noise=noise, axis=axis)
        truth = operator(x)
        draws = found.new_empty(n_replicas, *found.shape)
        for draw in draws:
            data = operator.keep_measured(model.noise.sample(truth, space, generator))
            draw.copy_(corrected(data, rebuilt(data)) * kept)
        expected = expected_energies(draws, kept, noise=noise, axis=axis)
        if not isinstance(operator, LinearOperator):
            return energies, expected
        seen = [_in_image(part * kept, operator, noise) for part in (found, y)]
        of_noise = _in_image(operator.keep_measured(model.noise.sample(0 * truth, space, generator)), operator, noise)
        return _with_images(
            energies,
            expected,
            *(squares(part).sum(dim=-1).tolist() for part in (*seen, of_noise)),
            draws=torch.stack([_in_image(draw, operator, noise) for draw in draws]),
        )


def _in_image(residual: Tensor, operator: LinearOperator, noise: ResidualNoise) -> Tensor:
    """A^H of the residual in units of the noise, shape (plane, pixels), complex128."""
    image: Tensor = operator.adjoint(noise.white(residual))
    flat = image.reshape(-1, prod(operator.domain.shape))
    return flat.to(torch.complex128)


def _with_images(
    energies: tuple[ResidualEnergy, ...],
    expected: tuple[ExpectedEnergy, ...],
    found: list[float],
    data: list[float],
    of_noise: list[float],
    *,
    draws: Tensor,
) -> tuple[tuple[ResidualEnergy, ...], tuple[ExpectedEnergy, ...]]:
    """The same with the energies of the image (one number per plane) and of its draws (replica, plane, pixels).

    Nobody minds less than a tenth of the noise in the image: an expectation is at least a hundredth of its energy.
    """
    gram = torch.einsum("apx,bpx->pab", draws.conj(), draws).numpy(force=True)
    mean, variance = _moments(gram)
    floor = _NEGLIGIBLE * np.array(of_noise)
    variance = np.where(mean < floor, np.maximum(variance, 2 * floor), variance)
    mean = np.maximum(mean, floor)
    return (
        tuple(
            replace(energy, image_energy=value, image_data=size)
            for energy, value, size in zip(energies, found, data, strict=True)
        ),
        tuple(
            replace(level, image_mean=float(m), image_variance=float(v))
            for level, m, v in zip(expected, mean, variance, strict=True)
        ),
    )


def expected_energies(
    residuals: Tensor, kept: Tensor, *, noise: ResidualNoise, axis: LineAxis
) -> tuple[ExpectedEnergy, ...]:
    """Mean and variance of the sums of every plane from independent draws of its residual.

    Parameters
    ----------
    residuals
        Shape (replica, *batch, coil, ky, kx), circular complex Gaussian with covariance C, zero where not measured.
    kept
        What was measured, shape (*batch, coil, ky, kx).
    noise
        Of the data.
    axis
        Along which lines are counted.

    Notes
    -----
    From the sample covariance S of n draws, tr S is unbiased for tr C and (tr S^2 - (tr S)^2 / n) n^2 / (n^2 - 1) for
    tr C^2, the variance. A line has too few draws for a variance of its own: it gets the one that all lines of the
    plane have on average in proportion to the mean, if that is larger.
    """
    found = []
    n = residuals.shape[0]
    counts = by_line(kept, axis).sum(dim=(-2, -1))
    counts = counts.reshape(-1, counts.shape[-1])
    # one after the other, as each holds all draws again
    of_lines = _inner_products(noise.white(residuals), "alcr,blcr->lab", axis)
    of_coils = _inner_products(noise.by_coil(residuals), "alcr,blcr->cab", axis)
    for count, line_gram, coil_gram in zip(counts, of_lines, of_coils, strict=True):
        gram, samples = line_gram[(count > 0).numpy(force=True)], 2.0 * count.numpy(force=True)
        line_mean, line_variance = _moments(gram)
        mean, variance = _floored(*_moments(gram.sum(axis=0)[None]), samples.sum(keepdims=True))
        line_mean, line_variance = _floored(line_mean, _shared(line_mean, line_variance), samples[samples > 0])
        coil_mean, coil_variance = _moments(coil_gram)
        coil_mean, coil_variance = _floored(
            coil_mean, _shared(coil_mean, coil_variance), samples.sum() / residuals.shape[-3]
        )
        found.append(
            ExpectedEnergy(
                float(mean[0]),
                float(variance[0]),
                tuple(line_mean.tolist()),
                tuple(line_variance.tolist()),
                tuple(coil_mean.tolist()),
                tuple(coil_variance.tolist()),
                replicas=n,
            )
        )
    return tuple(found)


def _inner_products(draws: Tensor, pairs: str, axis: LineAxis) -> list[NDArray[np.complex128]]:
    """Of every plane, between draws (replica, *batch, coil, ky, kx) as `pairs` says of (replica, line, coil, along)."""
    draws = draws.reshape(draws.shape[0], -1, *draws.shape[-3:])
    planes = (by_line(plane, axis) for plane in draws.unbind(dim=1))
    return [torch.einsum(pairs, plane.conj(), plane).numpy(force=True) for plane in planes]


def _moments(gram: NDArray[np.complex128]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """tr C and tr C^2 from inner products (group, replica, replica)."""
    n = gram.shape[-1]
    mean = np.einsum("gaa->g", gram).real / n
    squared = (np.abs(gram) ** 2).sum(axis=(1, 2)) / n**2
    return mean, (squared - mean**2 / n) * n**2 / (n**2 - 1)


def _shared(mean: NDArray[np.float64], variance: NDArray[np.float64]) -> NDArray[np.float64]:
    """The larger of every group's own variance and the average one in proportion to its mean."""
    larger: NDArray[np.float64] = np.maximum(variance, mean * (variance.sum() / mean.sum()))
    return larger


def _floored(
    mean: NDArray[np.float64], variance: NDArray[np.float64], of_noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """No mean below a millionth of that of noise: a fit that reproduces all data leaves nothing but rounding errors."""
    floor = 1e-6 * of_noise
    return np.maximum(mean, floor), np.where(mean < floor, 2 * floor**2 / of_noise, variance)
