"""Leading eigenvectors of a field of small coil matrices, with a phase that means the same in every voxel."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FIRST_ITERATIONS = 3
RESIDUAL = 3e-3  # of a converged vector, matrices of norm one
DOUBT = 4.0  # residuals by which an unconverged Rayleigh quotient may fall short of the eigenvalue
CPU_BLOCK_BYTES = 8 << 20
ACCELERATOR_BLOCK_BYTES = 256 << 20

Sets = list[Tensor]  # one tensor (coil, voxel) per map set, so that no step copies them together


def rows_per_block(n_coils: int, width: int, element_size: int, device: torch.device) -> int:
    """Image rows whose coil matrices fit the memory one block may use: the cache of a CPU, a part of a GPU's."""
    budget = CPU_BLOCK_BYTES if device.type == "cpu" else ACCELERATOR_BLOCK_BYTES
    return max(1, budget // (n_coils**2 * width * element_size))


def leading_eigenvectors(
    matrices: Tensor, start: Sets, *, relevant: float = 0.0, max_iterations: int = 30
) -> tuple[Sets, Sets]:
    """Orthogonal iteration in every voxel, continued only where it has not converged and where that matters.

    Parameters
    ----------
    matrices
        Hermitian positive semi-definite, shape (coil, coil, voxel), of norm about one.
    start
        First guess per set, shape (coil, voxel); not orthogonal to the eigenvectors wanted.
    relevant
        Voxels whose eigenvalues are below this by several residuals are left unconverged.
    max_iterations
        Upper bound on the iterations per voxel.

    Returns
    -------
        Per set, unit vectors (coil, voxel), orthogonal between the sets, and their Rayleigh quotients (voxel,), real,
        which approach the eigenvalues from below. Sets whose eigenvalues agree within the residual are not
        separated: they span the eigenspace and inherit the smoothness of `start`.
    """
    steps = min(FIRST_ITERATIONS, max_iterations)
    state = _iterate(matrices, start, steps)
    vectors, values = state.vectors, state.values
    active: Tensor | None = None
    done = steps
    while done < max_iterations:
        open_ = torch.stack(
            [(r > RESIDUAL) & (v + DOUBT * r > relevant) for v, r in zip(state.values, state.residuals, strict=True)]
        )
        chosen = torch.nonzero(open_.any(dim=0)).squeeze(-1)
        if chosen.numel() == 0:
            break
        active = chosen if active is None else active[chosen]
        matrices = matrices.index_select(-1, chosen)
        steps = min(done, max_iterations - done)
        state = _iterate(matrices, [y.index_select(-1, chosen) for y in state.images], steps)
        done += steps
        for whole, part in zip([*vectors, *values], [*state.vectors, *state.values], strict=True):
            whole.index_copy_(-1, active, part)
    return vectors, values


def fix_phase(vectors: Tensor, reference: Tensor) -> Tensor:
    """Rotate each vector so that its component along `reference` is real and not negative.

    Parameters
    ----------
    vectors
        Shape (coil, voxel).
    reference
        Weights of the virtual coil whose phase every map is relative to, shape (1, coil), as
        `mrirecon.mri.coils.compression_matrix` gives them.
    """
    virtual = reference @ vectors
    size = virtual.abs()
    rotation = torch.where(size > 0, virtual.conj() / size.clamp_min(torch.finfo(size.dtype).tiny), 1.0)
    return vectors * rotation


@dataclass(frozen=True)
class _State:
    """Unit vectors x, images G x, Rayleigh quotients and residuals ||G x - value x||, per set."""

    vectors: Sets
    images: Sets
    values: Sets
    residuals: Sets


def _iterate(matrices: Tensor, start: Sets, steps: int) -> _State:
    """`steps` orthogonal iterations from `start`, and where they lead."""
    vectors = _orthonormal(start)
    images = [_apply(matrices, x) for x in vectors]
    for _ in range(steps):
        vectors = _orthonormal(images)
        images = [_apply(matrices, x) for x in vectors]
    values = [_inner(x, y).real for x, y in zip(vectors, images, strict=True)]
    residuals = [_squared_norm(y - x * v).sqrt() for x, y, v in zip(vectors, images, values, strict=True)]
    return _State(vectors, images, values, residuals)


def _apply(matrices: Tensor, x: Tensor) -> Tensor:
    """G x in every voxel; the voxel axis last makes this faster than batched matrix products."""
    return (matrices * x).sum(dim=1)


def _inner(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).sum(dim=0)


def _squared_norm(x: Tensor) -> Tensor:
    """Over the coils; the sum of products is several times faster than a norm along the slow axis."""
    return _inner(x, x).real


def _orthonormal(sets: Sets) -> Sets:
    """Gram-Schmidt over the sets, in order; a zero vector stays zero."""
    done: Sets = []
    for x in sets:
        for q in done:
            x = x - q * _inner(q, x)
        done.append(x * _squared_norm(x).clamp_min(torch.finfo(x.real.dtype).tiny).rsqrt())
    return done
