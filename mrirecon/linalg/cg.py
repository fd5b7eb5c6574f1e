"""Conjugate gradients for Hermitian positive definite systems, batched, with its residual reported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ConvergenceError


@dataclass(frozen=True)
class CGOptions:
    """When to stop: after `max_iterations`, or once every system's relative residual is below `tolerance`."""

    max_iterations: int = 30
    tolerance: float = 1e-6


@dataclass(frozen=True)
class CGResult:
    """The solution and how it was reached.

    `relative_residual` is ||b - Ax|| / ||b|| by recursion, the largest over the batch.
    """

    solution: Tensor
    iterations: int
    relative_residual: float
    converged: bool


def _inner(a: Tensor, b: Tensor, dims: tuple[int, ...]) -> Tensor:
    if a.is_complex():
        ra, rb = torch.view_as_real(a.resolve_conj()), torch.view_as_real(b.resolve_conj())
        return (ra * rb).sum(dim=(*(d - 1 for d in dims), -1)).reshape(_kept_shape(a, dims))
    return (a * b).sum(dim=dims, keepdim=True)


def _kept_shape(a: Tensor, dims: tuple[int, ...]) -> list[int]:
    return [1 if i - a.ndim in dims else n for i, n in enumerate(a.shape)]


def conjugate_gradient(
    apply: Callable[[Tensor], Tensor],
    b: Tensor,
    *,
    dims: tuple[int, ...],
    x0: Tensor | None = None,
    options: CGOptions = CGOptions(),
    reference_norm_squared: Tensor | None = None,
) -> CGResult:
    """Solve ``apply(x) = b`` for a Hermitian positive definite map, each batch item as a system of its own.

    Parameters
    ----------
    apply
        The map; must act on every batch item independently.
    b
        Right-hand sides, shape (*batch, *dims).
    dims
        Negative axes of one system; the other axes are independent systems with their own step sizes.
    x0
        Start, zero when omitted.
    options
        Stopping rule.
    reference_norm_squared
        What the squared residual is relative to, ||b||^2 of each system when omitted. Systems that are parts of one
        problem share the mean, so that parts without signal do not decide when to stop.

    Returns
    -------
        `CGResult`; not converging within the limit is reported there, not raised.

    Raises
    ------
    ConvergenceError
        If the residual is not finite: the map is not positive definite or the data contain NaN.

    Notes
    -----
    Differentiable through its iterations. Hestenes and Stiefel, J. Res. NBS 49 (1952) 409-436.
    """
    dims = tuple(d if d < 0 else d - b.ndim for d in dims)
    x = torch.zeros_like(b) if x0 is None else x0
    r = b if x0 is None else b - apply(x)
    bb = _inner(b, b, dims) if reference_norm_squared is None else reference_norm_squared
    bb = bb.clamp_min(torch.finfo(bb.dtype).tiny)
    first = apply(r)
    if torch.is_grad_enabled() and (r.requires_grad or first.requires_grad):
        x, iterations, relative = _with_graph(apply, first, x, r, bb, dims, options)
    else:
        x, iterations, relative = _in_place(apply, first, x.clone(), r.clone(), bb, dims, options)
    if not relative < float("inf"):
        raise ConvergenceError(
            f"conjugate gradients: the residual is not finite after {iterations} iterations; check the data for NaN "
            "and that the regularisation is not negative"
        )
    return CGResult(x, iterations, relative, relative <= options.tolerance)


Iteration = tuple[Tensor, int, float]


def _with_graph(
    apply: Callable[[Tensor], Tensor],
    q: Tensor,
    x: Tensor,
    r: Tensor,
    bb: Tensor,
    dims: tuple[int, ...],
    options: CGOptions,
) -> Iteration:
    """The iteration with new tensors in every step, for automatic differentiation; `q` is ``apply(r)``."""
    p, rr, iterations = r, _inner(r, r, dims), 0
    tiny = torch.finfo(rr.dtype).tiny
    relative = _largest_ratio(rr, bb)
    while iterations < options.max_iterations and relative > options.tolerance:
        q = apply(p) if iterations else q
        alpha = rr / (_inner(p, q, dims) + tiny)
        x = x + alpha * p
        r = r - alpha * q
        new = _inner(r, r, dims)
        p = r + new / (rr + tiny) * p
        rr = new
        iterations += 1
        relative = _largest_ratio(rr, bb)
    return x, iterations, relative


def _in_place(
    apply: Callable[[Tensor], Tensor],
    q: Tensor,
    x: Tensor,
    r: Tensor,
    bb: Tensor,
    dims: tuple[int, ...],
    options: CGOptions,
) -> Iteration:
    """The same iteration on real components, overwriting `x` and `r`: half the passes over memory."""
    p, rr, iterations = r.clone(), _inner(r, r, dims), 0
    tiny = torch.finfo(rr.dtype).tiny
    relative = _largest_ratio(rr, bb)
    real_x, real_r, real_p = _components(x), _components(r), _components(p)
    while iterations < options.max_iterations and relative > options.tolerance:
        q = apply(p) if iterations else q
        alpha = (rr / (_inner(p, q, dims) + tiny)).unsqueeze(-1)
        real_x.addcmul_(real_p, alpha)
        real_r.addcmul_(_components(q), alpha, value=-1)
        new = _inner(r, r, dims)
        real_p.mul_((new / (rr + tiny)).unsqueeze(-1)).add_(real_r)
        rr = new
        iterations += 1
        relative = _largest_ratio(rr, bb)
    return x, iterations, relative


def _components(a: Tensor) -> Tensor:
    """Real components on a last axis of length 2 (complex) or 1, sharing memory."""
    return torch.view_as_real(a.resolve_conj()) if a.is_complex() else a.unsqueeze(-1)


def _largest_ratio(rr: Tensor, bb: Tensor) -> float:
    return float((rr.detach() / bb.detach()).max().sqrt())
