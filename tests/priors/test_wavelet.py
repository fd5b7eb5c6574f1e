import numpy as np
import pytest
import pywt
import torch

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.priors.wavelet import UndecimatedWavelet, Wavelet, cycle_shift


def random(*shape, dtype=torch.complex128, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", ["haar", "db2", "db4"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_value_and_proximal_map_against_pywavelets(name, dtype):
    x, threshold = random(2, 1, 64, 128, dtype=dtype), 0.8
    prior = Wavelet(0.4, name, 3)
    result, values = prior.prox(x, 2.0), prior.value(x)
    for image, found, value in zip(x[:, 0].numpy(), result[:, 0].numpy(), values, strict=True):
        coefficients = pywt.wavedec2(image, name, mode="periodization", level=3)
        details = [band for level in coefficients[1:] for band in level]
        assert abs(0.4 * sum(np.abs(d).sum() for d in details) - value) < 1e-9
        shrunk = [coefficients[0]] + [
            tuple(pywt.threshold(band, threshold, "soft") for band in level) for level in coefficients[1:]
        ]
        np.testing.assert_allclose(found, pywt.waverec2(shrunk, name, mode="periodization"), atol=1e-11)


@pytest.mark.parametrize("shape", [(32, 32), (37, 51)])
@pytest.mark.parametrize("shift", [None, (3, 5), (-2, 40)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_proximal_map_is_optimal_and_splits_by_moreau(shape, shift, dtype):
    x, step = random(1, *shape, dtype=dtype), 0.5
    prior = Wavelet(0.6, "db3", 3)
    u = prior.prox(x, step, shift=shift)
    moved = [torch.roll(t, [-s for s in shift or (0, 0)], (-2, -1)) for t in (x, u, x - u)]
    # x - u is a subgradient of step * value at u: bounded by step * weight, and aligned with u.
    _, residual = prior._analyse(torch.view_as_real(moved[2]).movedim(-1, 0) if dtype.is_complex else moved[2][None])
    assert max(float(d.square().sum(1).max()) for d in residual) <= (step * 0.6) ** 2 * (1 + 1e-9)
    aligned = torch.vdot(u.flatten(), (x - u).flatten()).real
    torch.testing.assert_close(aligned, step * prior.value(moved[1]), rtol=1e-9, atol=1e-9)
    objective = 0.5 * (u - x).abs().square().sum() + step * prior.value(moved[1])
    for seed in range(5):
        change = 10.0 ** (-seed) * random(1, *shape, dtype=dtype, seed=seed + 1)
        rolled = torch.roll(u + change, [-s for s in shift or (0, 0)], (-2, -1))
        worse = 0.5 * (u + change - x).abs().square().sum() + step * prior.value(rolled)
        assert worse >= objective + 0.5 * change.abs().square().sum() - 1e-9


@pytest.mark.parametrize(("shape", "ndim"), [((1, 40), 1), ((1, 8, 12, 10), 3)])
def test_other_dimensions(shape, ndim):
    x = random(*shape)
    prior = Wavelet(1.0, "db2", 2, spatial_ndim=ndim)
    coefficients = pywt.wavedecn(x[0].numpy(), "db2", mode="periodization", level=1)
    one_level = Wavelet(1.0, "db2", 1, spatial_ndim=ndim)
    total = sum(np.abs(band).sum() for band in coefficients[1].values())
    assert abs(one_level.value(x) - total) < 1e-9
    u = prior.prox(x, 0.3)
    torch.testing.assert_close(torch.vdot(u.flatten(), (x - u).flatten()).real, 0.3 * prior.value(u))


@pytest.mark.parametrize("name", ["haar", "db2"])
def test_undecimated_is_the_average_over_all_shifts(name):
    x = random(2, 1, 8, 12)
    steps = torch.tensor([0.4, 1.5], dtype=torch.float64)
    plain, averaged = Wavelet(0.7, name, 2), UndecimatedWavelet(0.7, name, 2)
    shifts = [(a, b) for a in range(4) for b in range(4)]
    expected = torch.stack([plain.prox(x, steps, shift=s) for s in shifts]).mean(0)
    torch.testing.assert_close(averaged.prox(x, steps), expected, atol=1e-12, rtol=0)
    values = torch.stack([plain.value(torch.roll(x, s, (-2, -1))) for s in shifts]).mean(0)
    torch.testing.assert_close(averaged.value(x), values)


@pytest.mark.parametrize("shape", [(16, 16), (13, 18)])
def test_undecimated_is_firmly_non_expansive_and_commutes_with_shifts(shape):
    prior = UndecimatedWavelet(0.5, "db4", 2)
    for seed in range(10):
        v, w = random(1, *shape, seed=seed), random(1, *shape, seed=seed + 50)
        moved = prior.prox(v, 0.5) - prior.prox(w, 0.5)
        assert moved.abs().square().sum() <= torch.vdot(moved.flatten(), (v - w).flatten()).real * (1 + 1e-12)
    rolled = prior.prox(torch.roll(v, (3, 7), (-2, -1)), 0.5)
    torch.testing.assert_close(rolled, torch.roll(prior.prox(v, 0.5), (3, 7), (-2, -1)), atol=1e-12, rtol=0)


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_cycle_shifts_cover_every_shift_evenly(ndim):
    n_levels = 2
    shifts = [cycle_shift(k, n_levels=n_levels, spatial_ndim=ndim) for k in range(40 * 4**ndim)]
    assert shifts[0] == (0,) * ndim
    counts = {s: shifts.count(s) for s in set(shifts)}
    assert len(counts) == 4**ndim
    assert min(counts.values()) >= 20
    assert max(counts.values()) <= 60


@pytest.mark.parametrize("shape", [(8, 8), (9, 10)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("kind", [Wavelet, UndecimatedWavelet])
def test_derivatives(kind, dtype, shape):
    prior = kind(0.5, "db2", 2)
    x = random(1, *shape, dtype=dtype).requires_grad_()
    step = torch.tensor(0.6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(prior.prox, (x, step))
    assert torch.autograd.gradcheck(prior.value, x)


def test_single_precision_agrees_with_double():
    x = random(1, 64, 50)
    prior = Wavelet(0.3)
    single = prior.prox(x.to(torch.complex64), 1.0)
    assert single.dtype == torch.complex64
    torch.testing.assert_close(single.to(torch.complex128), prior.prox(x, 1.0), atol=5e-6, rtol=0)


def test_wrong_settings_are_refused():
    with pytest.raises(ConfigError, match="wavelet"):
        Wavelet(1.0, "bior2.2")
    with pytest.raises(ConfigError, match="n_levels"):
        UndecimatedWavelet(1.0, n_levels=0)
    with pytest.raises(ShapeError, match="fewer levels"):
        Wavelet(1.0).prox(random(1, 64, 15), 1.0)
    with pytest.raises(ShapeError, match="shift"):
        Wavelet(1.0).prox(random(1, 64, 64), 1.0, shift=(1,))
