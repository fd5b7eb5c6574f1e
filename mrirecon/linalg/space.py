"""The vector space a tensor lives in: named axes, shape and dtype, without batch axes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from mrirecon.errors import ShapeError


@dataclass(frozen=True)
class Space:
    """A finite-dimensional real or complex vector space with named axes.

    Batch axes may precede the axes of the space in every tensor and are never part of it.

    Parameters
    ----------
    axes
        Axis names, e.g. ``("coil", "ky", "kx")``.
    shape
        Length of each axis.
    dtype
        ``torch.complex64`` or ``torch.float32`` (double for tests of exactness).

    Examples
    --------
    >>> space = Space(("y", "x"), (4, 6), torch.complex64)
    >>> space.randn(2, generator=torch.Generator().manual_seed(0)).shape
    torch.Size([2, 4, 6])
    """

    axes: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: torch.dtype

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape):
            raise ShapeError(f"a space needs one length per axis, got axes {self.axes} and shape {self.shape}")

    @property
    def is_complex(self) -> bool:
        return self.dtype.is_complex

    @property
    def real_dtype(self) -> torch.dtype:
        """The dtype of one real component."""
        return self.dtype.to_real()

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of (real or complex) components."""
        return prod(self.shape)

    def check(self, x: Tensor, name: str) -> None:
        """Raise `ShapeError` unless `x` ends with the axes of this space and is real or complex as it is."""
        expected = ", ".join(["*batch", *(f"{a}={n}" for a, n in zip(self.axes, self.shape, strict=True))])
        if x.ndim < self.ndim or tuple(x.shape[x.ndim - self.ndim :]) != self.shape:
            raise ShapeError(f"`{name}` must have shape ({expected}), got {tuple(x.shape)}; crop, pad or rebuild it")
        if x.is_complex() != self.is_complex:
            kind = "complex" if self.is_complex else "real"
            raise ShapeError(f"`{name}` must be {kind} ({self.dtype}), got {x.dtype}; convert it explicitly")

    def batch_shape(self, x: Tensor) -> tuple[int, ...]:
        """The leading axes of `x` that do not belong to the space."""
        return tuple(x.shape[: x.ndim - self.ndim])

    def zeros(self, *batch: int, device: torch.device | str | None = None) -> Tensor:
        return torch.zeros(*batch, *self.shape, dtype=self.dtype, device=device)

    def randn(self, *batch: int, generator: torch.Generator) -> Tensor:
        """Gaussian noise of unit standard deviation **per real component** (so E|n|^2 = 2 when complex)."""
        shape = (*batch, *self.shape)
        device = generator.device
        if not self.is_complex:
            return torch.randn(shape, dtype=self.dtype, device=device, generator=generator)
        real = torch.float64 if self.dtype == torch.complex128 else torch.float32
        pairs = torch.randn((*shape, 2), dtype=real, device=device, generator=generator)
        return torch.view_as_complex(pairs)

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        """<a, b> = sum conj(a) b over the space's axes, one value per batch item."""
        dims = tuple(range(-self.ndim, 0))
        return (a.conj() * b).sum(dim=dims) if self.is_complex else (a * b).sum(dim=dims)

    def norm(self, a: Tensor) -> Tensor:
        """Euclidean norm over the space's axes, one real value per batch item."""
        values = torch.view_as_real(a.resolve_conj()) if a.is_complex() else a
        norms: Tensor = torch.linalg.vector_norm(values, dim=tuple(range(-self.ndim - a.is_complex(), 0)))
        return norms

    def per_item(self, value: Tensor | float) -> Tensor | float:
        """A number, or one number per batch item (shape `*batch`), made broadcastable to tensors of this space."""
        if isinstance(value, Tensor):
            return value.reshape(*value.shape, *(1,) * self.ndim)
        return value

    def is_constant(self, value: Tensor | float) -> bool:
        """Whether `value`, broadcast to this space, is one number per batch item."""
        return not isinstance(value, Tensor) or all(n == 1 for n in value.shape[-self.ndim :])
