"""Multi-coil Cartesian MRI: sampling . Fourier . sensitivities, the normal operator following the mask's structure.

Along every axis on which the mask is constant, the Fourier transform cancels in A^H A. The image lines along such an
axis are then independent, so the normal operator, and whole conjugate-gradient solves, run block by block on data
that stays in cache. A full mask needs no transform at all, a mask over two phase-encoding axes needs both. This is
decided from the mask itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import repeat
from math import prod

import torch
from numpy import broadcast_shapes  # torch.broadcast_shapes imports sympy, half a second
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions, CGResult, conjugate_gradient
from mrirecon.linalg.fft import fft, ifft
from mrirecon.linalg.space import Space
from mrirecon.operators.base import DEFAULT_CG, LinearOperator

AXES = ("z", "y", "x")


@dataclass(frozen=True, eq=False)
class Sensitivities(LinearOperator):
    """Coil images from an image: (S x)_c = sum over sets s of S_sc x_s.

    Parameters
    ----------
    maps
        Sensitivity maps, shape (*batch, set, coil, [z,] y, x), complex.
    spatial_ndim
        2 or 3.
    """

    maps: Tensor
    spatial_ndim: int = 2

    def __post_init__(self) -> None:
        if self.spatial_ndim not in (2, 3):
            raise ShapeError(f"`spatial_ndim` must be 2 or 3, got {self.spatial_ndim}")
        if not self.maps.is_complex() or self.maps.ndim < self.spatial_ndim + 2:
            raise ShapeError(
                "`maps` must be complex with shape (*batch, set, coil, [z,] y, x), got "
                f"{tuple(self.maps.shape)} {self.maps.dtype}; add the set axis with maps.unsqueeze(0)"
            )

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Leading axes of the maps."""
        return tuple(self.maps.shape[: -self.spatial_ndim - 2])

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        return tuple(self.maps.shape[-self.spatial_ndim :])

    @property
    def support(self) -> Tensor:
        """Where any coil sees anything, bool (*batch, set, [z,] y, x); elsewhere data say nothing about the image."""
        return (self.maps != 0).any(dim=-self.spatial_ndim - 1)

    @property
    def n_sets(self) -> int:
        return self.maps.shape[-self.spatial_ndim - 2]

    @property
    def n_coils(self) -> int:
        return self.maps.shape[-self.spatial_ndim - 1]

    @property
    def domain(self) -> Space:
        return Space(("channel", *AXES[-self.spatial_ndim :]), (self.n_sets, *self.spatial_shape), self.maps.dtype)

    @property
    def codomain(self) -> Space:
        return Space(("coil", *AXES[-self.spatial_ndim :]), (self.n_coils, *self.spatial_shape), self.maps.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return (x.unsqueeze(-self.spatial_ndim - 1) * self.maps).sum(dim=-self.spatial_ndim - 2)

    def adjoint(self, y: Tensor) -> Tensor:
        return (y.unsqueeze(-self.spatial_ndim - 2) * self.maps.conj()).sum(dim=-self.spatial_ndim - 1)


@dataclass(frozen=True, eq=False)
class CartesianMRI(LinearOperator):
    """A = M F S: mask, centred orthonormal Fourier transform, sensitivities; build it with `cartesian_mri`.

    Parameters
    ----------
    sensitivities
        The coils.
    mask
        Sampling mask (*batch, [kz,] ky, kx), bool, of length 1 along the axes on which it is constant.
    """

    sensitivities: Sensitivities
    mask: Tensor
    _prepared: dict[int, _Lines] = field(default_factory=dict, repr=False, init=False)

    @property
    def spatial_ndim(self) -> int:
        return self.sensitivities.spatial_ndim

    @property
    def domain(self) -> Space:
        return self.sensitivities.domain

    @property
    def codomain(self) -> Space:
        maps = self.sensitivities
        axes = tuple(f"k{a}" for a in AXES[-self.spatial_ndim :])
        return Space(("coil", *axes), (maps.n_coils, *maps.spatial_shape), maps.maps.dtype)

    @property
    def encoded_axes(self) -> tuple[int, ...]:
        """Spatial axes (negative) along which the mask varies: those that need a Fourier transform in A^H A."""
        return tuple(a for a in range(-self.spatial_ndim, 0) if self.mask.shape[a] != 1)

    @cached_property
    def _weights(self) -> Tensor:
        """The mask as real numbers, with a coil axis."""
        return self.mask.to(self.domain.real_dtype).unsqueeze(-self.spatial_ndim - 1)

    def forward(self, x: Tensor) -> Tensor:
        return self._weights * fft(self.sensitivities.forward(x), range(-self.spatial_ndim, 0))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.sensitivities.adjoint(ifft(self._weights * y, range(-self.spatial_ndim, 0)))

    def keep_measured(self, y: Tensor) -> Tensor:
        return self._weights * y

    def normal(self, x: Tensor) -> Tensor:
        if self.sensitivities.maps.requires_grad:
            return self.adjoint(self.forward(x))
        if not (x.requires_grad and torch.is_grad_enabled()):
            return self._normal(x)
        applied: Tensor = _SelfAdjoint.apply(x, self._normal)  # type: ignore[no-untyped-call]
        return applied

    def norm_squared_bound(self) -> float:
        """The largest sum over coils (and sets) of |S|^2: mask and Fourier transform have norm one."""
        pairs = torch.view_as_real(self.sensitivities.maps.detach().resolve_conj())
        n = self.spatial_ndim
        return float(pairs.square().sum(dim=(-n - 3, -n - 2, -1)).amax()) or 1.0

    def _normal(self, x: Tensor) -> Tensor:
        return self._per_item(x, lambda lines, image: lines.scatter(lines.normal(lines.gather(image))))

    def solve_normal_iteratively(
        self, b: Tensor, rho: Tensor | float, *, x0: Tensor | None = None, cg: CGOptions = DEFAULT_CG
    ) -> CGResult:
        """(A^H A + rho I)^-1 b; each image line along a constant axis is solved as a system of its own.

        The residual of a line is relative to the root-mean-square norm of the lines of `b`.
        """
        lines_are_coupled = len(self.encoded_axes) == self.spatial_ndim
        needs_graph = torch.is_grad_enabled() and (b.requires_grad or self.sensitivities.maps.requires_grad)
        if lines_are_coupled or needs_graph or not self.domain.is_constant(rho):
            return super().solve_normal_iteratively(b, rho, x0=x0, cg=cg)
        iterations, residual, weights = 0, 0.0, self._per_item_numbers(rho, b)

        def solve(lines: _Lines, image: Tensor) -> Tensor:
            nonlocal iterations, residual
            right, start = image.unbind(0) if x0 is not None else (image[0], None)
            first = None if start is None else lines.gather(start)
            result = lines.solve(lines.gather(right), next(weights), first, cg)
            iterations, residual = max(iterations, result.iterations), max(residual, result.relative_residual)
            return lines.scatter(result.solution)

        stacked = torch.stack([b] if x0 is None else list(torch.broadcast_tensors(b, x0)), dim=-self.domain.ndim - 1)
        solution = self._per_item(stacked, solve, extra=1)
        return CGResult(solution, iterations, residual, residual <= cg.tolerance)

    def _per_item(self, x: Tensor, function: Callable[[_Lines, Tensor], Tensor], *, extra: int = 0) -> Tensor:
        """Apply `function` to every batch item with the maps and mask that belong to it, and stack the results.

        `extra` axes before the domain's belong to the item. Items run one after the other: on a CPU a batch would
        leave the cache and be slower than the loop.
        """
        own = broadcast_shapes(self.sensitivities.batch_shape, self.mask.shape[: -self.spatial_ndim])
        inner = self.domain.ndim + extra
        if not own and x.ndim == inner:
            return function(self._lines(0), x)
        batch = broadcast_shapes(own, x.shape[: x.ndim - inner])
        items = x.expand(*batch, *x.shape[x.ndim - inner :]).reshape(-1, *x.shape[x.ndim - inner :])
        which = torch.arange(max(1, prod(own))).reshape(own or (1,)).expand(batch or (1,)).reshape(-1).tolist()
        results = [function(self._lines(i), item) for i, item in zip(which, items, strict=True)]
        if not batch:
            return results[0]
        return torch.stack(results).reshape(*batch, *results[0].shape)

    def _per_item_numbers(self, value: Tensor | float, x: Tensor) -> Iterator[float]:
        """A value constant over the domain, as one number for every item that `_per_item` will visit."""
        if not isinstance(value, Tensor) or value.numel() == 1:
            return repeat(float(value))
        own = broadcast_shapes(self.sensitivities.batch_shape, self.mask.shape[: -self.spatial_ndim])
        batch = broadcast_shapes(own, self.domain.batch_shape(x))
        per_item: list[float] = value.reshape(value.shape[: -self.domain.ndim]).expand(batch).reshape(-1).tolist()
        return iter(per_item)

    def _lines(self, item: int) -> _Lines:
        """The operator of one batch item, arranged for the mask's structure; made once."""
        if item not in self._prepared:
            n = self.spatial_ndim
            own = broadcast_shapes(self.sensitivities.batch_shape, self.mask.shape[:-n])
            maps = self.sensitivities.maps
            maps = maps.expand(*own, *maps.shape[-n - 2 :]).reshape(-1, *maps.shape[-n - 2 :])[item]
            mask = self.mask.expand(*own, *self.mask.shape[-n:]).reshape(-1, *self.mask.shape[-n:])[item]
            self._prepared[item] = _Lines.arrange(maps.detach(), mask, self.encoded_axes)
        return self._prepared[item]


class _SelfAdjoint(torch.autograd.Function):
    """A Hermitian map whose gradient is itself, so that no intermediate result is kept."""

    @staticmethod
    def forward(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        return function(x)

    @staticmethod
    def setup_context(ctx: torch.autograd.function.FunctionCtx, inputs: tuple[Tensor, Callable[[Tensor], Tensor]],
                      output: Tensor) -> None:  # fmt: skip
        ctx.function = inputs[1]  # type: ignore[attr-defined]
        ctx.shape = inputs[0].shape  # type: ignore[attr-defined]

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *grads: Tensor) -> tuple[Tensor, None]:
        applied: Tensor = _SelfAdjoint.apply(grads[0], ctx.function)  # type: ignore[attr-defined, no-untyped-call]
        return applied.sum_to_size(ctx.shape), None  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class _Lines:
    """One item's A^H A on lines: constant axes flattened in front, encoded axes behind, origin moved to index 0.

    With the origin at index 0 along the encoded axes, no shift is needed around the transforms (shifts cost 60-75 %
    on top): A^H A = P^-1 [S'^H F^H M' F S'] P, where P moves the origin and ' marks moved arrays.
    """

    maps: Tensor  # (line, set, coil, *encoded)
    conjugate: Tensor  # stored: resolving a conjugate view in every call costs a quarter of the whole
    mask: Tensor  # (*encoded), real
    order: tuple[int, ...]
    shape: tuple[int, ...]  # (set, [z,] y, x)
    n_encoded: int

    @classmethod
    def arrange(cls, maps: Tensor, mask: Tensor, encoded: tuple[int, ...]) -> _Lines:
        n = mask.ndim
        constant = [a for a in range(-n, 0) if a not in encoded]
        moved = torch.fft.ifftshift(maps, dim=encoded) if encoded else maps
        moved = moved.permute(*(a + maps.ndim for a in constant), 0, 1, *(a + maps.ndim for a in encoded))
        lengths = [maps.shape[a] for a in encoded]
        moved = moved.reshape(-1, *maps.shape[:2], *lengths).contiguous()
        weights = mask.reshape(lengths).to(maps.real.dtype)
        weights = torch.fft.ifftshift(weights) if encoded else weights
        order = (*(a + n + 1 for a in constant), 0, *(a + n + 1 for a in encoded))
        shape = (maps.shape[0], *maps.shape[-n:])
        return cls(moved, moved.conj().resolve_conj(), weights, order, shape, len(encoded))

    @property
    def dims(self) -> tuple[int, ...]:
        return tuple(range(-self.n_encoded, 0))

    def gather(self, x: Tensor) -> Tensor:
        """(set, [z,] y, x) -> (line, set, *encoded), origin at index 0."""
        x = x.permute(self.order).reshape(self.maps.shape[0], self.maps.shape[1], *self.maps.shape[3:])
        return torch.fft.ifftshift(x, dim=self.dims) if self.n_encoded else x

    def scatter(self, x: Tensor) -> Tensor:
        """Inverse of `gather`."""
        x = torch.fft.fftshift(x, dim=self.dims) if self.n_encoded else x
        x = x.reshape([self.shape[a] for a in self.order])
        return x.permute([self.order.index(a) for a in range(len(self.order))]).contiguous()

    @property
    def block(self) -> int:
        """Lines per block: temporaries of a few megabytes on a CPU, of a gigabyte on an accelerator."""
        budget = 2.5e6 if self.maps.device.type == "cpu" else 1e9
        per_line = self.maps[0, 0].numel() * self.maps.element_size()
        return max(1, int(budget // per_line))

    def normal(self, x: Tensor) -> Tensor:
        """A^H A on all lines."""
        n = self.maps.shape[0]
        if n == 1 and self.maps.device.type == "cpu":
            return self._by_coils(x)
        block = self.block
        if n <= block:
            return self.normal_block(x, slice(0, n))
        out = torch.empty_like(x)
        for start in range(0, n, block):
            rows = slice(start, start + block)
            out[rows] = self.normal_block(x[rows], rows)
        return out

    def normal_block(self, x: Tensor, rows: slice) -> Tensor:
        """A^H A on some lines: (line, set, *encoded) -> the same."""
        maps, conjugate = self.maps[rows], self.conjugate[rows]
        if x.shape[1] == 1:
            coils = maps[:, 0] * x
            filtered = self._filter(coils).mul_(conjugate[:, 0])
            return filtered.sum(dim=1, keepdim=True)
        coils = self._filter((maps * x.unsqueeze(2)).sum(dim=1))
        return (conjugate * coils.unsqueeze(1)).sum(dim=2)

    def _filter(self, coils: Tensor) -> Tensor:
        """F^H M F over the encoded axes; a full or empty mask is only a factor."""
        if not self.n_encoded:
            return coils.mul_(self.mask)
        if self.n_encoded == 1:  # the one-dimensional transform has less overhead
            k = torch.fft.fft(coils, norm="ortho").mul_(self.mask)
            filtered: Tensor = torch.fft.ifft(k, norm="ortho")
            return filtered
        k = torch.fft.fftn(coils, dim=self.dims, norm="ortho").mul_(self.mask)
        filtered = torch.fft.ifftn(k, dim=self.dims, norm="ortho")
        return filtered

    def _by_coils(self, x: Tensor) -> Tensor:
        """A^H A when no axis is constant: coils a few at a time, summed as they come."""
        per_coil = x[0, 0].numel() * x.element_size()
        step = max(1, int(2e6 // per_coil))
        out = torch.zeros_like(x)
        for start in range(0, self.maps.shape[2], step):
            maps, conjugate = self.maps[:, :, start : start + step], self.conjugate[:, :, start : start + step]
            if x.shape[1] == 1:
                out += self._filter(maps[:, 0] * x).mul_(conjugate[:, 0]).sum(dim=1, keepdim=True)
            else:
                coils = self._filter((maps * x.unsqueeze(2)).sum(dim=1))
                out += (conjugate * coils.unsqueeze(1)).sum(dim=2)
        return out

    def solve(self, b: Tensor, rho: float, x0: Tensor | None, options: CGOptions) -> CGResult:
        """Conjugate gradients line by line, in blocks that keep all their iterations in cache."""
        n, iterations, residual = b.shape[0], 0, 0.0
        dims = tuple(range(-self.n_encoded - 1, 0))
        pairs = torch.view_as_real(b)
        reference = (pairs * pairs).sum() / n
        out = torch.empty_like(b)
        block = self.block
        for start in range(0, n, block):
            rows = slice(start, min(n, start + block))

            def apply(x: Tensor, rows: slice = rows) -> Tensor:
                return self.normal_block(x, rows).add_(x, alpha=rho)

            start_block = None if x0 is None else x0[rows]
            result = conjugate_gradient(
                apply, b[rows], dims=dims, x0=start_block, options=options, reference_norm_squared=reference
            )
            out[rows] = result.solution
            iterations, residual = max(iterations, result.iterations), max(residual, result.relative_residual)
        return CGResult(out, iterations, residual, residual <= options.tolerance)


def constant_axes_reduced(mask: Tensor, spatial_ndim: int) -> Tensor:
    """The mask with length 1 along every spatial axis on which it does not change."""
    for axis in range(-spatial_ndim, 0):
        first = mask.narrow(axis, 0, 1)
        if mask.shape[axis] > 1 and bool((mask == first).all()):
            mask = first
    return mask


def cartesian_mri(mask: Tensor, maps: Tensor, *, n_sets: int = 1, spatial_ndim: int = 2) -> CartesianMRI:
    """The Cartesian multi-coil operator A = M F S.

    Parameters
    ----------
    mask
        Sampled positions, shape (*batch, [kz,] ky, kx) or with length 1 along constant axes; bool.
    maps
        Sensitivity maps (*batch, coil, [z,] y, x), or (*batch, set, coil, [z,] y, x) when `n_sets` > 1. One coil of
        ones makes the single-coil operator, whose solves are exact in one step.
    n_sets
        Number of map sets; more than one where the field of view folds.
    spatial_ndim
        2 or 3.

    Returns
    -------
        Operator from images (*batch, channel=n_sets, [z,] y, x) to k-space (*batch, coil, [kz,] ky, kx).

    Raises
    ------
    ShapeError
        If mask and maps disagree.

    References
    ----------
    .. [1] Pruessmann et al., SENSE: sensitivity encoding for fast MRI, Magn Reson Med 42 (1999) 952-962.
    .. [2] Uecker et al., ESPIRiT, Magn Reson Med 71 (2014) 990-1001 (several map sets).

    Examples
    --------
    >>> maps = torch.ones(1, 8, 6, dtype=torch.complex64)
    >>> A = cartesian_mri(torch.ones(8, 6, dtype=torch.bool), maps)
    >>> A.domain.shape, A.codomain.shape
    ((1, 8, 6), (1, 8, 6))
    """
    if n_sets == 1:
        maps = maps.unsqueeze(-spatial_ndim - 2)
    elif maps.ndim < spatial_ndim + 2 or maps.shape[-spatial_ndim - 2] != n_sets:
        raise ShapeError(f"`maps` must have {n_sets} sets on axis {-spatial_ndim - 2}, got {tuple(maps.shape)}")
    return cartesian_mri_of_sets(mask, maps, spatial_ndim=spatial_ndim)


def cartesian_mri_of_sets(mask: Tensor, maps: Tensor, *, spatial_ndim: int = 2) -> CartesianMRI:
    """As `cartesian_mri`, for maps that carry their set axis, (*batch, set, coil, [z,] y, x), whatever its length."""
    sensitivities = Sensitivities(maps, spatial_ndim)
    if mask.ndim < spatial_ndim or any(
        have not in (1, want)
        for have, want in zip(mask.shape[-spatial_ndim:], sensitivities.spatial_shape, strict=True)
    ):
        raise ShapeError(
            f"`mask` must be broadcastable to {sensitivities.spatial_shape}, got {tuple(mask.shape)}; "
            "crop or rebuild it for this matrix"
        )
    return CartesianMRI(sensitivities, constant_axes_reduced(mask.bool(), spatial_ndim))
