"""Spaces: checks that explain, noise of unit variance per real component, inner product and norm."""

from __future__ import annotations

import pytest
import torch

from mrirecon.errors import ShapeError
from mrirecon.linalg.space import Space

COMPLEX = Space(("coil", "ky", "kx"), (2, 40, 50), torch.complex64)
REAL = Space(("channel", "y", "x"), (3, 40, 50), torch.float32)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_check_names_axes_and_lengths() -> None:
    COMPLEX.check(torch.zeros(7, 2, 40, 50, dtype=torch.complex64), "kspace")
    with pytest.raises(
        ShapeError, match=r"`kspace` must have shape \(\*batch, coil=2, ky=40, kx=50\), got \(2, 50, 40\)"
    ):
        COMPLEX.check(torch.zeros(2, 50, 40, dtype=torch.complex64), "kspace")
    with pytest.raises(ShapeError, match="got \\(50,\\)"):
        COMPLEX.check(torch.zeros(50, dtype=torch.complex64), "kspace")
    with pytest.raises(ShapeError, match="`kspace` must be complex"):
        COMPLEX.check(torch.zeros(2, 40, 50), "kspace")
    with pytest.raises(ShapeError, match="`x` must be real"):
        REAL.check(REAL.zeros().to(torch.complex64), "x")
    with pytest.raises(ShapeError, match="one length per axis"):
        Space(("y",), (1, 2), torch.float32)


@pytest.mark.parametrize("space", [COMPLEX, REAL])
def test_randn_has_unit_standard_deviation_per_real_component(space: Space) -> None:
    x = space.randn(4, 2, generator=rng())
    assert x.shape == (4, 2, *space.shape)
    assert x.dtype == space.dtype
    parts = (x.real, x.imag) if space.is_complex else (x,)
    for part in parts:
        assert float(part.mean()) == pytest.approx(0, abs=0.02)
        assert float(part.std()) == pytest.approx(1, rel=0.02)
    if space.is_complex:
        assert float((x.real * x.imag).mean()) == pytest.approx(0, abs=0.02)
    assert torch.equal(x, space.randn(4, 2, generator=rng()))


def test_inner_is_conjugate_in_the_first_argument_and_per_item() -> None:
    a, b = COMPLEX.randn(3, generator=rng(1)), COMPLEX.randn(3, generator=rng(2))
    expected = torch.stack([torch.vdot(p.reshape(-1), q.reshape(-1)) for p, q in zip(a, b, strict=True)])
    torch.testing.assert_close(COMPLEX.inner(a, b), expected, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(COMPLEX.norm(a) ** 2, COMPLEX.inner(a, a).real, rtol=1e-5, atol=0)
    x = REAL.randn(3, generator=rng(3))
    torch.testing.assert_close(REAL.norm(x), x.reshape(3, -1).norm(dim=1))


def test_norm_of_a_conjugate_view() -> None:
    a = COMPLEX.randn(generator=rng())
    torch.testing.assert_close(COMPLEX.norm(a.conj()), COMPLEX.norm(a))


def test_per_item_lines_up_with_the_batch() -> None:
    scale = COMPLEX.per_item(torch.tensor([1.0, 2.0]))
    assert isinstance(scale, torch.Tensor)
    x = scale * torch.ones(2, *COMPLEX.shape, dtype=torch.complex64)
    assert x[0].real.unique().tolist() == [1.0]
    assert x[1].real.unique().tolist() == [2.0]
    assert COMPLEX.per_item(3.0) == 3.0


def test_is_constant() -> None:
    assert COMPLEX.is_constant(1.0)
    assert COMPLEX.is_constant(torch.tensor(1.0))
    assert COMPLEX.is_constant(torch.ones(5, 1, 1, 1))
    assert not COMPLEX.is_constant(torch.ones(50))
    assert not COMPLEX.is_constant(torch.ones(2, 1, 1))


def test_sizes() -> None:
    assert COMPLEX.size == 4000
    assert COMPLEX.real_dtype == torch.float32
    assert COMPLEX.batch_shape(COMPLEX.zeros(5, 6)) == (5, 6)
