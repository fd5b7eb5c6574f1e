"""Noise levels a sampler visits, from noise to image."""

from __future__ import annotations

from itertools import pairwise
from math import isfinite
from typing import Literal

import torch
from torch import Tensor

from mrirecon.errors import ConfigError


def karras_levels(n: int, *, sigma_min: float = 0.002, sigma_max: float = 80.0, rho: float = 7.0) -> Tensor:
    """Noise levels equally spaced in sigma^(1/rho), from `sigma_max` down to `sigma_min`.

        sigma_i = ( sigma_max^(1/rho) + i/(n-1) (sigma_min^(1/rho) - sigma_max^(1/rho)) )^rho,      i = 0 ... n-1

    There is no trailing zero: samplers return the denoiser's output at the last level, which is the step to zero.

    Parameters
    ----------
    n
        How many levels; 1 gives `sigma_max` alone.
    sigma_min, sigma_max
        Last and first standard deviation per real component, in the units of the image; positive.
    rho
        How strongly levels crowd at low noise; 1 spaces them equally.

    Returns
    -------
        Shape (n,), strictly descending, double precision.

    Raises
    ------
    ConfigError
        If an argument is out of its range.

    References
    ----------
    .. [1] Karras et al., Elucidating the design space of diffusion-based generative models, NeurIPS 2022, eq. 5.

    Examples
    --------
    >>> karras_levels(3, sigma_min=1.0, sigma_max=9.0, rho=2.0)
    tensor([9., 4., 1.], dtype=torch.float64)
    """
    if n < 1:
        raise ConfigError(f"`n` must be at least 1 noise level, got {n}")
    if not (0 < sigma_min < sigma_max and isfinite(sigma_max)):
        raise ConfigError(f"noise levels need 0 < sigma_min < sigma_max, got {sigma_min} and {sigma_max}")
    if not (rho > 0 and isfinite(rho)):
        raise ConfigError(f"`rho` must be positive and finite, got {rho}")
    ends = torch.tensor([sigma_max, sigma_min], dtype=torch.float64)
    roots = ends ** (1 / rho)
    levels = (roots[0] + torch.linspace(0, 1, n, dtype=torch.float64) * (roots[1] - roots[0])) ** rho
    levels[0] = ends[0]  # the powers undo each other only up to rounding
    if n > 1:
        levels[-1] = ends[1]
    return levels


def posterior_levels(n: int, *, sigma_min: float, sigma_jump: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """Noise levels for Euler sampling of a posterior: one jump, then n - 1 levels where its samples differ.

    At levels far above the spread of the posterior, E[x | x_sigma, y] is the posterior mean whatever x_sigma. All the
    way from `sigma_max` down to `sigma_jump` is therefore a single Euler step, and the others are those of
    `karras_levels` from `sigma_jump` down.

    Parameters
    ----------
    n
        How many levels; 1 gives `sigma_max` alone.
    sigma_min, sigma_max
        Last and first level.
    sigma_jump
        Second level: twice the standard deviation of clean images is above that of any posterior.
    rho
        See `karras_levels`.

    Returns
    -------
        Shape (n,), strictly descending, double precision.

    Raises
    ------
    ConfigError
        If the levels do not descend.

    Notes
    -----
    For a Gaussian posterior of standard deviation 0.05, eight Euler steps give 0.80 of it from 80 over 0.6 to 0.004,
    those of `karras_levels` 0.60, and 24 of these 0.85. Not for Heun's method, which averages the slopes at the two
    ends of a step: over the jump they have nothing in common.
    """
    if not sigma_min < sigma_jump < sigma_max:
        raise ConfigError(
            f"levels need sigma_min < sigma_jump < sigma_max, got {sigma_min:g}, {sigma_jump:g} and {sigma_max:g}"
        )
    first = torch.tensor([sigma_max], dtype=torch.float64)
    if n == 1:
        return first
    return torch.cat([first, karras_levels(n - 1, sigma_min=sigma_min, sigma_max=sigma_jump, rho=rho)])


def sampling_levels(
    n: int,
    *,
    sigma_min: float,
    sigma_max: float,
    sigma_data: float,
    method: Literal["euler", "heun"] = "euler",
    sigma_jump: float | None = None,
) -> Tensor:
    """Noise levels for sampling a posterior with a model of E[x | x_sigma, y]: the one choice made everywhere.

    Parameters
    ----------
    n
        How many levels; 1 gives `sigma_max` alone, the posterior mean in one evaluation.
    sigma_min, sigma_max
        Last and first level, in the units of the image; the last does not matter when there is one.
    sigma_data
        Standard deviation of clean images; the second level is twice that, see `posterior_levels`.
    method
        Heun's method takes `karras_levels`.
    sigma_jump
        Instead of twice `sigma_data`.

    Returns
    -------
        Shape (n,), strictly descending, double precision. Where twice `sigma_data` is not between first and last
        level there is no room for a jump, and they are `karras_levels`.

    Raises
    ------
    ConfigError
        If the levels do not descend.
    """
    if n == 1:
        return torch.tensor([sigma_max], dtype=torch.float64)
    jump = 2 * sigma_data if sigma_jump is None else sigma_jump
    if method == "heun" or (sigma_jump is None and not sigma_min < jump < sigma_max):
        return karras_levels(n, sigma_min=sigma_min, sigma_max=sigma_max)
    return posterior_levels(n, sigma_min=sigma_min, sigma_jump=jump, sigma_max=sigma_max)


def require_levels(levels: Tensor) -> list[float]:
    """The noise levels as numbers; `ConfigError` unless they are positive, finite and strictly descending."""
    if levels.ndim != 1 or not levels.numel() or levels.is_complex():
        raise ConfigError(
            f"noise levels must be a real tensor of shape (n,) with n >= 1, got shape {tuple(levels.shape)} "
            f"{levels.dtype}; make them with karras_levels(n)"
        )
    values: list[float] = levels.tolist()
    if not (isfinite(values[0]) and values[-1] > 0) or any(not after < before for before, after in pairwise(values)):
        shown = ", ".join(f"{v:.4g}" for v in values[:4]) + (", ..." if len(values) > 4 else "")
        raise ConfigError(
            f"noise levels must be positive, finite and strictly descending without a trailing zero, got {shown} "
            f"ending in {values[-1]:.4g}; make them with karras_levels(n)"
        )
    return values
