import pytest
import torch

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import ifft
from mrirecon.transforms import (
    CombineCoilsd,
    LoadScand,
    Prewhitend,
    RemoveOversamplingd,
    SamplingMaskd,
    ScaleKSpaced,
    volume_scale,
)
from tests.transforms.scans import simulated


def prepared():
    return RemoveOversamplingd()(LoadScand()({"scan": simulated()}))


def zero_filled(item):
    return torch.linalg.vector_norm(ifft(item["kspace"], (-2, -1)), dim=1)


def test_the_percentile_becomes_one_from_acquired_data_only():
    full = prepared()
    undersample = SamplingMaskd(acceleration=4, centre_lines=8)
    item = ScaleKSpaced()(undersample(full))
    assert float(torch.quantile(zero_filled(item).flatten(), 0.99)) == pytest.approx(1.0, rel=1e-4)
    dropped = ~item["mask"].expand(full["kspace"].shape)
    other = {**full, "kspace": full["kspace"] + 1e4 * dropped}
    assert ScaleKSpaced()(undersample(other))["scale"] == item["scale"]
    assert ScaleKSpaced()(other)["scale"] != ScaleKSpaced()(full)["scale"]
    assert item["kspace"].dtype == torch.complex64


def test_one_scale_for_all_slices_and_the_noise_goes_with_it():
    item = Prewhitend()(prepared())
    scaled = ScaleKSpaced()(item)
    torch.testing.assert_close(scaled["kspace"] * scaled["scale"], item["kspace"], rtol=1e-5, atol=1e-5)
    assert scaled["noise_sigma"] == pytest.approx(1 / scaled["scale"])


def test_the_inverse_restores_kspace_images_and_noise():
    item = prepared()
    transform = ScaleKSpaced()
    scaled = CombineCoilsd("root-sum-of-squares")(transform(item))
    back = transform.inverse(scaled)
    torch.testing.assert_close(back["kspace"], item["kspace"], rtol=1e-5, atol=1e-3)
    torch.testing.assert_close(back["image"][:, 0], zero_filled(item), rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(back["noise"], item["noise"], rtol=1e-5, atol=1e-5)
    assert "scale" not in back


def test_a_slice_does_not_set_the_scale_of_its_volume():
    volume = prepared()
    scan = simulated()
    slice_ = RemoveOversamplingd()(LoadScand()({"scan": scan, "plane": 0}))
    with pytest.raises(ConfigError, match="one slice cannot"):
        ScaleKSpaced()(slice_)
    scale = volume_scale(volume["kspace"])
    scaled = ScaleKSpaced()({**slice_, "scale": scale})
    torch.testing.assert_close(scaled["kspace"], ScaleKSpaced()(volume)["kspace"][0], rtol=1e-4, atol=1e-5)
    with pytest.raises(ShapeError, match="zero almost everywhere"):
        volume_scale(torch.zeros(2, 3, 8, 8, dtype=torch.complex64))
