import numpy as np
import pytest
import torch
from monai.transforms import Compose

from mrirecon.errors import ConfigError
from mrirecon.linalg.fft import crop_or_pad, fft, ifft
from mrirecon.transforms import CentredFFTd, CentredIFFTd, LoadScand, Prewhitend, RemoveOversamplingd
from mrirecon.transforms.header import encoding_of, geometry_of, notes_of
from tests.transforms.scans import analytic, simulated


def loaded(scan):
    return LoadScand()({"scan": scan})


def test_whitened_noise_is_white():
    noisy, clean = simulated((4, 24, 24), snr=5), simulated((4, 24, 24), snr=1e8)
    item = Prewhitend()(loaded(noisy))
    noise = item["kspace"] - torch.einsum("oi,sicd->socd", item["whitening"], loaded(clean)["kspace"])
    flat = noise.movedim(1, 0).flatten(1).to(torch.complex128)
    covariance = flat @ flat.mH / flat.shape[1]
    assert (covariance - 2 * torch.eye(6)).abs().max() < 0.2  # unit variance per real component
    assert item["noise_sigma"] == 1.0
    assert "noise" not in item
    assert "noise scan" in notes_of(item["meta"])[-1]


def test_whitening_can_be_undone():
    before = loaded(simulated())
    transform = Prewhitend()
    after = transform.inverse(transform(before))
    torch.testing.assert_close(after["kspace"], before["kspace"], rtol=1e-4, atol=1e-3)
    assert after["kspace"].dtype == torch.complex64
    assert "noise_sigma" not in after
    assert "whitening" not in after


def test_noise_is_never_invented():
    item = loaded(simulated(noise_samples=0))
    with pytest.raises(ConfigError, match="no noise scan"):
        Prewhitend()(item)
    estimated = Prewhitend(noise="edges")(item)
    assert "estimated" in notes_of(estimated["meta"])[-1]
    assert torch.equal(Prewhitend(noise="auto")(item)["kspace"], estimated["kspace"])
    with pytest.raises(ConfigError, match="'edges'"):
        Prewhitend(noise="magic")


def test_oversampling_goes_from_data_encoding_and_geometry_alike():
    scan = simulated()
    before = loaded(scan)
    item = RemoveOversamplingd()(before)
    assert item["kspace"].shape == (3, 6, 32, 40)
    expected = crop_or_pad(ifft(before["kspace"], (-2, -1)), -1, 40)
    torch.testing.assert_close(ifft(item["kspace"], (-2, -1)), expected, rtol=1e-4, atol=0.05)
    assert encoding_of(item["meta"]) == scan.encoding.without_readout_oversampling()
    np.testing.assert_allclose(
        geometry_of(item["meta"]).position((1, 5, 7)), scan.geometry.position((1, 5, 7 + 20)), atol=1e-9
    )
    back = RemoveOversamplingd().inverse(item)
    assert encoding_of(back["meta"]) == scan.encoding
    np.testing.assert_allclose(geometry_of(back["meta"]).affine, scan.geometry.affine, atol=1e-9)
    inside = ifft(back["kspace"], (-2, -1))
    torch.testing.assert_close(crop_or_pad(inside, -1, 40), expected, rtol=1e-4, atol=0.05)
    assert inside[..., :20].abs().max() < 0.05


def test_the_readout_may_be_along_y():
    scan, _ = analytic(readout_axis="y")
    item = loaded(scan)
    wide = fft(crop_or_pad(ifft(item["kspace"], (-2,)), -2, 64), (-2,))
    encoding = encoding_of(item["meta"])
    meta = item["meta"]
    meta["encoding"]["encoded_matrix"] = torch.tensor([1, 64, 40])
    meta["encoding"]["encoded_fov_mm"] = torch.tensor([7.0, 256.0, 120.0], dtype=torch.float64)
    cropped = RemoveOversamplingd()({**item, "kspace": wide, "meta": meta})
    torch.testing.assert_close(cropped["kspace"], item["kspace"], rtol=1e-4, atol=1e-4)
    assert encoding_of(cropped["meta"]).encoded_matrix == encoding.encoded_matrix


def test_a_readout_mask_does_not_survive_the_crop():
    item = loaded(simulated())
    mask = torch.ones(1, 1, 1, 80, dtype=torch.bool)
    mask[..., :10] = False
    out = RemoveOversamplingd()({**item, "mask": mask})
    assert out["mask"].shape[-1] == 1
    assert bool(out["mask"].all())


@pytest.mark.parametrize("transform", [CentredFFTd("kspace"), CentredIFFTd("kspace")])
def test_fourier_transforms_keep_complex_values_and_have_an_inverse(transform):
    item = loaded(simulated())
    out = transform(item)
    assert out["kspace"].dtype == torch.complex64
    function = fft if isinstance(transform, CentredFFTd) else ifft
    assert torch.equal(out["kspace"], function(item["kspace"], (-2, -1)))
    torch.testing.assert_close(transform.inverse(out)["kspace"], item["kspace"], rtol=1e-4, atol=1e-3)


def test_monai_inverts_the_whole_chain():
    chain = Compose([LoadScand(), Prewhitend(), RemoveOversamplingd(), CentredIFFTd()])
    scan = simulated()
    item = chain({"scan": scan})
    back = chain.inverse(item)
    planes = crop_or_pad(ifft(loaded(scan)["kspace"], (-1,)), -1, 40)
    torch.testing.assert_close(crop_or_pad(ifft(back["kspace"], (-1,)), -1, 40), planes, rtol=1e-4, atol=0.5)
    assert encoding_of(back["meta"]) == scan.encoding
