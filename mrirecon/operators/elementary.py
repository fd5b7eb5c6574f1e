"""The operators that the others are made of: identity, diagonal, sampling, Fourier transform."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.division import above, divide_or_zero
from mrirecon.linalg.fft import fft, ifft
from mrirecon.linalg.space import Space
from mrirecon.operators.algebra import UnitaryOperator
from mrirecon.operators.base import DEFAULT_CG, LinearOperator


@dataclass(frozen=True)
class Identity(UnitaryOperator):
    """A = I on `space`; with noise, the operator of denoising."""

    space: Space

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        return self.space

    def forward(self, x: Tensor) -> Tensor:
        return x.clone()

    def adjoint(self, y: Tensor) -> Tensor:
        return y.clone()


@dataclass(frozen=True, eq=False)
class Diagonal(LinearOperator):
    """Element-wise multiplication, A x = diagonal * x; every solve is closed form.

    Parameters
    ----------
    diagonal
        Weights, shape (*batch, ...) broadcastable to `space`; real when the space is real.
    space
        Domain and codomain.
    cutoff
        Weights whose modulus is at most this fraction of the largest count as zero in the pseudo-inverse.

    Raises
    ------
    ShapeError
        If `diagonal` does not broadcast to the space, is complex on a real space, or is not floating point.
    """

    diagonal: Tensor
    space: Space
    cutoff: float = 1e-6

    def __post_init__(self) -> None:
        _check_broadcastable(self.diagonal, self.space, "diagonal")
        if not (self.diagonal.is_floating_point() or (self.space.is_complex and self.diagonal.is_complex())):
            kind = "real or complex" if self.space.is_complex else "real floating-point"
            raise ShapeError(
                f"`diagonal` must be {kind} on a space of {self.space.dtype}, got {self.diagonal.dtype}; "
                "a Boolean mask becomes an operator through `sampling`"
            )

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        return self.space

    def forward(self, x: Tensor) -> Tensor:
        return self.diagonal * x

    def adjoint(self, y: Tensor) -> Tensor:
        return self.diagonal.conj() * y

    def keep_measured(self, y: Tensor) -> Tensor:
        return torch.where(self.diagonal == 0, 0.0, y)

    def normal(self, x: Tensor) -> Tensor:
        return self.diagonal.abs().square() * x

    def norm_squared_bound(self) -> float:
        return float(self.diagonal.detach().abs().amax()) ** 2

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        return divide_or_zero(b, self.diagonal.abs().square() + rho)

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        return divide_or_zero(self.adjoint(y), self.diagonal.abs().square() + rho)

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        modulus = self.diagonal.abs()
        kept = above(modulus, self.cutoff, tuple(range(-min(self.space.ndim, modulus.ndim), 0)))
        return divide_or_zero(self.adjoint(y), torch.where(kept, modulus.square(), 0.0))


def sampling(mask: Tensor, space: Space) -> Diagonal:
    """The operator that keeps the entries where `mask` is true and sets the others to zero.

    Parameters
    ----------
    mask
        Bool, shape (*batch, ...) broadcastable to `space`.
    space
        Where the data live: k-space for MRI, the image for inpainting.

    Raises
    ------
    ShapeError
        If the mask is not Boolean or does not broadcast.

    Examples
    --------
    >>> space = Space(("y", "x"), (2, 2), torch.float32)
    >>> sampling(torch.tensor([True, False]), space)(torch.ones(2, 2))
    tensor([[1., 0.],
            [1., 0.]])
    """
    if mask.dtype != torch.bool:
        raise ShapeError(f"`mask` must be bool, true where sampled, got {mask.dtype}; compare with 0 explicitly")
    _check_broadcastable(mask, space, "mask")
    return Diagonal(mask.to(space.real_dtype), space)


@dataclass(frozen=True)
class Fourier(UnitaryOperator):
    """The centred orthonormal Fourier transform over named axes; axis `y` becomes `ky`.

    Parameters
    ----------
    space
        The domain; complex.
    transformed
        Names of the axes to transform.

    Raises
    ------
    ShapeError
        If the space is real or lacks one of the axes.
    """

    space: Space
    transformed: tuple[str, ...] = ("y", "x")

    def __post_init__(self) -> None:
        missing = [a for a in self.transformed if a not in self.space.axes]
        if missing or not self.space.is_complex:
            raise ShapeError(
                f"a Fourier operator needs a complex space with axes {self.transformed}, "
                f"got axes {self.space.axes} of {self.space.dtype}"
            )

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        axes = tuple(f"k{a}" if a in self.transformed else a for a in self.space.axes)
        return Space(axes, self.space.shape, self.space.dtype)

    @property
    def _dims(self) -> tuple[int, ...]:
        return tuple(self.space.axes.index(a) - self.space.ndim for a in self.transformed)

    def forward(self, x: Tensor) -> Tensor:
        return fft(x, self._dims)

    def adjoint(self, y: Tensor) -> Tensor:
        return ifft(y, self._dims)


def _check_broadcastable(values: Tensor, space: Space, name: str) -> None:
    trailing = tuple(values.shape[-space.ndim :])
    if any(n not in (1, m) for n, m in zip(trailing[::-1], space.shape[::-1], strict=False)):
        axes = ", ".join(f"{a}={n}" for a, n in zip(space.axes, space.shape, strict=True))
        raise ShapeError(f"`{name}` must broadcast to (*batch, {axes}), got {tuple(values.shape)}; crop or rebuild it")
