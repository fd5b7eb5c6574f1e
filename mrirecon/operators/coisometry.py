"""Operators whose rows are orthogonal and equally long, A A^H = gain I, and so solve in closed form."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.division import divide_or_zero
from mrirecon.linalg.space import Space
from mrirecon.operators.base import DEFAULT_CG, LinearOperator


class Coisometry(LinearOperator):
    """A linear operator with A A^H = gain I, hence A^+ = A^H / gain, and P = A^+ A projects.

    (A^H A + rho I)^-1 = P / (gain + rho) + (I - P) / rho, with the second term left out where rho is zero.
    """

    @property
    @abstractmethod
    def gain(self) -> float:
        """The one eigenvalue of A A^H; positive."""

    def norm_squared_bound(self) -> float:
        return self.gain

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        return self.adjoint(y) / self.gain

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        if not self.domain.is_constant(rho):
            return self.solve_normal(self.adjoint(y), rho, cg=cg)
        return self.adjoint(y) / (self.gain + rho)

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        if not self.domain.is_constant(rho):
            return self.solve_normal_iteratively(b, rho, x0=x0, cg=cg).solution
        seen = self.normal(b) / self.gain
        return seen / (self.gain + rho) + divide_or_zero(b - seen, rho)


@dataclass(frozen=True)
class BlockAverage(Coisometry):
    """The mean over blocks of factor x factor pixels of the last two axes; the simplest super-resolution problem.

    Raises
    ------
    ShapeError
        If `factor` is not positive or does not divide both lengths.
    """

    space: Space
    factor: int

    def __post_init__(self) -> None:
        check_divisible(self.space, self.factor)

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        return reduced(self.space, self.factor)

    @property
    def gain(self) -> float:
        return 1 / self.factor**2

    def forward(self, x: Tensor) -> Tensor:
        *leading, height, width = x.shape
        s = self.factor
        return x.reshape(*leading, height // s, s, width // s, s).mean(dim=(-3, -1))

    def adjoint(self, y: Tensor) -> Tensor:
        s = self.factor
        return y.repeat_interleave(s, dim=-2).repeat_interleave(s, dim=-1) / s**2


@dataclass(frozen=True)
class Crop(Coisometry):
    """The window of `size` pixels of the last two axes that starts at `start`; the adjoint pads with zeros.

    Raises
    ------
    ShapeError
        If the window leaves the image.
    """

    space: Space
    start: tuple[int, int]
    size: tuple[int, int]

    def __post_init__(self) -> None:
        for first, length, n in zip(self.start, self.size, self.space.shape[-2:], strict=True):
            if first < 0 or length < 1 or first + length > n:
                raise ShapeError(
                    f"the window must lie inside {self.space.axes[-2:]} {self.space.shape[-2:]}, "
                    f"got start {self.start} and size {self.size}"
                )

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        return Space(self.space.axes, (*self.space.shape[:-2], *self.size), self.space.dtype)

    @property
    def gain(self) -> float:
        return 1.0

    def forward(self, x: Tensor) -> Tensor:
        (top, left), (height, width) = self.start, self.size
        return x[..., top : top + height, left : left + width].clone()

    def adjoint(self, y: Tensor) -> Tensor:
        (top, left), (height, width) = self.start, self.size
        rows, columns = self.space.shape[-2:]
        return torch.nn.functional.pad(y, (left, columns - left - width, top, rows - top - height))


def reduced(space: Space, factor: int) -> Space:
    """`space` with its last two axes `factor` times shorter."""
    return Space(space.axes, (*space.shape[:-2], *(n // factor for n in space.shape[-2:])), space.dtype)


def check_divisible(space: Space, factor: int) -> None:
    """`ShapeError` unless `factor` divides the last two axes of `space`."""
    if factor < 1 or any(n % factor for n in space.shape[-2:]):
        raise ShapeError(
            f"the factor must divide the image, got factor {factor} and {space.axes[-2:]} {space.shape[-2:]}; "
            "crop first"
        )
