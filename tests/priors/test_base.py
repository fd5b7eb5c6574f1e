import pytest
import torch

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.priors.base import Denoiser, ProximalPrior, check_image, per_item
from mrirecon.priors.haar_total_variation import HaarTotalVariation
from mrirecon.priors.total_variation import TotalVariation
from mrirecon.priors.wavelet import UndecimatedWavelet, Wavelet

PRIORS = [
    HaarTotalVariation(0.3),
    HaarTotalVariation(0.3, coupling="anisotropic", n_applications=3),
    TotalVariation(0.3),
    Wavelet(0.3, "db2", 2),
    UndecimatedWavelet(0.3, "haar", 2),
]


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_map_denoiser_is_the_proximal_map_at_the_noise_variance(prior, dtype):
    x = torch.randn((2, 1, 12, 11), dtype=dtype, generator=torch.Generator().manual_seed(0))
    assert isinstance(prior, ProximalPrior)
    assert isinstance(prior, Denoiser)
    assert not prior.is_mmse
    estimate = prior(x, 0.7)
    assert estimate.shape == x.shape
    assert estimate.dtype == dtype
    torch.testing.assert_close(estimate, prior.prox(x, 0.49))
    assert prior.value(x).shape == (2,)
    assert prior.value(x).dtype == torch.float32
    assert (prior.value(estimate) < prior.value(x)).all()


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_zero_step_changes_nothing_and_zero_image_stays(prior, dtype):
    x = torch.randn((1, 12, 11), dtype=dtype, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(prior.prox(x, 0.0), x)
    torch.testing.assert_close(prior.prox(x[None], torch.zeros(1)), x[None])
    assert torch.equal(prior.prox(torch.zeros_like(x), 1.0), torch.zeros_like(x))


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_batch_items_and_channels_are_independent_and_have_their_own_step(prior):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((2, 3, 2, 12, 11), dtype=torch.complex64, generator=generator)
    steps = torch.tensor([[0.1, 1.0, 3.0], [0.0, 0.5, 2.0]])
    together = prior.prox(x, steps)
    assert together.shape == x.shape
    for index in [(0, 0), (0, 2), (1, 0), (1, 2)]:
        # Iterations stop for the whole batch at once, so single items agree to the tolerance only.
        alone = torch.stack([prior.prox(x[index][c : c + 1], float(steps[index]))[0] for c in range(2)])
        assert (together[index] - alone).norm() <= 2e-3 * x[index].norm()
    values = prior.value(x)
    assert values.shape == (2, 3)
    torch.testing.assert_close(values[1, 2], prior.value(x[1, 2, :1]) + prior.value(x[1, 2, 1:]))


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_phase_passes_through(prior):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((1, 12, 11), dtype=torch.complex64, generator=generator)
    phase = torch.polar(torch.tensor(1.0), torch.tensor(0.8))
    torch.testing.assert_close(prior.prox(phase * x, 0.7), phase * prior.prox(x, 0.7), atol=2e-3, rtol=0)
    real = x.real.contiguous()
    embedded = prior.prox(real.to(torch.complex64), 0.7)
    torch.testing.assert_close(embedded.real, prior.prox(real, 0.7), atol=1e-5, rtol=1e-5)
    assert embedded.imag.abs().max() < 1e-6


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_input_is_not_overwritten_and_lazy_conjugates_are_resolved(prior):
    x = torch.randn((1, 12, 11), dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    for image in (x, x.real.contiguous()):
        kept = image.clone()
        prior.prox(image, 0.7)
        prior.value(image)
        assert torch.equal(image, kept)
    torch.testing.assert_close(prior.prox(x.conj(), 0.7), prior.prox(x, 0.7).conj())


@pytest.mark.parametrize("prior", PRIORS, ids=lambda p: type(p).__name__)
def test_wrong_input_is_refused(prior):
    x = torch.randn(3, 1, 12, 11)
    with pytest.raises(ShapeError, match="channel"):
        prior.prox(x[0, 0], 1.0)
    with pytest.raises(ShapeError, match="channel"):
        prior.value(x[0, 0])
    with pytest.raises(ShapeError, match="floating"):
        prior.prox(x.int(), 1.0)
    with pytest.raises(ConfigError, match="step"):
        prior.prox(x, -1.0)
    with pytest.raises(ShapeError, match=r"batch axes \(3,\)"):
        prior.prox(x, torch.ones(2))
    with pytest.raises(ConfigError, match="weight"):
        type(prior)(-1.0)
    with pytest.raises(ConfigError, match="spatial_ndim"):
        type(prior)(1.0, spatial_ndim=0)


def test_number_per_item():
    x = torch.zeros(2, 3, 1, 4, 5, dtype=torch.complex128)
    assert per_item(2, x, item_ndim=3, name="sigma") == 2.0
    assert per_item(torch.ones(2, 3), x, item_ndim=3, name="sigma").shape == (2, 3, 1, 1, 1)
    assert per_item(torch.ones(3), x, item_ndim=3, name="sigma").dtype == torch.float64
    assert per_item(torch.tensor(1.0), x, item_ndim=3, name="sigma").shape == (1, 1, 1)
    with pytest.raises(ShapeError, match="sigma"):
        per_item(torch.ones(2), x, item_ndim=3, name="sigma")
    with pytest.raises(ConfigError, match="sigma"):
        per_item(float("nan"), x, item_ndim=3, name="sigma")
    check_image(x, spatial_ndim=2)
