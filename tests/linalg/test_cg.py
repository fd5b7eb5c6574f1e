"""Conjugate gradients against direct solves, its stopping rule and its report."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mrirecon.errors import ConvergenceError
from mrirecon.linalg.cg import CGOptions, conjugate_gradient

TIGHT = CGOptions(max_iterations=200, tolerance=1e-13)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def positive_definite(n: int, dtype: torch.dtype, seed: int = 0) -> Tensor:
    root = torch.randn(n, n, generator=rng(seed), dtype=dtype)
    return root @ root.mH + torch.eye(n, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_solves_as_a_direct_solver(dtype: torch.dtype) -> None:
    matrix, b = positive_definite(12, dtype), torch.randn(12, generator=rng(1), dtype=dtype)
    result = conjugate_gradient(lambda x: matrix @ x, b, dims=(-1,), options=TIGHT)
    torch.testing.assert_close(result.solution, torch.linalg.solve(matrix, b), rtol=1e-10, atol=1e-10)
    assert result.converged
    assert result.iterations <= 20
    true_residual = float((b - matrix @ result.solution).norm() / b.norm())
    assert true_residual < 1e-11


def test_every_batch_item_is_a_system_of_its_own() -> None:
    """Solving together gives, iteration for iteration, what solving alone gives."""
    matrices = torch.stack([positive_definite(6, torch.complex128, seed) * scale for seed, scale in ((0, 1), (1, 1e4))])
    b = torch.randn(2, 6, generator=rng(2), dtype=torch.complex128)
    options = CGOptions(max_iterations=4, tolerance=0.0)
    together = conjugate_gradient(lambda x: (matrices @ x[..., None])[..., 0], b, dims=(-1,), options=options)
    for i in range(2):
        alone = conjugate_gradient(lambda x, i=i: matrices[i] @ x, b[i], dims=(-1,), options=options)
        torch.testing.assert_close(together.solution[i], alone.solution)


def test_axes_of_one_system() -> None:
    b = torch.randn(3, 4, 5, generator=rng(), dtype=torch.float64)
    weights = torch.rand(4, 5, generator=rng(1), dtype=torch.float64) + 0.5
    for dims in ((-2, -1), (1, 2)):
        result = conjugate_gradient(lambda x: weights * x, b, dims=dims, options=TIGHT)
        torch.testing.assert_close(result.solution, b / weights, rtol=1e-10, atol=1e-11)


def test_reports_when_it_did_not_converge() -> None:
    matrix = torch.diag(torch.logspace(0, 6, 30, dtype=torch.float64))
    b = torch.ones(30, dtype=torch.float64)
    result = conjugate_gradient(lambda x: matrix @ x, b, dims=(-1,), options=CGOptions(3, 1e-8))
    assert result.iterations == 3
    assert not result.converged
    true_residual = float((b - matrix @ result.solution).norm() / b.norm())
    assert result.relative_residual == pytest.approx(true_residual, rel=1e-6)


def test_start_near_the_solution_saves_iterations() -> None:
    matrix, b = positive_definite(20, torch.float64), torch.randn(20, generator=rng(1), dtype=torch.float64)
    solution = torch.linalg.solve(matrix, b)
    options = CGOptions(100, 1e-6)
    cold = conjugate_gradient(lambda x: matrix @ x, b, dims=(-1,), options=options)
    warm = conjugate_gradient(lambda x: matrix @ x, b, dims=(-1,), x0=solution, options=options)
    assert warm.iterations == 0 < cold.iterations
    torch.testing.assert_close(warm.solution, solution)


def test_zero_right_hand_side_gives_zero() -> None:
    b = torch.zeros(2, 5, dtype=torch.complex64)
    result = conjugate_gradient(lambda x: 2 * x, b, dims=(-1,))
    assert torch.equal(result.solution, b)
    assert result.converged
    assert result.iterations == 0


def test_singular_system_gives_the_solution_of_least_norm() -> None:
    root = torch.randn(3, 6, generator=rng(), dtype=torch.float64)
    matrix = root.T @ root
    y = torch.randn(3, generator=rng(1), dtype=torch.float64)
    result = conjugate_gradient(lambda x: matrix @ x, root.T @ y, dims=(-1,), options=TIGHT)
    torch.testing.assert_close(result.solution, torch.linalg.pinv(root) @ y, rtol=1e-8, atol=1e-9)


def test_gradients_through_the_iteration() -> None:
    """d/db and d/d(weight) of (M + weight I)^-1 b, by finite differences; the right-hand side may need a gradient."""
    matrix = positive_definite(4, torch.float64)
    b = torch.randn(4, generator=rng(1), dtype=torch.float64, requires_grad=True)
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)

    def solve(b: Tensor, weight: Tensor) -> Tensor:
        return conjugate_gradient(lambda x: matrix @ x + weight * x, b, dims=(-1,), options=TIGHT).solution

    assert torch.autograd.gradcheck(solve, (b, weight), rtol=1e-4)


def test_not_a_number_is_an_error() -> None:
    b = torch.ones(4)
    b[0] = float("nan")
    with pytest.raises(ConvergenceError, match="not finite"):
        conjugate_gradient(lambda x: x, b, dims=(-1,))
