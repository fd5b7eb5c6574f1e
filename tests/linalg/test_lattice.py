import numpy as np
import pytest
import pywt
import torch

from mrirecon.errors import ConfigError
from mrirecon.linalg.lattice import wavelet_lattice

NAMES = ["haar", "db2", "db3", "db4", "db10", "sym4", "sym5", "sym8", "coif1", "coif3"]


@pytest.mark.parametrize("name", NAMES)
def test_rotations_reproduce_the_filters(name):
    wavelet = pywt.Wavelet(name)
    expected = np.array([wavelet.dec_lo[::-1], wavelet.dec_hi[::-1]])
    lattice = wavelet_lattice(name)
    assert lattice.n_stages == wavelet.dec_len // 2
    np.testing.assert_allclose(lattice.filters(), expected, atol=1e-11)
    np.testing.assert_allclose(np.hypot(lattice.cosines, lattice.sines), 1, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_analysis_is_the_filter_and_synthesis_its_adjoint(name):
    lattice = wavelet_lattice(name)
    reach = lattice.n_stages - 1
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, dtype=torch.float64, generator=generator)
    low, high = lattice.analyse(x[0::2], x[1::2], axis=-1)
    taps = lattice.filters()
    for band, filtered in zip((low, high), taps, strict=True):
        expected = np.correlate(x.numpy(), filtered, mode="valid")[::2]
        np.testing.assert_allclose(band.numpy(), expected, atol=1e-13)
    # Synthesis delivers the samples that all of its outputs reach: there, filter and adjoint filter are inverse.
    even, odd = lattice.synthesise(low, high, axis=-1)
    inside = slice(reach, 20 - reach)
    torch.testing.assert_close(even, x[0::2][inside], atol=1e-13, rtol=0)
    torch.testing.assert_close(odd, x[1::2][inside], atol=1e-13, rtol=0)


def test_inputs_are_left_alone():
    lattice = wavelet_lattice("db4")
    even, odd = torch.arange(9.0), torch.arange(9.0) ** 2
    kept = even.clone(), odd.clone()
    lattice.analyse(even, odd, axis=-1)
    lattice.synthesise(even, odd, axis=-1)
    assert torch.equal(even, kept[0])
    assert torch.equal(odd, kept[1])


@pytest.mark.parametrize("name", ["bior2.2", "dmey", "db20", "morl", "daubechies"])
def test_what_is_not_orthogonal_is_refused_with_a_remedy(name):
    with pytest.raises(ConfigError, match="db"):
        wavelet_lattice(name)
