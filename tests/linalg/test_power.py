"""The power method against an eigenvalue solver."""

from __future__ import annotations

import pytest
import torch

from mrirecon.linalg.power import largest_eigenvalue
from mrirecon.linalg.space import Space


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_largest_eigenvalue(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    root = torch.randn(10, 10, generator=generator, dtype=dtype)
    matrix = root @ root.mH
    exact = float(torch.linalg.eigvalsh(matrix)[-1])
    space = Space(("x",), (10,), dtype)
    estimate = largest_eigenvalue(lambda x: matrix @ x, space, n_iterations=500, tolerance=1e-9)
    assert estimate == pytest.approx(exact, rel=1e-6)
    early = largest_eigenvalue(lambda x: matrix @ x, space, n_iterations=3)
    assert 0.3 * exact < early <= exact * (1 + 1e-12)


def test_zero_map() -> None:
    assert largest_eigenvalue(torch.zeros_like, Space(("x",), (4,), torch.float32)) == 0.0


def test_maps_built_from_batches_give_the_largest_of_all() -> None:
    weights = torch.tensor([1.0, 3.0, 2.0]).reshape(3, 1, 1)
    space = Space(("y", "x"), (3, 4), torch.float32)
    assert largest_eigenvalue(lambda x: weights * x, space) == pytest.approx(3.0, rel=1e-5)
