"""One matrix along y and one along x: any boundary condition, and closed forms through two small decompositions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.division import above, divide_or_zero
from mrirecon.linalg.space import Space
from mrirecon.operators.base import DEFAULT_CG, LinearOperator
from mrirecon.operators.convolution import constant_in_plane


@dataclass(frozen=True, eq=False)
class Separable(LinearOperator):
    """A x = M_y x M_x^T on the last two axes, each channel by itself.

    With M = U diag(s) V^T along each axis, the singular values of A are the products s_y s_x.

    Parameters
    ----------
    matrix_y
        Real, shape (output y, y).
    matrix_x
        Real, shape (output x, x).
    space
        Domain, axes (..., y, x).
    cutoff
        Singular values at most this fraction of the largest count as zero in the pseudo-inverse.

    Raises
    ------
    ShapeError
        If a matrix is complex or does not fit the images.
    """

    matrix_y: Tensor
    matrix_x: Tensor
    space: Space
    cutoff: float
    _factors: tuple[tuple[Tensor, Tensor, Tensor], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for matrix, axis, n in zip(
            (self.matrix_y, self.matrix_x), self.space.axes[-2:], self.space.shape[-2:], strict=True
        ):
            if matrix.ndim != 2 or matrix.shape[1] != n or matrix.is_complex():
                raise ShapeError(
                    f"the matrix along {axis} must be real with {n} columns, got {tuple(matrix.shape)} {matrix.dtype}"
                )
        object.__setattr__(self, "_factors", (_decompose(self.matrix_y), _decompose(self.matrix_x)))

    @property
    def domain(self) -> Space:
        return self.space

    @property
    def codomain(self) -> Space:
        size = (self.matrix_y.shape[0], self.matrix_x.shape[0])
        return Space(self.space.axes, (*self.space.shape[:-2], *size), self.space.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return _sandwich(self.matrix_y, x, self.matrix_x.mT)

    def adjoint(self, y: Tensor) -> Tensor:
        return _sandwich(self.matrix_y.mT, y, self.matrix_x)

    def norm_squared_bound(self) -> float:
        return float(self._singular_values().detach().amax()) ** 2

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        if not constant_in_plane(rho):
            return self.solve_normal_iteratively(b, rho, x0=x0, cg=cg).solution
        (_, _, v_y), (_, _, v_x) = self._factors
        coefficients = _sandwich(v_y.mT, b, v_x)
        seen = _sandwich(v_y, divide_or_zero(coefficients, self._singular_values().square() + rho), v_x.mT)
        if v_y.shape[0] == v_y.shape[1] and v_x.shape[0] == v_x.shape[1]:
            return seen
        return seen + divide_or_zero(b - _sandwich(v_y, coefficients, v_x.mT), rho)

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        if not constant_in_plane(rho):
            return self.solve_normal(self.adjoint(y), rho, cg=cg)
        values = self._singular_values()
        return self._back_project(y, divide_or_zero(values, values.square() + rho))

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        values = self._singular_values()
        kept = torch.where(above(values, self.cutoff, (-2, -1)), values, 0.0)
        return self._back_project(y, divide_or_zero(torch.ones_like(kept), kept))

    def _singular_values(self) -> Tensor:
        (_, s_y, _), (_, s_x, _) = self._factors
        return torch.outer(s_y, s_x)

    def _back_project(self, y: Tensor, weights: Tensor) -> Tensor:
        """V (weights * U^T y)."""
        (u_y, _, v_y), (u_x, _, v_x) = self._factors
        return _sandwich(v_y, weights * _sandwich(u_y.mT, y, u_x), v_x.mT)


def _decompose(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """U, s, V with U diag(s) V^T = matrix, computed in double precision."""
    u, s, vh = torch.linalg.svd(matrix.double(), full_matrices=False)
    return u.to(matrix.dtype), s.to(matrix.dtype), vh.mT.to(matrix.dtype)


def _sandwich(left: Tensor, x: Tensor, right: Tensor) -> Tensor:
    return left.to(x.dtype) @ x @ right.to(x.dtype)
