import json

import pytest
import torch

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.fft import ifft
from mrirecon.reconstruction.linear import LeastSquares, MatchedFilter
from mrirecon.transforms import (
    CombineCoilsd,
    EstimateSensitivitiesd,
    LoadScand,
    Prewhitend,
    Reconstructd,
    RemoveOversamplingd,
    SamplingMaskd,
    ScaleKSpaced,
    measurement_model,
)
from tests.transforms.scans import simulated


def prepared(acceleration=2):
    item = RemoveOversamplingd()(Prewhitend()(LoadScand()({"scan": simulated(snr=200.0, n_coils=8)})))
    full = CombineCoilsd()(EstimateSensitivitiesd(calibration=20)(item))
    item = ScaleKSpaced()(SamplingMaskd(acceleration=acceleration, centre_lines=12)(full))
    return item, full["image"] / item["scale"]


def test_least_squares_beats_zero_filling_against_the_full_data():
    item, full = prepared()
    support = full.abs() > 0.1

    def error(reconstructor):
        image = Reconstructd(reconstructor)(item)["reconstruction"]
        return float(torch.linalg.vector_norm((image - full)[support]) / torch.linalg.vector_norm(full[support]))

    assert error(LeastSquares()) < 0.5 * error(MatchedFilter())
    assert error(LeastSquares()) < 0.1


def test_the_matched_filter_is_the_adjoint():
    item, _ = prepared()
    image = Reconstructd(MatchedFilter())(item)["reconstruction"]
    expected = (item["maps"].conj() * ifft(item["kspace"], (-2, -1))).sum(1, keepdim=True)
    torch.testing.assert_close(image, expected, rtol=1e-4, atol=1e-5)
    assert image.dtype == torch.complex64


def test_record_noise_level_and_single_slices():
    item, _ = prepared()
    out = Reconstructd(LeastSquares())(item)
    record = json.loads(out["reconstruction_record"])
    assert len(record["slices"]) == 3
    assert all(s["iterations"] > 0 and isinstance(s["converged"], bool) for s in record["slices"])
    assert "LeastSquares" in record["method"]
    assert float(measurement_model(item).noise.sigma) == pytest.approx(item["noise_sigma"])
    one = {**item, "kspace": item["kspace"][1], "maps": item["maps"][1], "mask": item["mask"][0]}
    image = Reconstructd(LeastSquares())(one)["reconstruction"]
    torch.testing.assert_close(image, out["reconstruction"][1], rtol=1e-4, atol=1e-4)


def test_mistakes_are_named():
    item, _ = prepared()
    with pytest.raises(ConfigError, match="must be a Reconstructor"):
        Reconstructd("sense")
    with pytest.raises(ShapeError, match="estimate the maps after"):
        measurement_model({**item, "maps": item["maps"][..., :10]})
    del item["maps"]
    with pytest.raises(ConfigError, match="needs maps"):
        measurement_model(item)
