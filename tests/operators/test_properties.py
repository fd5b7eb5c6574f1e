"""One property suite over the table of operators: every row gets every test."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mrirecon.errors import ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.space import Space
from mrirecon.operators.base import LinearOperator
from tests.operators.table import ROWS, Row

TIGHT = CGOptions(max_iterations=2000, tolerance=1e-13)
CASES = [pytest.param(row, batch, id=f"{row.name}-{batch}") for row in ROWS for batch in row.batches]
EVERY = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
DENSE = pytest.mark.parametrize(
    "row", [row for row in ROWS if not row.has_batched_parameters], ids=lambda row: row.name
)


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inner(space: Space, a: Tensor, b: Tensor, *, real: bool) -> Tensor:
    return space.inner(a, b).real if real else space.inner(a, b)


def is_real_linear(A: LinearOperator) -> bool:
    return A.domain.is_complex != A.codomain.is_complex


def flat(x: Tensor, space: Space) -> Tensor:
    """Real components as one vector per item."""
    return (torch.view_as_real(x.resolve_conj()) if space.is_complex else x).reshape(*space.batch_shape(x), -1)


def unflat(vectors: Tensor, space: Space) -> Tensor:
    if not space.is_complex:
        return vectors.reshape(-1, *space.shape)
    return torch.view_as_complex(vectors.reshape(-1, *space.shape, 2).contiguous())


def dense(A: LinearOperator) -> Tensor:
    """The matrix of A between real components."""
    n = A.domain.size * (2 if A.domain.is_complex else 1)
    basis = unflat(torch.eye(n, dtype=torch.float64), A.domain)
    return flat(A.forward(basis), A.codomain).T


@pytest.mark.parametrize(("row", "batch"), CASES)
def test_adjoint(row: Row, batch: tuple[int, ...]) -> None:
    A = row.build()
    x, y = A.domain.randn(*batch, generator=generator()), A.codomain.randn(*batch, generator=generator(8))
    ax, ahy = A(x), A.adjoint(y)
    real = is_real_linear(A)
    difference = inner(A.codomain, ax, y, real=real) - inner(A.domain, x, ahy, real=real)
    assert ax.shape == y.shape
    assert ahy.shape == x.shape
    assert float(A.codomain.norm(ax).min()) > 0
    assert (difference.abs() <= 1e-13 * A.codomain.norm(ax) * A.codomain.norm(y) + 1e-15).all()


@EVERY
def test_linear(row: Row) -> None:
    A = row.build()
    batch = row.batches[0]
    a, b = (A.domain.randn(*batch, generator=generator(i)) for i in (1, 2))
    factor = 0.3 if is_real_linear(A) or not A.domain.is_complex else 0.3 - 0.7j
    torch.testing.assert_close(A(factor * a + b), factor * A(a) + A(b), rtol=1e-12, atol=1e-12)


@EVERY
def test_spaces(row: Row) -> None:
    A = row.build()
    x, y = (
        A.domain.randn(*row.batches[0], generator=generator()),
        A.codomain.randn(*row.batches[0], generator=generator()),
    )
    A.codomain.check(A(x), "A x")
    A.domain.check(A.adjoint(y), "A^H y")
    assert A(x).dtype == A.codomain.dtype
    assert A.adjoint(y).dtype == A.domain.dtype
    assert A.H.domain == A.codomain
    assert A.H.codomain == A.domain


@pytest.mark.parametrize(("row", "batch"), CASES)
def test_normal(row: Row, batch: tuple[int, ...]) -> None:
    A = row.build()
    x = A.domain.randn(*batch, generator=generator())
    torch.testing.assert_close(A.normal(x), A.adjoint(A.forward(x)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize(("row", "batch"), CASES)
def test_solve_normal_solves(row: Row, batch: tuple[int, ...]) -> None:
    """Number, and one number per batch item; against the definition and against conjugate gradients."""
    A = row.build()
    b = A.domain.randn(*batch, generator=generator())
    per_item = A.domain.per_item(0.2 + torch.rand(batch, generator=generator(), dtype=torch.float64))
    for rho in (0.3, per_item):
        x = A.solve_normal(b, rho, cg=TIGHT)
        torch.testing.assert_close(A.normal(x) + rho * x, b, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(x, A.solve_normal_iteratively(b, rho, cg=TIGHT).solution, rtol=1e-8, atol=1e-9)


@DENSE
def test_solve_normal_with_varying_weight(row: Row) -> None:
    """A weight that varies from pixel to pixel has no closed form in most operators, but must be right."""
    A = row.build()
    b = A.domain.randn(generator=generator())
    rho = 0.2 + torch.rand(A.domain.shape, generator=generator(), dtype=torch.float64)
    x = A.solve_normal(b, rho, cg=TIGHT)
    torch.testing.assert_close(A.adjoint(A.forward(x)) + rho * x, b, rtol=1e-9, atol=1e-9)
    y = A.codomain.randn(generator=generator(3))
    x = A.regularised_inverse(y, rho, cg=TIGHT)
    torch.testing.assert_close(A.adjoint(A.forward(x)) + rho * x, A.adjoint(y), rtol=1e-9, atol=1e-9)


@DENSE
def test_inverses_against_dense(row: Row) -> None:
    A = row.build()
    matrix = dense(A)
    y = A.codomain.randn(generator=generator())
    flat_y, identity = flat(y, A.codomain), torch.eye(matrix.shape[1], dtype=torch.float64)
    expected = torch.linalg.solve(matrix.T @ matrix + 0.05 * identity, matrix.T @ flat_y)
    actual = flat(A.regularised_inverse(y, 0.05, cg=TIGHT), A.domain)
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-9)
    pinv = torch.linalg.pinv(matrix, rtol=1e-7)
    torch.testing.assert_close(flat(A.pseudo_inverse(y, cg=TIGHT), A.domain), pinv @ flat_y, rtol=1e-6, atol=1e-7)


@DENSE
def test_norm_bound_against_dense(row: Row) -> None:
    """Never too small; tight but where the operator's own bound ignores the mask."""
    A = row.build()
    largest = float(torch.linalg.matrix_norm(dense(A), 2)) ** 2
    bound = A.norm_squared_bound()
    assert bound >= largest * (1 - 1e-6)
    assert bound <= largest * (1.06 if "MRI" not in row.name else 4)


