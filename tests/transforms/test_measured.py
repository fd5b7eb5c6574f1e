"""The transforms on a measured brain scan, where the shared data are present."""

import os
from pathlib import Path

import pytest
import torch
from monai.transforms import Compose

from mrirecon.reconstruction.linear import LeastSquares, MatchedFilter
from mrirecon.transforms import (
    CombineCoilsd,
    CompressCoilsd,
    EstimateSensitivitiesd,
    LoadScand,
    Prewhitend,
    Reconstructd,
    RemoveOversamplingd,
    SamplingMaskd,
    ScaleKSpaced,
)

DATA = Path(os.environ.get("MRIRECON_DATA", Path(__file__).parents[3] / "shared" / "data"))
BRAIN = DATA / "kspace" / "pulseq_freiburg" / "2024-02-06-164128.dat"


def psnr(image, reference):
    error = (image.abs() - reference.abs()).square().mean()
    return float(10 * torch.log10(reference.abs().max() ** 2 / error))


@pytest.mark.data
@pytest.mark.skipif(not BRAIN.exists(), reason="the pulseq-freiburg brain is not below MRIRECON_DATA")
def test_sense_recovers_a_measured_brain():
    """Independent CG-SENSE code with low-resolution maps: 29.6 dB zero-filled, 36.3 dB reconstructed."""
    prepare = Compose([LoadScand(), RemoveOversamplingd(), Prewhitend(noise="edges"), CompressCoilsd(n_coils=8)])
    item = prepare({"scan": BRAIN})
    full = item["kspace"]
    undersample = Compose(
        [SamplingMaskd(acceleration=2, centre_lines=20), ScaleKSpaced(), EstimateSensitivitiesd(calibration=20)]
    )
    item = undersample(item)
    reference = CombineCoilsd()({**item, "kspace": full / item["scale"]})["image"]
    zero_filled = psnr(Reconstructd(MatchedFilter())(item)["reconstruction"], reference)
    sense = psnr(Reconstructd(LeastSquares())(item)["reconstruction"], reference)
    assert 27 < zero_filled < 32
    assert sense > 36
