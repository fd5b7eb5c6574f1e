"""Composition, sums, multiples and adjoints of operators, with the closed forms that follow from structure."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.space import Space
from mrirecon.operators.base import DEFAULT_CG, LinearOperator, require_same_space


class UnitaryOperator(LinearOperator):
    """A linear operator with A^H A = A A^H = I; every solve is closed form."""

    def norm_squared_bound(self) -> float:
        return 1.0

    def normal(self, x: Tensor) -> Tensor:
        return x.clone()

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        return b / (1 + rho)

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        return self.adjoint(y) / (1 + rho)

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        return self.adjoint(y)


@dataclass(frozen=True)
class Adjoint(LinearOperator):
    """A^H as an operator."""

    operator: LinearOperator

    @property
    def domain(self) -> Space:
        return self.operator.codomain

    @property
    def codomain(self) -> Space:
        return self.operator.domain

    def forward(self, x: Tensor) -> Tensor:
        return self.operator.adjoint(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.operator.forward(y)

    def norm_squared_bound(self) -> float:
        return self.operator.norm_squared_bound()

    @property
    def H(self) -> LinearOperator:
        return self.operator


@dataclass(frozen=True)
class Composition(LinearOperator):
    """``outer @ inner``; when one factor is unitary, solves are handed to the other, so its closed forms are kept."""

    outer: LinearOperator
    inner: LinearOperator

    def __post_init__(self) -> None:
        require_same_space(self.outer.domain, self.inner.codomain, "composition outer @ inner")

    @property
    def domain(self) -> Space:
        return self.inner.domain

    @property
    def codomain(self) -> Space:
        return self.outer.codomain

    def forward(self, x: Tensor) -> Tensor:
        return self.outer.forward(self.inner.forward(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def normal(self, x: Tensor) -> Tensor:
        if isinstance(self.outer, UnitaryOperator):
            return self.inner.normal(x)
        return self.inner.adjoint(self.outer.normal(self.inner.forward(x)))

    def norm_squared_bound(self) -> float:
        if isinstance(self.outer, UnitaryOperator):
            return self.inner.norm_squared_bound()
        if isinstance(self.inner, UnitaryOperator):
            return self.outer.norm_squared_bound()
        return super().norm_squared_bound()

    def keep_measured(self, y: Tensor) -> Tensor:
        return self.outer.keep_measured(y)

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        if isinstance(self.outer, UnitaryOperator):
            return self.inner.solve_normal(b, rho, x0=x0, cg=cg)
        if self._rotates(rho):
            start = None if x0 is None else self.inner.forward(x0)
            return self.inner.adjoint(self.outer.solve_normal(self.inner.forward(b), rho, x0=start, cg=cg))
        return self.solve_normal_iteratively(b, rho, x0=x0, cg=cg).solution

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        if isinstance(self.outer, UnitaryOperator):
            return self.inner.regularised_inverse(self.outer.adjoint(y), rho, cg=cg)
        if self._rotates(rho):
            return self.inner.adjoint(self.outer.regularised_inverse(y, rho, cg=cg))
        return self.solve_normal(self.adjoint(y), rho, cg=cg)

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = CGOptions(max_iterations=100, tolerance=1e-7)) -> Tensor:
        if isinstance(self.outer, UnitaryOperator):
            return self.inner.pseudo_inverse(self.outer.adjoint(y), cg=cg)
        if isinstance(self.inner, UnitaryOperator):
            return self.inner.adjoint(self.outer.pseudo_inverse(y, cg=cg))
        return self.solve_normal(self.adjoint(y), 0.0, cg=cg)

    def _rotates(self, rho: Tensor | float) -> bool:
        """Whether `inner` is unitary and turns rho I into itself."""
        same_axes = self.inner.domain.ndim == self.inner.codomain.ndim
        constant = not isinstance(rho, Tensor) or (same_axes and self.inner.domain.is_constant(rho))
        return isinstance(self.inner, UnitaryOperator) and constant


@dataclass(frozen=True)
class Sum(LinearOperator):
    """A + B on common spaces."""

    first: LinearOperator
    second: LinearOperator

    def __post_init__(self) -> None:
        require_same_space(self.first.domain, self.second.domain, "sum of operators, domain")
        require_same_space(self.first.codomain, self.second.codomain, "sum of operators, codomain")

    @property
    def domain(self) -> Space:
        return self.first.domain

    @property
    def codomain(self) -> Space:
        return self.first.codomain

    def forward(self, x: Tensor) -> Tensor:
        return self.first.forward(x) + self.second.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.first.adjoint(y) + self.second.adjoint(y)


@dataclass(frozen=True)
class Scaled(LinearOperator):
    """factor * A."""

    operator: LinearOperator
    factor: complex

    def __post_init__(self) -> None:
        if complex(self.factor).imag and not self.operator.codomain.is_complex:
            raise ShapeError(f"a real operator takes a real factor, got {self.factor}")

    @property
    def domain(self) -> Space:
        return self.operator.domain

    @property
    def codomain(self) -> Space:
        return self.operator.codomain

    def forward(self, x: Tensor) -> Tensor:
        return self.factor * self.operator.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return (
            complex(self.factor).conjugate() * self.operator.adjoint(y)
            if isinstance(self.factor, complex)
            else self.factor * self.operator.adjoint(y)
        )

    def normal(self, x: Tensor) -> Tensor:
        return abs(self.factor) ** 2 * self.operator.normal(x)

    def norm_squared_bound(self) -> float:
        return abs(self.factor) ** 2 * self.operator.norm_squared_bound()

    def keep_measured(self, y: Tensor) -> Tensor:
        return self.operator.keep_measured(y)

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        weight = abs(self.factor) ** 2
        if weight == 0:
            return b / rho
        return self.operator.solve_normal(b / weight, rho / weight, x0=x0, cg=cg)

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        if self.factor == 0:
            return 0 * self.operator.adjoint(y)
        return self.operator.regularised_inverse(y, rho / abs(self.factor) ** 2, cg=cg) / self.factor

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = CGOptions(max_iterations=100, tolerance=1e-7)) -> Tensor:
        if self.factor == 0:
            return 0 * self.operator.adjoint(y)
        return self.operator.pseudo_inverse(y, cg=cg) / self.factor


def compose(outer: LinearOperator, inner: LinearOperator) -> LinearOperator:
    """``outer @ inner``."""
    return Composition(outer, inner)
