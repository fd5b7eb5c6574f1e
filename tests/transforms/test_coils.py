import pytest
import torch

from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import ifft
from mrirecon.mri import sensitivities
from mrirecon.transforms import (
    CombineCoilsd,
    CompressCoilsd,
    EstimateSensitivitiesd,
    LoadScand,
    Prewhitend,
    RemoveOversamplingd,
    SamplingMaskd,
)
from mrirecon.transforms.header import notes_of
from tests.transforms.scans import simulated

KINDS = ["espirit", pytest.param("walsh", marks=pytest.mark.skipif(not hasattr(sensitivities, "walsh"), reason="none"))]


def prepared(**options):
    item = LoadScand()({"scan": simulated(**options)})
    return RemoveOversamplingd()(item)


def test_compression_keeps_the_energy_and_can_be_undone():
    before = prepared(snr=200.0, n_coils=8)
    transform = CompressCoilsd(n_coils=6)
    after = transform(before)
    assert after["kspace"].shape == (3, 6, 32, 40)
    assert after["noise"].shape[0] == 6
    kept = torch.linalg.vector_norm(after["kspace"]) ** 2 / torch.linalg.vector_norm(before["kspace"]) ** 2
    assert 0.99 < kept <= 1.0001
    assert f"8 coils were compressed to 6, {100 * float(kept):.2f} %" in notes_of(after["meta"])[-1]
    back = transform.inverse(after)
    error = torch.linalg.vector_norm(back["kspace"] - before["kspace"]) / torch.linalg.vector_norm(before["kspace"])
    assert float(error) ** 2 == pytest.approx(1 - float(kept), rel=0.02, abs=1e-6)


def test_one_matrix_serves_all_slices_of_a_volume():
    volume = CompressCoilsd(n_coils=3)(prepared())
    scan = simulated()
    slice_ = RemoveOversamplingd()(LoadScand()({"scan": scan, "plane": 2}))
    out = CompressCoilsd(n_coils=3)({**slice_, "compression": volume["compression"]})
    torch.testing.assert_close(out["kspace"], volume["kspace"][2], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_maps_explain_the_data(kind):
    item = Prewhitend()(prepared(snr=1000.0))
    item = CombineCoilsd()(EstimateSensitivitiesd(kind=kind, calibration=20)(item))
    assert item["maps"].shape == (3, 6, 32, 40)
    assert item["maps"].dtype == item["image"].dtype == torch.complex64
    images = ifft(item["kspace"], (-2, -1))
    explained = item["maps"] * item["image"]
    middle = (1, slice(None), slice(10, 22), slice(12, 28))
    error = torch.linalg.vector_norm((explained - images)[middle]) / torch.linalg.vector_norm(images[middle])
    assert error < 0.05


def test_maps_of_a_slice_and_several_sets():
    slice_ = RemoveOversamplingd()(LoadScand()({"scan": simulated(), "plane": 0}))
    one = EstimateSensitivitiesd(calibration=16)(slice_)
    two = CombineCoilsd()(EstimateSensitivitiesd(calibration=16, n_maps=2)(slice_))
    assert one["maps"].shape == (6, 32, 40)
    assert CombineCoilsd()(one)["image"].shape == (1, 32, 40)
    assert two["maps"].shape == (2, 6, 32, 40)
    assert two["image"].shape == (2, 32, 40)


def test_the_mask_bounds_the_calibration():
    item = SamplingMaskd(acceleration=4, centre_lines=12, seed=1)(prepared())
    EstimateSensitivitiesd(calibration=24)(item)  # twelve lines are used, not twenty-four
    starved = SamplingMaskd(acceleration=4, centre_lines=2, seed=1)(prepared())
    with pytest.raises(ConfigError, match="at least 8 x 8"):
        EstimateSensitivitiesd()(starved)


def test_root_sum_of_squares_and_wrong_options():
    item = prepared()
    image = CombineCoilsd("root-sum-of-squares")(item)["image"]
    expected = ifft(item["kspace"], (-2, -1)).abs().square().sum(1, keepdim=True).sqrt()
    torch.testing.assert_close(image, expected, rtol=1e-4, atol=1e-3)
    assert image.dtype == torch.float32
    with pytest.raises(ConfigError, match="needs maps"):
        CombineCoilsd()(item)
    for wrong in (
        lambda: CombineCoilsd("sum"),
        lambda: EstimateSensitivitiesd(kind="guess"),
        lambda: EstimateSensitivitiesd(kind="walsh", n_maps=2),
        lambda: CompressCoilsd(n_coils=0),
    ):
        with pytest.raises(ConfigError):
            wrong()
