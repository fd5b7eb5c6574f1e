import numpy as np
import pytest
import pywt
import torch

from mrirecon.errors import ShapeError
from mrirecon.linalg.lattice import wavelet_lattice
from mrirecon.linalg.wavelet import (
    undecimated_analysis,
    undecimated_synthesis,
    wavelet_analysis,
    wavelet_synthesis,
)

NAMES = ["haar", "db2", "db4", "sym5", "coif1"]


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def inner(first, second):
    return sum((a * b).sum() for a, b in zip([first[0], *first[1]], [second[0], *second[1]], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_pywavelets_in_two_dimensions(name):
    x = random(80, 112)
    approximation, details = wavelet_analysis(x, wavelet_lattice(name), n_levels=3)
    expected = pywt.wavedec2(x.numpy(), name, mode="periodization", level=3)
    np.testing.assert_allclose(approximation.numpy(), expected[0], atol=1e-11)
    for bands, (horizontal, vertical, diagonal) in zip(details, reversed(expected[1:]), strict=True):
        np.testing.assert_allclose(bands.numpy(), [vertical, horizontal, diagonal], atol=1e-11)


def test_agrees_with_pywavelets_in_one_and_three_dimensions():
    x = random(2, 64)
    _, details = wavelet_analysis(x, wavelet_lattice("db4"), n_levels=2, spatial_ndim=1)
    expected = pywt.wavedec(x.numpy(), "db4", mode="periodization", level=2, axis=-1)
    np.testing.assert_allclose(details[0][0].numpy(), expected[2], atol=1e-12)
    np.testing.assert_allclose(details[1][0].numpy(), expected[1], atol=1e-12)
    volume = random(8, 10, 12)
    _, details = wavelet_analysis(volume, wavelet_lattice("db2"), n_levels=1, spatial_ndim=3)
    bands = pywt.dwtn(volume.numpy(), "db2", mode="periodization")
    order = ["aad", "ada", "add", "daa", "dad", "dda", "ddd"]
    np.testing.assert_allclose(details[0].numpy(), [bands[key] for key in order], atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(32, 48), (37, 51), (33, 40), (8, 9), (2, 3, 16, 21)])
def test_orthonormal_at_any_size(name, shape):
    lattice = wavelet_lattice(name)
    x, other = random(*shape), random(*shape, seed=1)
    coefficients = wavelet_analysis(x, lattice, n_levels=3)
    back = wavelet_synthesis(*coefficients, lattice, shape=shape[-2:])
    torch.testing.assert_close(back, x, atol=1e-12, rtol=0)
    product = inner(coefficients, wavelet_analysis(other, lattice, n_levels=3))
    assert abs(product - (x * other).sum()) < 1e-10


@pytest.mark.parametrize("shape", [(16, 24), (13, 18)])
def test_synthesis_is_the_adjoint(shape):
    lattice = wavelet_lattice("db3")
    x = random(*shape)
    coefficients = wavelet_analysis(x, lattice, n_levels=2)
    others = random(*coefficients[0].shape, seed=1), [random(*d.shape, seed=2) for d in coefficients[1]]
    image = wavelet_synthesis(*others, lattice, shape=shape)
    assert abs(inner(coefficients, others) - (x * image).sum()) < 1e-11


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(16, 24), (13, 18)])
def test_undecimated_is_a_parseval_frame(name, shape):
    lattice = wavelet_lattice(name)
    x = random(3, *shape)
    coefficients = undecimated_analysis(x, lattice, n_levels=3)
    assert abs(inner(coefficients, coefficients) - x.square().sum()) < 1e-10
    torch.testing.assert_close(undecimated_synthesis(*coefficients, lattice), x, atol=1e-12, rtol=0)
    others = (
        random(*coefficients[0].shape, seed=1),
        [random(*d.shape, seed=2) for d in coefficients[1]],
    )
    image = undecimated_synthesis(*others, lattice)
    assert abs(inner(coefficients, others) - (x * image).sum()) < 1e-10


def test_undecimated_holds_the_coefficients_of_every_shift():
    lattice = wavelet_lattice("db2")
    x = random(16, 16)
    _, frame = undecimated_analysis(x, lattice, n_levels=2)
    for shift in [(0, 0), (1, 2), (3, 1)]:
        _, details = wavelet_analysis(torch.roll(x, [-s for s in shift], (0, 1)), lattice, n_levels=2)
        for level, bands in enumerate(details, start=1):
            picked = torch.roll(frame[level - 1], [-s for s in shift], (1, 2))[:, :: 2**level, :: 2**level]
            torch.testing.assert_close(picked * 2**level, bands, atol=1e-12, rtol=0)


def test_undecimated_commutes_with_shifts():
    lattice = wavelet_lattice("db4")
    x = random(18, 15)
    _, details = undecimated_analysis(x, lattice, n_levels=2)
    _, moved = undecimated_analysis(torch.roll(x, (3, 5), (0, 1)), lattice, n_levels=2)
    for a, b in zip(details, moved, strict=True):
        torch.testing.assert_close(torch.roll(a, (3, 5), (1, 2)), b, atol=1e-13, rtol=0)


@pytest.mark.parametrize("shape", [(8, 8), (9, 10)])
def test_derivatives(shape):
    lattice = wavelet_lattice("db2")
    x = random(*shape).requires_grad_()

    def analyse(t):
        approximation, details = wavelet_analysis(t, lattice, n_levels=2)
        return approximation, *details

    def round_trip(t):
        approximation, details = undecimated_analysis(t, lattice, n_levels=1)
        return undecimated_synthesis(approximation, [d.sin() for d in details], lattice)

    assert torch.autograd.gradcheck(analyse, x)
    assert torch.autograd.gradcheck(round_trip, x)
    again = wavelet_analysis(x, lattice, n_levels=2)
    assert torch.autograd.gradcheck(
        lambda a, *d: wavelet_synthesis(a, d, lattice, shape=shape),
        [t.detach().requires_grad_() for t in (again[0], *again[1])],
    )


def test_too_many_levels_are_refused():
    with pytest.raises(ShapeError, match="fewer levels"):
        wavelet_analysis(random(32, 15), wavelet_lattice("haar"), n_levels=4)