@pytest.mark.parametrize("row", [row for row in ROWS if row.has_batched_parameters], ids=lambda row: row.name)
def test_norm_bound_holds_for_the_whole_batch(row: Row) -> None:
    A = row.build()
    x = A.domain.randn(*row.batches[0], generator=generator())
    for _ in range(30):
        x = A.normal(x / A.domain.per_item(A.domain.norm(x)))
    assert A.norm_squared_bound() >= float(A.domain.norm(x).max()) * (1 - 1e-6)


@EVERY
def test_pseudo_inverse_identities(row: Row) -> None:
    """A A^+ A = A and A^+ A A^+ = A^+."""
    A = row.build()
    batch = row.batches[0]
    y = A.forward(A.domain.randn(*batch, generator=generator()))
    torch.testing.assert_close(A.forward(A.pseudo_inverse(y, cg=TIGHT)), y, rtol=1e-7, atol=1e-7)
    data = A.codomain.randn(*batch, generator=generator(5))
    x = A.pseudo_inverse(data, cg=TIGHT)
    torch.testing.assert_close(A.pseudo_inverse(A.forward(x), cg=TIGHT), x, rtol=1e-6, atol=1e-6)


@EVERY
def test_regularised_inverse_survives_tiny_weights(row: Row) -> None:
    """For data in the range of A, a vanishing weight gives the pseudo-inverse and not amplified rounding error."""
    A = row.build()
    y = A.forward(A.domain.randn(*row.batches[0], generator=generator()))
    x = A.regularised_inverse(y, 1e-14, cg=TIGHT)
    torch.testing.assert_close(A.forward(x), y, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(x, A.pseudo_inverse(y, cg=TIGHT), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("row", "batch"), CASES)
def test_gradient_is_the_adjoint(row: Row, batch: tuple[int, ...]) -> None:
    A = row.build()
    x = A.domain.randn(*batch, generator=generator()).requires_grad_(True)
    v = A.codomain.randn(*batch, generator=generator(9))
    (gradient,) = torch.autograd.grad(A.forward(x), x, v)
    torch.testing.assert_close(gradient, A.adjoint(v), rtol=1e-11, atol=1e-12)
    w = A.codomain.randn(*batch, generator=generator(9)).requires_grad_(True)
    u = A.domain.randn(*batch, generator=generator(3))
    (gradient,) = torch.autograd.grad(A.adjoint(w), w, u)
    torch.testing.assert_close(gradient, A.forward(u), rtol=1e-11, atol=1e-12)


@EVERY
def test_solves_are_differentiable(row: Row) -> None:
    """(A^H A + rho)^-1 is Hermitian: its gradient is itself."""
    A = row.build()
    b, v = (A.domain.randn(*row.batches[0], generator=generator(i)) for i in (1, 2))
    b.requires_grad_(True)
    (gradient,) = torch.autograd.grad(A.solve_normal(b, 0.5, cg=CGOptions(200, 1e-11)), b, v)
    torch.testing.assert_close(gradient, A.solve_normal(v, 0.5, cg=TIGHT).detach(), rtol=1e-7, atol=1e-8)


@EVERY
def test_wrong_shape_and_kind_raise(row: Row) -> None:
    A = row.build()
    x = A.domain.zeros()
    with pytest.raises(ShapeError, match="must have shape"):
        A(torch.cat([x, x], dim=-1))
    with pytest.raises(ShapeError, match="must be"):
        A(x.real if x.is_complex() else x.to(torch.complex128))


@EVERY
def test_results_may_be_changed_in_place(row: Row) -> None:
    A = row.build()
    batch = row.batches[0]
    x, y = A.domain.randn(*batch, generator=generator()), A.codomain.randn(*batch, generator=generator())
    for function, argument in (
        (A.forward, x),
        (A.adjoint, y),
        (A.normal, x),
        (A.pseudo_inverse, y),
        (lambda b: A.solve_normal(b, 0.5), x),
        (lambda y: A.regularised_inverse(y, 0.5), y),
    ):
        before = argument.clone()
        function(argument).zero_()
        assert torch.equal(argument, before)


@EVERY
def test_keeps_what_it_measures(row: Row) -> None:
    A = row.build()
    y = A(A.domain.randn(*row.batches[-1], generator=generator()))
    torch.testing.assert_close(A.keep_measured(y), y, rtol=0, atol=0)


@pytest.mark.parametrize("row", [row for row in ROWS if row.movable], ids=lambda row: row.name)
def test_to_device(row: Row) -> None:
    """On the meta device, which holds no values, everything must be moved for shapes to come out at all."""
    A = row.build()
    batch = row.batches[0]
    moved = A.to("meta")
    y = moved(A.domain.zeros(*batch, device="meta"))
    assert y.device.type == "meta"
    assert y.shape == (*batch, *A.codomain.shape)
    assert moved.adjoint(y).shape == (*batch, *A.domain.shape)
    x = A.domain.randn(*batch, generator=generator())
    torch.testing.assert_close(A.to("cpu")(x), A(x), rtol=0, atol=0)
