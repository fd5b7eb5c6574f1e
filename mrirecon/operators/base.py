"""The operator interface: small immutable values with two spaces, a forward map and its adjoint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields, is_dataclass, replace
from typing import Self

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions, CGResult, conjugate_gradient
from mrirecon.linalg.power import largest_eigenvalue
from mrirecon.linalg.space import Space

DEFAULT_CG = CGOptions()


class ForwardOperator(ABC):
    """A differentiable map from `domain` to `codomain`, possibly nonlinear.

    Tensors may carry leading batch axes; an operator built from batched parameters broadcasts against them. Results
    never share memory with arguments, so they may be changed in place.
    """

    @property
    @abstractmethod
    def domain(self) -> Space:
        """Where images live."""

    @property
    @abstractmethod
    def codomain(self) -> Space:
        """Where measurements live."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """A(x): (*batch, *domain) -> (*batch, *codomain)."""

    def __call__(self, x: Tensor) -> Tensor:
        self.domain.check(x, "x")
        return self.forward(x)

    def keep_measured(self, y: Tensor) -> Tensor:
        """Set to zero what the operator never measures (unsampled k-space, missing pixels), so noise stays out."""
        return y

    def to(self, device: torch.device | str) -> Self:
        """The same operator with every tensor it is built from on `device`."""
        if not is_dataclass(self):
            raise TypeError(f"{type(self).__name__} is not a dataclass; give it a `to` method of its own")
        moved = {
            f.name: value.to(device)
            for f in fields(self)
            if f.init and isinstance(value := getattr(self, f.name), Tensor | ForwardOperator)
        }
        return replace(self, **moved)

    def vjp(self, x: Tensor, v: Tensor) -> Tensor:
        """J(x)^H v, the vector-Jacobian product at `x`, by automatic differentiation unless overridden."""
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(self.forward(x), x, v)
        return gradient


class LinearOperator(ForwardOperator):
    """A linear map with its exact adjoint.

    Subclasses implement `forward` and `adjoint`, and override `normal`, `solve_normal` or `pseudo_inverse` only with
    closed forms that equal the defaults. Operators between a real and a complex space are real-linear; their adjoint
    is with respect to the real part of the inner product.
    """

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """A^H y: (*batch, *codomain) -> (*batch, *domain)."""

    def vjp(self, x: Tensor, v: Tensor) -> Tensor:
        return self.adjoint(v)

    def normal(self, x: Tensor) -> Tensor:
        """A^H A x."""
        return self.adjoint(self.forward(x))

    def solve_normal(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> Tensor:
        """(A^H A + rho I)^-1 b, in closed form where the operator has one, by conjugate gradients otherwise.

        Parameters
        ----------
        b
            Right-hand side, shape (*batch, *domain).
        rho
            Non-negative weight of the identity, a number or a tensor broadcastable to `b`.
        x0
            Start of the iteration; closed forms ignore it.
        cg
            Stopping rule of the iteration; closed forms ignore it.
        """
        return self.solve_normal_iteratively(b, rho, x0=x0, cg=cg).solution

    def solve_normal_iteratively(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> CGResult:
        """As `solve_normal`, always by conjugate gradients, with iterations and residual reported."""
        dims = tuple(range(-self.domain.ndim, 0))
        return conjugate_gradient(lambda x: self.normal(x) + rho * x, b, dims=dims, x0=x0, options=cg)

    def norm_squared_bound(self) -> float:
        """An upper bound on ||A||^2 for step sizes: closed form where there is one, else by the power method.

        The power method approaches from below; its result is raised by 5 %.
        """
        return 1.05 * largest_eigenvalue(self.normal, self.domain)

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = CGOptions(max_iterations=100, tolerance=1e-7)) -> Tensor:
        """A^+ y: the least-squares solution of minimal norm.

        The default solves the normal equations from zero, whose iterates stay in the range of A^H.
        """
        return self.solve_normal(self.adjoint(y), 0.0, cg=cg)

    def regularised_inverse(self, y: Tensor, rho: Tensor | float, *, cg: CGOptions = DEFAULT_CG) -> Tensor:
        """(A^H A + rho I)^-1 A^H y, the minimiser of ||A x - y||^2 + rho ||x||^2.

        Equal to ``solve_normal(adjoint(y), rho)``, but closed forms never divide by `rho`, so it stays accurate as
        `rho` goes to zero, where it becomes the pseudo-inverse.

        Parameters
        ----------
        y
            Data, shape (*batch, *codomain).
        rho
            Non-negative weight of the identity, a number or a tensor broadcastable to the domain.
        cg
            Stopping rule of the iteration; closed forms ignore it.
        """
        return self.solve_normal(self.adjoint(y), rho, cg=cg)

    @property
    def H(self) -> LinearOperator:
        """The adjoint as an operator."""
        from mrirecon.operators.algebra import Adjoint

        return Adjoint(self)

    def __matmul__(self, inner: LinearOperator) -> LinearOperator:
        from mrirecon.operators.algebra import compose

        return compose(self, inner)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        from mrirecon.operators.algebra import Sum

        return Sum(self, other)

    def __mul__(self, factor: complex) -> LinearOperator:
        from mrirecon.operators.algebra import Scaled

        return Scaled(self, factor)

    __rmul__ = __mul__


def require_same_space(a: Space, b: Space, what: str) -> None:
    """`ShapeError` naming `what` unless the shapes and kinds of two spaces agree (axis names may differ)."""
    if a.shape != b.shape or a.is_complex != b.is_complex:
        raise ShapeError(
            f"{what}: the spaces must agree, got {a.axes} {a.shape} {a.dtype} and {b.axes} {b.shape} {b.dtype}"
        )
