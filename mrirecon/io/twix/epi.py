"""Corrections of echo-planar readouts: sampling on gradient ramps, and the phase of reflected lines."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import fft, ifft


def ramp_trajectory(
    n_samples: int,
    *,
    ramp_up_us: float,
    flat_top_us: float,
    ramp_down_us: float,
    delay_us: float,
    duration_us: float,
    sinusoidal: bool = False,
) -> NDArray[np.float64]:
    """Where the samples of a readout lie in k-space when the converter runs while the gradient ramps.

    k(t) is the area under the gradient from its centre of mass; the result is scaled so that the sampled interval
    spans `n_samples` steps of one over the encoded field of view.

    Parameters
    ----------
    n_samples
        Samples per readout.
    ramp_up_us, flat_top_us, ramp_down_us
        Shape of the gradient lobe, microseconds.
    delay_us
        Time from the start of the lobe to the start of sampling.
    duration_us
        Duration of sampling; each sample stands in the middle of its dwell time.
    sinusoidal
        Whether the ramps are quarter sines instead of straight lines.

    Returns
    -------
        Positions in units of one over the encoded field of view, increasing, zero at the middle of the lobe.

    Raises
    ------
    ShapeError
        If sampling starts before the lobe or outlasts it.
    """
    end = ramp_up_us + flat_top_us + ramp_down_us
    if n_samples < 2 or delay_us < 0 or delay_us + duration_us > end + 1e-6 or flat_top_us < 0:
        raise ShapeError(
            f"{n_samples} samples from {delay_us} to {delay_us + duration_us} us do not fit a gradient lobe of {end} us"
        )

    def area(t: NDArray[np.floating]) -> NDArray[np.float64]:
        up = np.clip(t, 0, ramp_up_us)
        down = np.clip(t - ramp_up_us - flat_top_us, 0, ramp_down_us)
        flat = np.clip(t - ramp_up_us, 0, flat_top_us)
        if sinusoidal:
            rising = 2 * ramp_up_us / np.pi * (1 - np.cos(np.pi / 2 * up / max(ramp_up_us, 1e-12)))
            falling = 2 * ramp_down_us / np.pi * np.sin(np.pi / 2 * down / max(ramp_down_us, 1e-12))
        else:
            rising = up**2 / (2 * max(ramp_up_us, 1e-12))
            falling = down - down**2 / (2 * max(ramp_down_us, 1e-12))
        return np.asarray(rising + flat + falling)

    edges = area(delay_us + duration_us * np.array([0.0, 1.0]))
    k = area(delay_us + duration_us / n_samples * (np.arange(n_samples) + 0.5))
    middle = area(np.array([end / 2]))[0]
    return np.asarray((k - middle) / (edges[1] - edges[0]) * n_samples)


def regridding_matrix(trajectory: NDArray[np.float64]) -> Tensor:
    """The (n, n) matrix that takes samples at `trajectory` to the uniform grid -n/2 ... n/2 - 1.

    Least-squares fit of an image whose support is what the densest sampling step allows, then its Fourier transform:
    band-limited interpolation, exact for objects within that support.

    Parameters
    ----------
    trajectory
        Sample positions in units of one over the encoded field of view, from `ramp_trajectory`.

    Returns
    -------
        complex64; multiply it from the left onto samples (..., n).
    """
    n = len(trajectory)
    widest = float(np.abs(np.diff(trajectory)).max())
    support = min(n, 2 * math.floor(n / widest / 2 - 0.5))
    pixels = np.arange(-(support // 2), support // 2)
    at_samples = np.exp(-2j * np.pi * np.outer(trajectory, pixels) / n)
    on_grid = np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, pixels) / n)
    matrix = on_grid @ np.linalg.pinv(at_samples, rcond=1e-3)
    return torch.from_numpy(matrix.astype(np.complex64))


def shift_correction(trajectory: NDArray[np.float64], shift_voxels: float) -> Tensor:
    """Phase that turns a readout shift made with a constant demodulation frequency into the intended one.

    The receiver shifts the field of view by a frequency that assumes the full gradient for the whole readout; on the
    ramps the true k-space position lags behind. Multiply the stored samples by
    exp(2 pi i s (k_full - k) / n) with the shift s in encoded voxels.
    """
    n = len(trajectory)
    step = trajectory[n // 2] - trajectory[n // 2 - 1]
    assumed = step * (np.arange(n) - (n - 1) / 2)
    phase = 2 * np.pi * shift_voxels * (assumed - trajectory) / n
    return torch.from_numpy(np.exp(1j * phase).astype(np.complex64))


def navigator_phase(forward: Tensor, reflected: Tensor) -> tuple[float, float]:
    """Constant and slope of the phase by which reflected lines differ from forward ones.

    Both are reference lines without phase encoding, reflected ones already reversed. In the image domain their ratio
    is exp(i (constant + slope x)) with x the pixel offset from the centre; the slope is the angle of the lag-one
    autocorrelation of the ratio, summed over coils and weighted with the signal, and the constant what remains.

    Parameters
    ----------
    forward, reflected
        Reference lines (coil, kx).

    Returns
    -------
        Constant in radians, slope in radians per pixel.
    """
    a, b = ifft(forward, (-1,)), ifft(reflected, (-1,))
    ratio = (b * a.conj()).sum(0)
    slope = float((ratio[1:] * ratio[:-1].conj()).sum().angle())
    x = torch.arange(ratio.shape[-1], dtype=torch.float32) - ratio.shape[-1] // 2
    constant = float((ratio * torch.exp(-1j * slope * x)).sum().angle())
    return constant, slope


def remove_phase(lines: Tensor, constant: float, slope: float) -> Tensor:
    """Lines (..., kx) with the phase exp(i (constant + slope x)) removed in the image domain."""
    n = lines.shape[-1]
    x = torch.arange(n, dtype=torch.float32, device=lines.device) - n // 2
    return fft(ifft(lines, (-1,)) * torch.exp(-1j * (constant + slope * x)), (-1,))
