"""Noise covariance of the receive coils and the matrix that makes their noise white with unit variance."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.mri.edge_noise import noise_from_edges

__all__ = ["noise_covariance", "noise_from_edges", "whitening_matrix"]

DEAD_CHANNEL_POWER = 1e-10
"""A channel with less than this share of the median channel's noise power is dead."""

SMALLEST_CORRELATION_EIGENVALUE = 1e-7
"""Below this, the channels' noise is linearly dependent to within single precision."""


def noise_covariance(noise: Tensor, *, bandwidth_ratio: float = 1.0) -> Tensor:
    """Sample covariance ``E[n n^H]`` of zero-mean coil noise.

    Parameters
    ----------
    noise
        Noise samples, shape (coil, n), complex, n at least the number of coils (100 times that for an error of a few
        per cent in the whitened variance).
    bandwidth_ratio
        Variance in the imaging data over variance in the noise scan: imaging bandwidth over noise bandwidth, times the
        receiver's own noise-bandwidth factor where the header gives one. `Scan.noise_bandwidth_ratio`.

    Returns
    -------
        Shape (coil, coil), complex128, Hermitian, units of `noise` squared, for the imaging bandwidth.

    Raises
    ------
    ShapeError
        If `noise` is not complex (coil, n), not finite, has fewer samples than coils, or the ratio is not positive.
    """
    if noise.ndim != 2 or not noise.is_complex():
        raise ShapeError(
            f"`noise` must be complex with shape (coil, n), got {tuple(noise.shape)} {noise.dtype}; "
            "flatten the readouts of the noise scan"
        )
    n_coils, n = noise.shape
    if n < n_coils or n_coils == 0:
        raise ShapeError(
            f"`noise` must have at least as many samples as its {n_coils} coils, got {n}; a covariance from fewer is "
            "singular: use a longer noise scan, noise_from_edges on more slices, or compress the coils first"
        )
    if not bool(torch.isfinite(torch.view_as_real(noise.resolve_conj())).all()):
        raise ShapeError("`noise` must be finite, got NaN or infinity; the noise scan is damaged")
    if not 0 < bandwidth_ratio < math.inf:
        raise ShapeError(f"`bandwidth_ratio` must be positive and finite, got {bandwidth_ratio}")
    samples = noise.to(torch.complex128)
    return (samples @ samples.mH) * (bandwidth_ratio / n)


def whitening_matrix(covariance: Tensor) -> Tensor:
    """The matrix W that whitens: ``W covariance W^H = 2 I``, so real and imaginary parts each get unit variance.

    ``W = sqrt(2) L^-1`` with the Cholesky factor L of the covariance: each output channel mixes only channels of the
    same or lower index.

    Parameters
    ----------
    covariance
        ``E[n n^H]`` from `noise_covariance`, shape (coil, coil).

    Returns
    -------
        Shape (coil, coil), complex64, for `apply_coil_matrix`; units are 1 over those of the noise.

    Raises
    ------
    ShapeError
        If the matrix is not square, not finite or not Hermitian; if a channel is dead; or if channels are linearly
        dependent. The message names the channels.

    References
    ----------
    .. [1] Pruessmann et al., Advances in sensitivity encoding with arbitrary k-space trajectories, Magn. Reson. Med.
       46, 2001, doi:10.1002/mrm.1241 (noise decorrelation by virtual channels).
    """
    covariance = _checked(covariance)
    power = covariance.diagonal().real
    deviation = power.sqrt()
    correlation = covariance / torch.outer(deviation, deviation)
    values, vectors = torch.linalg.eigh(correlation)
    if float(values[0]) < SMALLEST_CORRELATION_EIGENVALUE:
        weights = vectors[:, 0].abs()
        involved = [int(i) for i in torch.nonzero(weights > 0.5 * weights.max()).flatten()]
        raise ShapeError(
            f"the noise of channels {involved} is linearly dependent (smallest eigenvalue of the correlation matrix "
            f"{float(values[0]):.1e}): one is a copy or a mixture of the others; drop one of them, use more noise "
            "samples, or compress the coils before whitening"
        )
    factor = torch.linalg.cholesky(correlation)
    identity = torch.eye(len(power), dtype=torch.complex128, device=covariance.device)
    inverse = torch.linalg.solve_triangular(factor, identity, upper=False)
    matrix: Tensor = math.sqrt(2.0) * inverse / deviation
    return matrix.to(torch.complex64)


def _checked(covariance: Tensor) -> Tensor:
    if covariance.ndim != 2 or covariance.shape[0] != covariance.shape[1]:
        raise ShapeError(f"`covariance` must have shape (coil, coil), got {tuple(covariance.shape)}")
    covariance = covariance.to(torch.complex128)
    if not bool(torch.isfinite(torch.view_as_real(covariance)).all()):
        raise ShapeError("`covariance` must be finite, got NaN or infinity; check the noise samples")
    scale = float(covariance.abs().max())
    if not torch.allclose(covariance, covariance.mH, atol=1e-5 * scale, rtol=0.0):
        raise ShapeError("`covariance` must be Hermitian; compute it with noise_covariance")
    power = covariance.diagonal().real
    dead = torch.nonzero(power <= DEAD_CHANNEL_POWER * power.median()).flatten()
    if len(dead) > 0:
        raise ShapeError(
            f"channels {[int(i) for i in dead]} carry no noise and are dead (noise power at most "
            f"{DEAD_CHANNEL_POWER:g} of the median channel's); remove them from the k-space and from the noise scan"
        )
    return covariance
