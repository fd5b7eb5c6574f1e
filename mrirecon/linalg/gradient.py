"""Forward differences in n dimensions and their negative adjoint, the divergence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError

Boundary = Literal["circular", "replicate"]
"""How images continue: "circular" repeats them, "replicate" repeats the last sample (so its difference is zero)."""


def gradient(x: Tensor, *, spatial_ndim: int = 2, boundary: Boundary = "replicate") -> Tensor:
    """Forward differences ``x[i + 1] - x[i]`` along each of the last `spatial_ndim` axes, in samples.

    Parameters
    ----------
    x
        Real or complex, shape (*batch, [z,] y, x).
    spatial_ndim
        Number of trailing axes to differentiate.
    boundary
        What follows the last sample.

    Returns
    -------
        Shape (*batch, direction, [z,] y, x), directions in the order of the axes.

    Raises
    ------
    ShapeError
        If `x` has fewer than `spatial_ndim` axes.
    ConfigError
        If `boundary` is unknown or `spatial_ndim` is not positive.

    Notes
    -----
    The squared spectral norm is at most ``4 * spatial_ndim``. Differentiable any number of times.

    Examples
    --------
    >>> gradient(torch.tensor([1.0, 4.0, 9.0]), spatial_ndim=1)
    tensor([[3., 5., 0.]])
    """
    _check(x, "x", spatial_ndim, spatial_ndim, boundary)
    return _apply(_Gradient, _forward_differences, x, spatial_ndim, boundary == "circular")


def divergence(p: Tensor, *, spatial_ndim: int = 2, boundary: Boundary = "replicate") -> Tensor:
    """Minus the adjoint of `gradient`: <gradient(x), p> = -<x, divergence(p)>.

    Parameters
    ----------
    p
        Real or complex, shape (*batch, direction, [z,] y, x).
    spatial_ndim, boundary
        As for `gradient`.

    Returns
    -------
        Shape (*batch, [z,] y, x).

    Raises
    ------
    ShapeError
        If the direction axis does not have `spatial_ndim` entries.
    ConfigError
        If `boundary` is unknown or `spatial_ndim` is not positive.

    Notes
    -----
    With "replicate", the last entry along each direction is multiplied by zero in `gradient` and ignored here.
    """
    _check(p, "p", spatial_ndim + 1, spatial_ndim, boundary)
    if p.shape[-spatial_ndim - 1] != spatial_ndim:
        raise ShapeError(
            f"`p` must have shape (*batch, direction={spatial_ndim}, *spatial), got {tuple(p.shape)}; "
            "pass what `gradient` returns for the same `spatial_ndim`"
        )
    return _apply(_Divergence, _backward_differences, p, spatial_ndim, boundary == "circular")


def _check(x: Tensor, name: str, minimum: int, spatial_ndim: int, boundary: str) -> None:
    if boundary not in ("circular", "replicate"):
        raise ConfigError(f"`boundary` must be 'circular' or 'replicate', got {boundary!r}")
    if spatial_ndim < 1:
        raise ConfigError(f"`spatial_ndim` must be at least 1, got {spatial_ndim}")
    if x.ndim < minimum:
        raise ShapeError(
            f"`{name}` must have at least {minimum} axes, got shape {tuple(x.shape)}; add the missing ones"
        )


def _apply(
    traced: type[torch.autograd.Function],
    plain: Callable[[Tensor, int, bool], Tensor],
    x: Tensor,
    spatial_ndim: int,
    circular: bool,
) -> Tensor:
    """The differentiable form only where a derivative is asked for: it costs as much as a small difference."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return plain(x, spatial_ndim, circular)
    result: Tensor = traced.apply(x, spatial_ndim, circular)
    return result


def _pairs(x: Tensor) -> Tensor:
    """Real components as a trailing axis: real kernels on pairs are several times faster than complex ones."""
    x = x.resolve_neg()
    return torch.view_as_real(x.resolve_conj()) if x.is_complex() else x.unsqueeze(-1)


def _forward_differences(x: Tensor, spatial_ndim: int, circular: bool) -> Tensor:
    shape = (*x.shape[: x.ndim - spatial_ndim], spatial_ndim, *x.shape[x.ndim - spatial_ndim :])
    out = torch.empty(shape, dtype=x.dtype, device=x.device)
    source, target = _pairs(x), _pairs(out)
    for direction in range(spatial_ndim):
        axis = source.ndim - 1 - spatial_ndim + direction
        part = target.select(target.ndim - 2 - spatial_ndim, direction)
        n = source.shape[axis]
        torch.sub(source.narrow(axis, 1, n - 1), source.narrow(axis, 0, n - 1), out=part.narrow(axis, 0, n - 1))
        last = part.narrow(axis, n - 1, 1)
        if circular:
            torch.sub(source.narrow(axis, 0, 1), source.narrow(axis, n - 1, 1), out=last)
        else:
            last.zero_()
    return out


def _backward_differences(p: Tensor, spatial_ndim: int, circular: bool) -> Tensor:
    shape = (*p.shape[: p.ndim - spatial_ndim - 1], *p.shape[p.ndim - spatial_ndim :])
    out = torch.empty(shape, dtype=p.dtype, device=p.device)
    source, target = _pairs(p), _pairs(out)
    for direction in range(spatial_ndim):
        axis = target.ndim - 1 - spatial_ndim + direction
        part = source.select(source.ndim - 2 - spatial_ndim, direction)
        n = target.shape[axis]
        interior = part.narrow(axis, 0, n - 1)
        head, tail, end = target.narrow(axis, 0, n - 1), target.narrow(axis, 1, n - 1), target.narrow(axis, n - 1, 1)
        if direction == 0:  # fill, so that no pass is spent on zeros
            head.copy_(interior)
            end.zero_()
        else:
            head.add_(interior)
        tail.sub_(interior)
        if circular:
            last = part.narrow(axis, n - 1, 1)
            end.add_(last)
            target.narrow(axis, 0, 1).sub_(last)
    return out


class _Gradient(torch.autograd.Function):
    """Writes into slices of its output, which autograd cannot trace; the derivative is the map itself."""

    @staticmethod
    def forward(x: Tensor, spatial_ndim: int, circular: bool) -> Tensor:
        return _forward_differences(x, spatial_ndim, circular)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int, bool], output: Tensor) -> None:
        ctx.options = inputs[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return -_apply(_Divergence, _backward_differences, grads[0], *ctx.options), None, None


class _Divergence(torch.autograd.Function):
    @staticmethod
    def forward(p: Tensor, spatial_ndim: int, circular: bool) -> Tensor:
        return _backward_differences(p, spatial_ndim, circular)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int, bool], output: Tensor) -> None:
        ctx.options = inputs[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return -_apply(_Gradient, _forward_differences, grads[0], *ctx.options), None, None
