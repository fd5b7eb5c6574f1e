"""Division as the pseudo-inverse of a number does it: nothing comes back from zero."""

from __future__ import annotations

import torch
from torch import Tensor


def divide_or_zero(numerator: Tensor, denominator: Tensor | float) -> Tensor:
    """numerator / denominator, and 0 where the denominator is 0; its gradient is finite everywhere."""
    if not isinstance(denominator, Tensor):
        return numerator / denominator if denominator else torch.zeros_like(numerator)
    zero = denominator == 0
    return torch.where(zero, 0.0, numerator / torch.where(zero, 1.0, denominator))


def above(values: Tensor, cutoff: float, dims: tuple[int, ...]) -> Tensor:
    """Where non-negative `values` exceed `cutoff` times their maximum over `dims`: the singular values to keep."""
    largest: Tensor = values.amax(dim=dims, keepdim=True)
    return values > cutoff * largest
