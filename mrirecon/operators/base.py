"""The operator interface: small immutable values with two spaces, a forward map and its adjoint."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions, CGResult, conjugate_gradient
from mrirecon.linalg.space import Space

DEFAULT_CG = CGOptions()


class ForwardOperator(ABC):
    """A differentiable map from `domain` to `codomain`, possibly nonlinear.

    Tensors may carry leading batch axes; an operator built from batched parameters broadcasts against them.
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

    def pseudo_inverse(self, y: Tensor, *, cg: CGOptions = CGOptions(max_iterations=100, tolerance=1e-7)) -> Tensor:
        """A^+ y: the least-squares solution of minimal norm.

        The default solves the normal equations from zero, whose iterates stay in the range of A^H.
        """
        return self.solve_normal(self.adjoint(y), 0.0, cg=cg)

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
