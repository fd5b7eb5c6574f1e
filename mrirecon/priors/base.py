"""What a prior is: a denoiser; and, when it has a closed functional, a value and a proximal map."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.shapes import Sigma


class Denoiser(ABC):
    """A map (x, sigma) -> estimate of the clean image, where x = clean + sigma * unit Gaussian noise.

    `is_mmse` says whether the estimate is the posterior mean E[clean | x], which samplers and Tweedie's formula need;
    it is False for a MAP estimate such as total variation.
    """

    is_mmse: bool

    @abstractmethod
    def __call__(self, x: Tensor, sigma: Sigma) -> Tensor:
        """Estimate the clean image.

        Parameters
        ----------
        x
            Noisy image, shape (*batch, channel, [z,] y, x).
        sigma
            Noise standard deviation per real component, in the units of `x`: a number, or a tensor that broadcasts
            to the batch axes.

        Returns
        -------
            The estimate, of the shape and dtype of `x`.
        """


class ProximalPrior(Denoiser):
    """A regulariser g(u) = weight * R(u) with its proximal map; as a denoiser it is the MAP estimate.

    Every channel of every batch item is regularised on its own: two map sets do not share edges.
    """

    is_mmse = False

    @abstractmethod
    def value(self, x: Tensor) -> Tensor:
        """weight * R(x), summed over channel and spatial axes: real, shape (*batch)."""

    @abstractmethod
    def prox(self, x: Tensor, step: Tensor | float) -> Tensor:
        """argmin_u 1/2 ||u - x||^2 + step * weight * R(u).

        Parameters
        ----------
        x
            Image, shape (*batch, channel, [z,] y, x), real or complex.
        step
            Non-negative step size: a number, or a tensor that broadcasts to the batch axes.
        """

    def __call__(self, x: Tensor, sigma: Sigma) -> Tensor:
        """argmin_u 1/(2 sigma^2) ||u - x||^2 + weight * R(u), which is ``prox(x, sigma**2)``."""
        return self.prox(x, sigma * sigma)


def per_item(value: Tensor | float, x: Tensor, *, item_ndim: int, name: str) -> Tensor | float:
    """A number per batch item in a form that multiplies `x`.

    Parameters
    ----------
    value
        A number, or a tensor that broadcasts to the batch axes of `x`.
    x
        Shape (*batch, *item).
    item_ndim
        How many trailing axes of `x` belong to one item.
    name
        What to call `value` in the error message.

    Returns
    -------
        The number, or a tensor of shape (*batch or 1, 1, ..., 1) in the real dtype of `x`.

    Raises
    ------
    ShapeError
        If `value` does not broadcast to the batch axes of `x`.
    ConfigError
        If a number is negative or not finite. Tensors are not inspected, which would wait for the device.
    """
    if not isinstance(value, Tensor):
        if not 0 <= value < float("inf"):
            raise ConfigError(f"`{name}` must be finite and not negative, got {value}")
        return float(value)
    batch = x.shape[: x.ndim - item_ndim]
    if value.ndim > len(batch) or any(
        n not in (1, m) for n, m in zip(reversed(value.shape), reversed(batch), strict=False)
    ):
        raise ShapeError(
            f"`{name}` must be a number or broadcast to the batch axes {tuple(batch)} of an image of shape "
            f"{tuple(x.shape)}, got shape {tuple(value.shape)}; give one value per batch item"
        )
    real = torch.empty((), dtype=x.dtype).real.dtype if x.is_complex() else x.dtype
    return value.to(dtype=real, device=x.device).reshape(*value.shape, *(1,) * item_ndim)


def check_image(x: Tensor, *, spatial_ndim: int) -> None:
    """`ShapeError` unless `x` has channel and spatial axes and floating-point entries."""
    if x.ndim < spatial_ndim + 1:
        axes = ("z", "y", "x")[-spatial_ndim:] if spatial_ndim <= 3 else ("...",)
        raise ShapeError(
            f"`x` must have shape (*batch, channel, {', '.join(axes)}), got {tuple(x.shape)}; "
            "add the channel axis or change `spatial_ndim`"
        )
    if not (x.is_complex() or x.is_floating_point()):
        raise ShapeError(f"`x` must be floating point or complex, got {x.dtype}; convert it explicitly")
