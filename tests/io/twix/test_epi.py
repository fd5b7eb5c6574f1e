import numpy as np
import pytest
import torch
from twixtools.recon_helpers import calc_regrid_traj

from mrirecon.errors import ShapeError
from mrirecon.io.twix.epi import navigator_phase, ramp_trajectory, regridding_matrix, remove_phase, shift_correction
from mrirecon.linalg.fft import fft, ifft

LOBE = {"ramp_up_us": 160.0, "flat_top_us": 240.0, "ramp_down_us": 160.0, "delay_us": 32.0, "duration_us": 496.0}


@pytest.mark.parametrize("sinusoidal", [False, True])
def test_trajectory_against_twixtools(sinusoidal):
    n, base, fov = 160, 80, 200.0
    header = {
        "Meas": {
            "alRegridMode": [4 if sinusoidal else 2],
            "alRegridDestSamples": [n],
            "aflRegridADCDuration": [LOBE["duration_us"]],
            "alRegridDelaySamplesTime": [LOBE["delay_us"]],
            "alRegridRampupTime": [LOBE["ramp_up_us"]],
            "alRegridFlattopTime": [LOBE["flat_top_us"]],
            "alRegridRampdownTime": [LOBE["ramp_down_us"]],
        },
        "MeasYaps": {"sKSpace": {"lBaseResolution": base}, "sSliceArray": {"asSlice": [{"dReadoutFOV": fov}]}},
    }
    theirs = calc_regrid_traj(header, n) * 2 * fov
    ours = ramp_trajectory(n, sinusoidal=sinusoidal, **LOBE)
    assert np.abs(theirs - ours).max() < 0.05
    assert np.abs(ours + ours[::-1]).max() < 1e-9


def test_without_ramps_the_trajectory_is_uniform():
    k = ramp_trajectory(64, ramp_up_us=50.0, flat_top_us=320.0, ramp_down_us=50.0, delay_us=50.0, duration_us=320.0)
    assert np.allclose(k, np.arange(64) - 31.5)


def test_sampling_must_fit_the_gradient_lobe():
    with pytest.raises(ShapeError, match="do not fit"):
        ramp_trajectory(64, **{**LOBE, "duration_us": 600.0})


def object_samples(trajectory, n, width, seed=0):
    """Samples of a random object of `width` encoded voxels at arbitrary k-space positions, and on the uniform grid."""
    rng = np.random.default_rng(seed)
    pixels = np.arange(-(width // 2), width - width // 2)
    rho = rng.standard_normal(width) + 1j * rng.standard_normal(width)
    at = np.exp(-2j * np.pi * np.outer(trajectory, pixels) / n) @ rho
    uniform = np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, pixels) / n) @ rho
    return torch.from_numpy(at.astype(np.complex64)), torch.from_numpy(uniform.astype(np.complex64))


@pytest.mark.parametrize("sinusoidal", [False, True])
def test_regridding_is_exact_for_an_object_inside_the_field_of_view(sinusoidal):
    n = 160
    k = ramp_trajectory(n, sinusoidal=sinusoidal, **LOBE)
    measured, wanted = object_samples(k, n, width=80)
    found = regridding_matrix(k) @ measured
    assert float((found - wanted).norm() / wanted.norm()) < 1e-4
    assert float((measured - wanted).norm() / wanted.norm()) > 0.5


def test_regridding_does_not_amplify_noise():
    matrix = regridding_matrix(ramp_trajectory(160, **LOBE))
    assert float(torch.linalg.matrix_norm(matrix, 2)) < 1.3


def test_shift_correction_undoes_a_constant_frequency_shift():
    n, shift = 160, 12
    k = ramp_trajectory(n, **LOBE)
    step = k[n // 2] - k[n // 2 - 1]
    pixels = np.arange(-20, 20)
    # an object off centre by `shift` in the Siemens sign, demodulated with the flat-top frequency only
    rho = np.random.default_rng(0).standard_normal((40, 2)) @ [1, 1j]
    off_centre = np.exp(2j * np.pi * np.outer(k, pixels + shift) / n) @ rho
    centred = np.exp(2j * np.pi * np.outer(k, pixels) / n) @ rho
    stored = off_centre * np.exp(-2j * np.pi * shift * step * (np.arange(n) - (n - 1) / 2) / n)
    mended = torch.from_numpy(stored.astype(np.complex64)) * shift_correction(k, shift)
    centred = torch.from_numpy(centred.astype(np.complex64))
    assert float((mended - centred).norm() / centred.norm()) < 1e-4


def test_navigator_phase_recovers_constant_and_slope():
    g = torch.Generator().manual_seed(1)
    n, constant, slope = 96, 0.4, -0.11
    profile = torch.zeros(3, n, dtype=torch.complex64)
    profile[:, 20:80] = torch.randn(3, 60, dtype=torch.complex64, generator=g) + 2
    forward = fft(profile, (-1,))
    x = torch.arange(n) - n // 2
    reflected = fft(profile * torch.exp(1j * (constant + slope * x)), (-1,))
    found = navigator_phase(forward, reflected)
    assert found == pytest.approx((constant, slope), abs=1e-4)
    mended = remove_phase(reflected, *found)
    assert float((ifft(mended, (-1,)) - profile).abs().max()) < 1e-3
