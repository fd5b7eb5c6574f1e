import numpy as np
import pytest
import torch

from mrirecon.data.simulated_scan import simulate_scan
from mrirecon.errors import ShapeError
from mrirecon.linalg.fft import crop_or_pad, ifft
from mrirecon.scan import Geometry


def small(n=(3, 16, 20)):
    rng = np.random.default_rng(0)
    volume = np.zeros(n, dtype=np.float32)
    volume[:, 4:-4, 4:-4] = 100 + 20 * rng.standard_normal((n[0], n[1] - 8, n[2] - 8)).astype(np.float32)
    geometry = Geometry.placeholder(shape=n, voxel_size_mm=(5.0, 2.0, 1.5), slice_thickness_mm=4.0)
    return volume, geometry


@pytest.mark.parametrize("coils", ["loops", "birdcage"])
def test_the_image_comes_back_in_its_place(coils):
    volume, geometry = small()
    scan = simulate_scan(volume, geometry, source="a test", n_coils=6, snr=1e4, coils=coils)
    planes = torch.stack([scan.read(i) for i in range(3)])
    images = crop_or_pad(ifft(planes, (-2, -1)), -1, 20)
    combined = torch.linalg.vector_norm(images, dim=1).numpy()
    np.testing.assert_allclose(combined, volume, atol=0.2)
    cropped = scan.geometry.centred_crop(scan.grid_shape, (3, 16, 20))
    np.testing.assert_allclose(cropped.affine, geometry.affine, atol=1e-9)
    np.testing.assert_allclose(scan.encoding.voxel_size_mm[1:], geometry.voxel_size_mm[1:])
    assert scan.encoding.oversampling == 2
    assert np.abs(torch.angle(images[1, :, 8, 8]).numpy()).max() > 0.01


def test_noise_is_that_of_the_noise_scan_and_differs_between_slices():
    volume, geometry = small((2, 32, 32))
    scan = simulate_scan(volume, geometry, source="a test", n_coils=4, snr=10, noise_samples=20000)
    clean = simulate_scan(volume, geometry, source="a test", n_coils=4, snr=1e7, noise_samples=0)
    noise = torch.stack([scan.read(i) - clean.read(i) for i in range(2)])
    a, b = (x.flatten(1).to(torch.complex128) for x in (noise.movedim(1, 0), scan.noise))
    measured, expected = a @ a.mH / a.shape[1], b @ b.mH / b.shape[1]
    assert (measured - expected).abs().max() < 0.1 * expected.abs().max()
    per_component = float((expected.diagonal().real.mean() / 2).sqrt())
    assert per_component == pytest.approx(np.percentile(volume[volume > 0], 99) / 10, rel=0.02)
    assert (noise[0] - noise[1]).abs().max() > 1
    assert clean.noise is None
    assert torch.equal(scan.read(1), scan.read(1))
    assert "simulated coils, phase and noise from a test" in scan.notes[0]


def test_a_volume_without_signal_is_refused():
    _, geometry = small()
    with pytest.raises(ShapeError, match="with signal"):
        simulate_scan(np.zeros((3, 16, 20), np.float32), geometry, source="nothing")
