"""Adapters for operators that others have written: a forward/adjoint pair, a SigPy Linop, a DeepInverse physics.

Differentiation never enters the foreign code: the gradient of a linear map is its adjoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from mrirecon.errors import MissingDependencyError, ShapeError
from mrirecon.linalg.space import Space
from mrirecon.operators.base import LinearOperator

if TYPE_CHECKING:
    from deepinv.physics import LinearPhysics
    from sigpy.linop import Linop

LinearMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class ExternalOperator(LinearOperator):
    """A linear operator from two functions.

    Parameters
    ----------
    domain_space, codomain_space
        Where images and measurements live.
    forward_map
        Takes items (n, *domain), returns (n, *codomain); linear. It need not be differentiable.
    adjoint_map
        The exact adjoint: items (n, *codomain) to (n, *domain). Check it with ⟨A x, y⟩ = ⟨x, A^H y⟩.

    Notes
    -----
    Leading batch axes are flattened into n. Gradients of any order come from the two maps. `to` does not reach into
    them: they run where their own data are.
    """

    domain_space: Space
    codomain_space: Space
    forward_map: LinearMap
    adjoint_map: LinearMap

    @property
    def domain(self) -> Space:
        return self.domain_space

    @property
    def codomain(self) -> Space:
        return self.codomain_space

    def forward(self, x: Tensor) -> Tensor:
        return _apply(x, self.domain_space, self.codomain_space, self.forward_map, self.adjoint_map)

    def adjoint(self, y: Tensor) -> Tensor:
        return _apply(y, self.codomain_space, self.domain_space, self.adjoint_map, self.forward_map)


def from_sigpy(
    linop: Linop,
    *,
    domain_axes: tuple[str, ...] | None = None,
    codomain_axes: tuple[str, ...] | None = None,
) -> ExternalOperator:
    """A SigPy Linop between complex arrays as an operator.

    Parameters
    ----------
    linop
        For arrays without batch axes; batch items are passed to it one by one, as NumPy arrays on the CPU.
    domain_axes, codomain_axes
        Names of the axes of ``linop.ishape`` and ``linop.oshape``; numbered when omitted.

    Raises
    ------
    MissingDependencyError
        If SigPy is not installed.
    TypeError
        If `linop` is something else.
    """
    try:
        from sigpy.linop import Linop as SigpyLinop
    except ImportError as error:
        raise MissingDependencyError("SigPy is needed to adapt its operators; install mrirecon[sigpy]") from error
    if not isinstance(linop, SigpyLinop):
        raise TypeError(f"a sigpy.linop.Linop is needed, got {type(linop).__name__}")
    domain = _numbered_space(domain_axes, tuple(linop.ishape), torch.complex64)
    codomain = _numbered_space(codomain_axes, tuple(linop.oshape), torch.complex64)
    return ExternalOperator(domain, codomain, _over_arrays(linop), _over_arrays(linop.H))


def from_deepinv(physics: LinearPhysics, domain: Space) -> ExternalOperator:
    """A DeepInverse LinearPhysics as an operator, without its noise.

    Parameters
    ----------
    physics
        Its `A` and `A_adjoint` are used, on tensors (n, channel, ...); measurements must be one tensor.
    domain
        The images it takes. Complex images, which DeepInverse keeps as two real channels, are such channels here too.

    Raises
    ------
    MissingDependencyError
        If DeepInverse is not installed.
    TypeError
        If `physics` is something else.
    """
    try:
        from deepinv.physics import LinearPhysics as DeepinvPhysics
    except ImportError as error:
        raise MissingDependencyError("DeepInverse is needed to adapt its physics; install mrirecon[peers]") from error
    if not isinstance(physics, DeepinvPhysics):
        raise TypeError(f"a deepinv.physics.LinearPhysics is needed, got {type(physics).__name__}")
    device = next((t.device for t in (*physics.buffers(), *physics.parameters())), None)
    with torch.no_grad():
        example = physics.A(domain.zeros(1, device=device))
    axes = domain.axes if example.ndim == domain.ndim + 1 else None
    codomain = _numbered_space(axes, tuple(example.shape[1:]), example.dtype)
    return ExternalOperator(domain, codomain, physics.A, physics.A_adjoint)


def _apply(x: Tensor, source: Space, target: Space, linear: LinearMap, adjoint: LinearMap) -> Tensor:
    batch = source.batch_shape(x)
    items = x.reshape(prod(batch), *source.shape)
    result = cast(Tensor, _Linear.apply(items, linear, adjoint))  # type: ignore[no-untyped-call]
    if tuple(result.shape) != (prod(batch), *target.shape) or result.is_complex() != target.is_complex:
        raise ShapeError(
            f"the external function must return (n={prod(batch)}, {', '.join(map(str, target.shape))}) of "
            f"{target.dtype}, got {tuple(result.shape)} {result.dtype}; correct the function or the spaces"
        )
    return result.reshape(*batch, *target.shape)


class _Linear(torch.autograd.Function):
    """A linear map whose gradient is computed by its adjoint, itself differentiable by the map."""

    @staticmethod
    def forward(x: Tensor, linear: LinearMap, adjoint: LinearMap) -> Tensor:
        return linear(x.detach()).clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, LinearMap, LinearMap], output: Tensor) -> None:
        _, ctx.linear, ctx.adjoint = inputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        gradient = cast(Tensor, _Linear.apply(grads[0], ctx.adjoint, ctx.linear))  # type: ignore[no-untyped-call]
        return gradient, None, None


def _over_arrays(linop: Linop) -> LinearMap:
    """A function of NumPy arrays, applied to each item of a tensor."""

    def apply(items: Tensor) -> Tensor:
        arrays = items.resolve_conj().cpu().numpy()
        results = [torch.from_numpy(linop(array).copy()) for array in arrays]
        return torch.stack(results).to(device=items.device, dtype=items.dtype)

    return apply


def _numbered_space(axes: tuple[str, ...] | None, shape: tuple[int, ...], dtype: torch.dtype) -> Space:
    names = axes or tuple(f"axis{i}" for i in range(len(shape)))
    return Space(names, tuple(int(n) for n in shape), dtype)
