"""Composition, sums and multiples: the rules of algebra, and that structure leads to closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.space import Space
from mrirecon.operators.algebra import Adjoint, Composition, Scaled
from mrirecon.operators.elementary import Diagonal, Fourier, Identity
from mrirecon.operators.image import block_average, gaussian_blur, image_space

SPACE = Space(("channel", "y", "x"), (1, 6, 5), torch.complex128)
NO_ITERATION = CGOptions(max_iterations=0)


def randn(space: Space, *batch: int, seed: int = 0) -> Tensor:
    return space.randn(*batch, generator=torch.Generator().manual_seed(seed))


def diagonal(seed: int = 1) -> Diagonal:
    return Diagonal(randn(SPACE, seed=seed), SPACE)


def test_composition_applies_the_inner_operator_first() -> None:
    D, F = diagonal(), Fourier(SPACE)
    x = randn(SPACE)
    torch.testing.assert_close((F @ D)(x), F(D(x)))
    torch.testing.assert_close((F @ D).adjoint(x), D.adjoint(F.adjoint(x)))
    torch.testing.assert_close((F @ D @ F)(x), F(D(F(x))))


def test_sum_scaling_and_adjoint() -> None:
    D, E = diagonal(1), diagonal(2)
    x = randn(SPACE)
    torch.testing.assert_close((D + E)(x), D(x) + E(x))
    torch.testing.assert_close((2 * D)(x), (D * 2)(x))
    torch.testing.assert_close((2j * D).adjoint(x), -2j * D.adjoint(x))
    torch.testing.assert_close(D.H(x), D.adjoint(x))
    assert D.H.H is D
    assert isinstance(D.H, Adjoint)


def test_unitary_inner_factor_hands_the_solve_to_the_outer_one() -> None:
    """Exact with no iteration allowed: single-coil MRI. The general rule must iterate, and cannot here."""
    A = diagonal() @ Fourier(SPACE)
    b, y = randn(SPACE, 2), randn(A.codomain, 2, seed=3)
    for rho in (0.3, torch.tensor([0.3, 2.0], dtype=torch.float64).reshape(2, 1, 1, 1)):
        x = A.solve_normal(b, rho, cg=NO_ITERATION)
        torch.testing.assert_close(A.normal(x) + rho * x, b, rtol=1e-12, atol=1e-12)
        x = A.regularised_inverse(y, rho, cg=NO_ITERATION)
        torch.testing.assert_close(A.normal(x) + rho * x, A.adjoint(y), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(A(A.pseudo_inverse(y, cg=NO_ITERATION)), y, rtol=1e-10, atol=1e-10)
    general = A.solve_normal_iteratively(b, 0.3, cg=NO_ITERATION)
    assert not general.converged


def test_unitary_outer_factor_disappears_from_solves() -> None:
    A = Fourier(SPACE) @ diagonal()
    b, y = randn(SPACE, 2), randn(A.codomain, 2, seed=3)
    x = A.solve_normal(b, 0.3, cg=NO_ITERATION)
    torch.testing.assert_close(A.adjoint(A.forward(x)) + 0.3 * x, b, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(A(A.pseudo_inverse(y, cg=NO_ITERATION)), y, rtol=1e-10, atol=1e-10)


def test_weight_that_varies_over_pixels_is_not_handed_through_a_transform() -> None:
    A = diagonal() @ Fourier(SPACE)
    rho = 0.1 + torch.rand(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = randn(SPACE)
    x = A.solve_normal(b, rho, cg=CGOptions(500, 1e-13))
    torch.testing.assert_close(A.normal(x) + rho * x, b, rtol=1e-10, atol=1e-10)


def test_scaling_keeps_closed_forms() -> None:
    photo = image_space(2, 8, 6, dtype=torch.float64)
    A = 3.0 * block_average(photo, 2)
    b = randn(photo)
    x = A.solve_normal(b, 0.2, cg=NO_ITERATION)
    torch.testing.assert_close(9 * A.operator.normal(x) + 0.2 * x, b)  # type: ignore[attr-defined]


def test_zero_times_an_operator() -> None:
    A = 0.0 * diagonal()
    x = randn(SPACE)
    assert not A(x).any()
    torch.testing.assert_close(A.solve_normal(x, 2.0), x / 2)
    assert not A.pseudo_inverse(x).any()
    assert not A.regularised_inverse(x, 1.0).any()


def test_composition_checks_spaces() -> None:
    photo = image_space(1, 8, 6)
    with pytest.raises(ShapeError, match="composition"):
        block_average(photo, 2) @ block_average(photo, 2)
    with pytest.raises(ShapeError, match="sum of operators"):
        block_average(photo, 2) + Identity(photo)
    with pytest.raises(ShapeError, match="real factor"):
        Scaled(Identity(photo), 1j)


def test_composition_of_three_solves_by_conjugate_gradients() -> None:
    photo = image_space(1, 8, 6, dtype=torch.float64)
    A = block_average(photo, 2) @ gaussian_blur(photo, 0.8, size=5)
    assert isinstance(A, Composition)
    b = randn(photo)
    x = A.solve_normal(b, 0.2, cg=CGOptions(200, 1e-13))
    torch.testing.assert_close(A.normal(x) + 0.2 * x, b, rtol=1e-10, atol=1e-10)
    early = A.solve_normal_iteratively(b, 1e-6, cg=CGOptions(2, 1e-13))
    assert early.iterations == 2
    assert not early.converged
    assert early.relative_residual > 1e-3
