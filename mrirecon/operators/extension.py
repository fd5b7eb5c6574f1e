"""Continue an image beyond its edges, for convolutions whose boundary is not periodic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.space import Space
from mrirecon.operators.base import DEFAULT_CG, LinearOperator

Continuation = Literal["symmetric", "reflect", "edge"]


@dataclass(frozen=True)
class Extension(LinearOperator):
    """Pad the last two axes with copies of the image's own pixels.

    Every padded pixel is a copy of one pixel, so A^H A is diagonal (how often a pixel occurs) and every solve closed.

    Parameters
    ----------
    space
        The images, axes (..., y, x).
    margins
        Pixels to add: top, bottom, left, right.
    continuation
        As in `numpy.pad`: "symmetric" mirrors about the edge of the last pixel (c b a | a b c), "reflect" about its
        centre (d c b | a b c), "edge" repeats it.

    Raises
    ------
    ShapeError
        If a margin is negative.
    ConfigError
        If `continuation` is unknown.
    """

    space: Space
    margins: tuple[int, int, int, int]
    continuation: Continuation = "symmetric"

    def __post_init__(self) -> None:
        if min(self.margins) < 0:
            raise ShapeError(f"margins must not be negative, got {self.margins}; use `Crop` to remove pixels")
        if self.continuation not in ("symmetric", "reflect", "edge"):
            raise ConfigError(f"continuation must be 'symmetric', 'reflect' or 'edge', got {self.continuation!r}")

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        top, bottom, left, right = self.margins
        height, width = self.space.shape[-2:]
        return Space(
            self.space.axes, (*self.space.shape[:-2], height + top + bottom, width + left + right), self.space.dtype
        )

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self._sources(x.device)
        return x.index_select(-2, rows).index_select(-1, columns)

    def adjoint(self, y: Tensor) -> Tensor:
        rows, columns = self._sources(y.device)
        height, width = self.space.shape[-2:]
        narrow = y.new_zeros(*y.shape[:-1], width).index_add(-1, columns, y)
        return y.new_zeros(*y.shape[:-2], height, width).index_add(-2, rows, narrow)

    def normal(self, x: Tensor) -> Tensor:
        return self._occurrences(x.device) * x

    def norm_squared_bound(self) -> float:
        return float(self._occurrences(torch.device("cpu")).amax())

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        return b / (self._occurrences(b.device) + rho)

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        return self.adjoint(y) / self._occurrences(y.device)

    def _sources(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """The row and the column from which each padded row and column is copied."""
        top, bottom, left, right = self.margins
        height, width = self.space.shape[-2:]
        rows = np.pad(np.arange(height), (top, bottom), mode=self.continuation)
        columns = np.pad(np.arange(width), (left, right), mode=self.continuation)
        return torch.from_numpy(rows).to(device), torch.from_numpy(columns).to(device)

    def _occurrences(self, device: torch.device) -> Tensor:
        rows, columns = self._sources(torch.device("cpu"))
        height, width = self.space.shape[-2:]
        counts = torch.outer(torch.bincount(rows, minlength=height), torch.bincount(columns, minlength=width))
        return counts.to(device=device, dtype=self.space.real_dtype)
