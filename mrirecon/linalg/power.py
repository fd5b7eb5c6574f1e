"""The largest eigenvalue of a positive semi-definite map, for step sizes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mrirecon.linalg.space import Space


def largest_eigenvalue(
    normal: Callable[[Tensor], Tensor],
    space: Space,
    *,
    n_iterations: int = 30,
    tolerance: float = 1e-4,
    generator: torch.Generator | None = None,
) -> float:
    """Largest eigenvalue of the Hermitian positive semi-definite map `normal` on `space`, by power iteration.

    The Rayleigh quotient approaches from below; multiply by a little more than one before inverting it.

    Parameters
    ----------
    normal
        The map, e.g. ``operator.normal``.
    space
        Its domain.
    n_iterations
        Upper bound on the iterations.
    tolerance
        Stop when the estimate changes relatively by less than this.
    generator
        Source of the start vector; a fixed seed when omitted.
    """
    generator = generator or torch.Generator().manual_seed(0)
    x = space.randn(generator=generator)
    estimate = 0.0
    for _ in range(n_iterations):
        x = x / space.per_item(space.norm(x).clamp_min(torch.finfo(torch.float32).tiny))
        x = normal(x)
        new = float(space.norm(x).max())
        if new == 0.0:
            return 0.0
        if abs(new - estimate) <= tolerance * new:
            return new
        estimate = new
    return estimate
