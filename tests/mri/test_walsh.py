"""Walsh's maps against true ones and against the definition in dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import crop_or_pad, ifft
from mrirecon.mri import eigenmaps
from mrirecon.mri.coils import coil_gram, compression_matrix
from mrirecon.mri.sensitivities import espirit, walsh
from tests.benchmarks.phantom import Phantom, make_phantom


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom((96, 80), 8, noise=1e-3)


def correlation(a: Tensor, b: Tensor) -> Tensor:
    return (a.conj() * b).sum(dim=-3).abs()


@pytest.mark.parametrize("shape", [(96, 80), (81, 95)])
def test_maps_resemble_the_true_ones(shape: tuple[int, int]) -> None:
    p = make_phantom(shape, 8, noise=1e-3)
    maps = walsh(p.kspace)
    assert maps.shape == (8, *shape)
    assert maps.dtype == torch.complex64
    deviation = 1 - correlation(maps, p.maps)[p.support]
    assert float(deviation.mean()) < 1e-3
    assert float(deviation.quantile(0.99)) < 1e-2


def test_maps_are_exact_for_a_uniform_object() -> None:
    """Constant images have rank-one covariance everywhere, whatever the window."""
    weights = torch.tensor([1.0, 0.5j, -0.3 + 0.2j], dtype=torch.complex64)[:, None, None]
    kspace = torch.zeros(3, 40, 36, dtype=torch.complex64)
    kspace[:, 20, 18] = 5.0
    kspace += 1e-6
    maps = walsh(kspace * weights, calibration=(16, 16), window=5)
    expected = (weights / torch.linalg.vector_norm(weights)).expand_as(maps)
    torch.testing.assert_close(maps, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("window", [1, 3, 7, 9])
def test_agrees_with_dense_algebra_in_double_precision(window: int) -> None:
    p = make_phantom((40, 33), 4, noise=1e-3)
    block = p.kspace[:, 10:30, 8:24].to(torch.complex128)
    for axis, n in ((1, 20), (2, 16)):
        offset = torch.arange(n, dtype=torch.float64) - n // 2
        taper = 0.5 * (1 + torch.cos(2 * torch.pi * offset / (n + 1)))
        block = block * (taper[:, None] if axis == 1 else taper)
    images = ifft(crop_or_pad(crop_or_pad(block, -2, 40), -1, 33), (-2, -1)).numpy()
    maps = walsh(p.kspace, calibration=(20, 16), window=window, max_iterations=300)
    half = window // 2
    for y, x in [(0, 0), (20, 16), (5, 30), (39, 10), (12, 20), (28, 8)]:
        near = images[:, max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1].reshape(4, -1)
        exact = np.linalg.eigh(near @ near.conj().T)[1][:, -1]
        assert abs(np.vdot(exact, maps[:, y, x].numpy())) > 1 - 1e-4


def test_unit_norm_and_phase_of_the_first_virtual_coil(phantom: Phantom) -> None:
    maps = walsh(phantom.kspace)
    norm = torch.linalg.vector_norm(maps, dim=0)
    torch.testing.assert_close(norm, torch.ones_like(norm), atol=1e-5, rtol=0)
    weights = compression_matrix(coil_gram(phantom.kspace[:, 36:60, 28:52]), 1)
    virtual = torch.einsum("c,cyx->yx", weights[0], maps)
    assert float(virtual.imag.abs().max()) < 1e-5
    assert float(virtual.real.min()) > -1e-6


def test_agrees_with_espirit_in_phase(phantom: Phantom) -> None:
    difference = (walsh(phantom.kspace) - espirit(phantom.kspace).maps[0])[:, phantom.support]
    assert float(torch.linalg.vector_norm(difference, dim=0).median()) < 0.03


def test_threshold_leaves_air_out(phantom: Phantom) -> None:
    maps = walsh(phantom.kspace, threshold=0.05)
    kept = maps.abs().sum(0) > 0
    assert bool(kept[phantom.support].float().mean() > 0.99)
    assert 0.4 < float(kept.float().mean()) < 0.9
    assert torch.equal(maps[:, kept], walsh(phantom.kspace)[:, kept])


def test_batch_blocks_and_grid(phantom: Phantom, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = walsh(phantom.kspace, window=7)
    other = make_phantom((96, 80), 8, noise=1e-2, seed=1).kspace
    batch = walsh(torch.stack([phantom.kspace, other]), window=7)
    assert torch.equal(batch[0], whole)
    assert torch.equal(batch[1], walsh(other, window=7))
    block = phantom.kspace[:, 36:60, 28:52]
    assert torch.equal(walsh(block, calibration=None, shape=(96, 80), window=7), whole)
    monkeypatch.setattr(eigenmaps, "CPU_BLOCK_BYTES", 5 * 8 * 8 * 8 * 80)
    torch.testing.assert_close(walsh(phantom.kspace, window=7), whole, atol=1e-3, rtol=0)


def test_single_coil_is_one_everywhere() -> None:
    p = make_phantom((48, 40), 1, noise=1e-3)
    torch.testing.assert_close(walsh(p.kspace), torch.ones(1, 48, 40, dtype=torch.complex64), atol=1e-5, rtol=0)


def test_impossible_input(phantom: Phantom) -> None:
    with pytest.raises(ConfigError, match="odd"):
        walsh(phantom.kspace, window=4)
    with pytest.raises(ConfigError, match="threshold"):
        walsh(phantom.kspace, threshold=1.0)
    with pytest.raises(ConfigError, match="max_iterations"):
        walsh(phantom.kspace, max_iterations=0)
    with pytest.raises(ShapeError, match="calibration"):
        walsh(phantom.kspace, calibration=(97, 24))
    with pytest.raises(ShapeError, match="shape"):
        walsh(phantom.kspace, shape=(0, 4))
