"""Simulated acquisition against closed forms, sigpy and sample statistics."""

import math

import numpy as np
import pytest
import torch

from mrirecon.data.coil_maps import birdcage_maps, loop_field, loop_maps
from mrirecon.data.simulation import correlated_noise, random_noise_covariance, simulate_kspace, smooth_phase
from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import ifft


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_phase_has_the_statistics_it_promises():
    fields = torch.stack([smooth_phase((16, 20), generator=seeded(s), correlation_length=0.25) for s in range(400)])
    assert float(fields.mean()) == pytest.approx(0, abs=0.05)
    assert float(fields.std()) == pytest.approx(1.0, rel=0.05)
    apart = (fields[:, 8, 5] * fields[:, 8, 10]).mean() / fields.square().mean()  # 5 of 20 voxels: one length
    assert float(apart) == pytest.approx(math.exp(-0.5), abs=0.08)


def test_phase_does_not_depend_on_the_grid():
    coarse = smooth_phase((12, 16), generator=seeded(4))
    fine = smooth_phase((24, 32), generator=seeded(4))
    torch.testing.assert_close(fine[::2, ::2], coarse, atol=1e-4, rtol=0)


def test_birdcage_matches_sigpy_up_to_phase():
    sigpy_mri = pytest.importorskip("sigpy.mri")
    n_coils = 8
    ours = birdcage_maps((32, 40), n_coils)
    peer = torch.from_numpy(np.asarray(sigpy_mri.birdcage_maps((n_coils, 32, 40))))
    peer = peer / torch.linalg.vector_norm(peer, dim=0)
    # each of ours is one of sigpy's, whose circle starts elsewhere and turns the other way or not
    difference = (ours.abs()[:, None] - peer.abs()[None]).abs().amax(dim=(-2, -1))
    assert difference.min(dim=1).values.max() < 1e-4
    assert len(set(difference.argmin(dim=1).tolist())) == n_coils


def test_loop_field_on_its_axis_is_the_textbook_one():
    z = torch.linspace(-2, 2, 9, dtype=torch.float64)
    normal = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    centre = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    field = loop_field(centre + z[:, None] * normal, centre=centre, normal=normal, radius=0.7)
    expected = 2 * math.pi * 0.7**2 / (0.7**2 + z**2) ** 1.5
    torch.testing.assert_close(field, expected[:, None] * normal, atol=1e-12, rtol=1e-9)


def test_loop_field_far_away_is_a_dipole():
    m = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64) * math.pi * 0.01**2
    r = torch.tensor([0.8, -0.5, 0.6], dtype=torch.float64)
    n = r / r.norm()
    dipole = (3 * n * (m @ n) - m) / r.norm() ** 3
    field = loop_field(r[None], centre=torch.zeros(3, dtype=torch.float64), normal=m / m.norm(), radius=0.01)[0]
    torch.testing.assert_close(field, dipole, rtol=1e-3, atol=0)


@pytest.mark.parametrize("shape", [(24, 30), (6, 16, 20)])
@pytest.mark.parametrize("family", ["birdcage", "loops"])
def test_maps_have_unit_norm_are_smooth_and_differ(family, shape):
    maps = birdcage_maps(shape, 12) if family == "birdcage" else loop_maps(shape, 12, generator=seeded())
    assert maps.shape == (12, *shape)
    assert maps.dtype == torch.complex64
    torch.testing.assert_close(torch.linalg.vector_norm(maps, dim=0), torch.ones(shape), atol=1e-5, rtol=0)
    steps = (maps[..., 1:] - maps[..., :-1]).abs()
    assert steps.max() < 0.4
    gram = maps.flatten(1) @ maps.flatten(1).mH
    values = torch.linalg.eigvalsh(gram)
    assert values[-4] > 0.01 * values[-1]


def test_loops_are_repeatable_and_random():
    a, b, c = (loop_maps((12, 12), 4, generator=seeded(s)) for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert (a - c).abs().max() > 0.01


def test_noise_has_the_covariance_asked_for():
    covariance = random_noise_covariance(6, sigma=0.3, generator=seeded(5))
    assert float(covariance.diagonal().real.mean()) == pytest.approx(2 * 0.3**2)
    assert float(torch.linalg.eigvalsh(covariance).min()) > 0
    noise = correlated_noise(covariance, (40000,), generator=seeded(6)).to(torch.complex128)
    sample = noise @ noise.mH / 40000
    assert (sample - covariance).abs().max() < 0.02 * covariance.abs().max()
    pseudo = noise @ noise.mT / 40000  # circular: E[n n^T] = 0
    assert pseudo.abs().max() < 0.02 * covariance.abs().max()
    off = covariance / torch.outer(covariance.diagonal().real.sqrt(), covariance.diagonal().real.sqrt())
    assert (off - torch.diag(off.diagonal())).abs().max() > 0.05


def test_kspace_is_the_transform_of_the_coil_images_plus_noise():
    maps = loop_maps((16, 20), 4, generator=seeded())
    image = torch.randn(3, 1, 16, 20, generator=seeded(1), dtype=torch.complex64)
    clean = simulate_kspace(image, maps)
    torch.testing.assert_close(ifft(clean, (-2, -1)), maps * image, atol=1e-5, rtol=0)
    covariance = random_noise_covariance(4, sigma=0.1, generator=seeded(2))
    mask = torch.zeros(16, 1, dtype=torch.bool)
    mask[::2] = True
    noisy = simulate_kspace(image, maps, mask=mask, covariance=covariance, generator=seeded(3))
    assert noisy.shape == (3, 4, 16, 20)
    assert noisy[:, :, 1::2].abs().max() == 0
    noise = (noisy - clean)[:, :, ::2].movedim(1, 0).flatten(1).to(torch.complex128)
    sample = noise @ noise.mH / noise.shape[1]
    assert (sample - covariance).abs().max() < 0.25 * covariance.abs().max()
    again = simulate_kspace(image, maps, mask=mask, covariance=covariance, generator=seeded(3))
    assert torch.equal(noisy, again)


def test_kspace_in_three_dimensions():
    maps = birdcage_maps((6, 8, 10), 3)
    image = torch.rand(1, 6, 8, 10, generator=seeded())
    kspace = simulate_kspace(image, maps)
    assert kspace.shape == (3, 6, 8, 10)
    torch.testing.assert_close((ifft(kspace, (-3, -2, -1)) * maps.conj()).sum(0).real, image[0], atol=1e-5, rtol=0)


def test_contradictions_are_refused():
    maps = birdcage_maps((8, 8), 2)
    with pytest.raises(ShapeError, match="equal grids"):
        simulate_kspace(torch.ones(1, 8, 9), maps)
    with pytest.raises(ShapeError, match="one channel"):
        simulate_kspace(torch.ones(2, 8, 8), maps)
    with pytest.raises(ShapeError, match="generator"):
        simulate_kspace(torch.ones(1, 8, 8), maps, covariance=torch.eye(2))
    with pytest.raises(ShapeError, match="positive definite"):
        correlated_noise(-torch.eye(2), (5,), generator=seeded())
