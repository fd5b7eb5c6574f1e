"""Noise statistics, likelihoods, gradients and proximal steps of the measurement model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.space import Space
from mrirecon.operators import image
from mrirecon.operators.base import ForwardOperator
from mrirecon.operators.elementary import Fourier, Identity, sampling
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri
from mrirecon.operators.noise import GaussianNoise, Noiseless
from tests.operators.table import ROWS, Row

COMPLEX = Space(("channel", "y", "x"), (1, 8, 6), torch.complex128)
PHOTO = image.image_space(2, 8, 6, dtype=torch.float64)
SAMPLE = [row for row in ROWS if not row.has_batched_parameters]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Squares(ForwardOperator):
    """A nonlinear operator, A(x) = x^2."""

    domain = PHOTO
    codomain = PHOTO

    def forward(self, x: Tensor) -> Tensor:
        return x * x


def test_noise_has_its_sigma_per_real_component() -> None:
    large = Space(("channel", "y", "x"), (1, 200, 200), torch.complex64)
    y = GaussianNoise(0.3).sample(large.zeros(), large, rng())
    for component in (y.real, y.imag):
        assert float(component.std()) == pytest.approx(0.3, rel=0.02)
    assert float(y.abs().square().mean()) == pytest.approx(2 * 0.3**2, rel=0.03)
    assert y.dtype == torch.complex64


def test_noise_of_a_batch_is_independent_and_scaled_per_item() -> None:
    space = image.image_space(1, 100, 100)
    y = GaussianNoise(torch.tensor([0.1, 2.0])).sample(space.zeros(2), space, rng())
    torch.testing.assert_close(y.std(dim=(1, 2, 3)), torch.tensor([0.1, 2.0]), rtol=0.03, atol=0)
    correlation = torch.corrcoef(y.reshape(2, -1))[0, 1]
    assert abs(float(correlation)) < 0.05


def test_simulation_is_reproducible_and_leaves_gaps_empty() -> None:
    mask = torch.tensor([True, False, True, True, False, False])
    for A in (sampling(mask, COMPLEX) @ Fourier(COMPLEX), 2.0 * (sampling(mask, COMPLEX) @ Fourier(COMPLEX))):
        model = MeasurementModel(A, GaussianNoise(0.5))
        x = COMPLEX.randn(3, generator=rng(1))
        y = model.simulate(x, rng())
        assert torch.equal(y, model.simulate(x, rng()))
        assert not torch.equal(y, model.simulate(x, rng(1)))
        assert not y[..., ~mask].any()
        assert (y[..., mask] != A(x)[..., mask]).all()
    assert torch.equal(MeasurementModel(Identity(COMPLEX), Noiseless()).simulate(x, rng()), x)


def test_simulated_mri_data_are_zero_where_not_sampled() -> None:
    mask = torch.tensor([True, False, True, True, False, False])
    A = cartesian_mri(mask.expand(8, 6), COMPLEX.randn(4, generator=rng())[:, 0])
    y = MeasurementModel(A, GaussianNoise(1.0)).simulate(COMPLEX.randn(generator=rng(1)), rng(2))
    assert not y[..., ~mask].any()
    assert float((y - A(COMPLEX.randn(generator=rng(1))))[..., mask].real.std()) == pytest.approx(1.0, rel=0.2)


def test_nll_is_that_of_the_normal_distribution() -> None:
    model = MeasurementModel(
        image.block_average(PHOTO, 2), GaussianNoise(torch.tensor([0.2, 0.7], dtype=torch.float64))
    )
    x = PHOTO.randn(2, generator=rng())
    y = model.simulate(x, rng(1))
    for i, sigma in enumerate((0.2, 0.7)):
        density = torch.distributions.Normal(model.operator(x)[i], sigma)
        constant = density.log_prob(model.operator(x)[i]).sum()
        torch.testing.assert_close(model.nll(x, y)[i], constant - density.log_prob(y[i]).sum())
    torch.testing.assert_close(model.residual(x, y), model.operator(x) - y)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("noise", [GaussianNoise(0.4), Noiseless()], ids=["gaussian", "noiseless"])
def test_data_gradient_is_the_gradient_of_nll(row: Row, noise: GaussianNoise | Noiseless) -> None:
    model = MeasurementModel(row.build(), noise)
    batch = row.batches[0]
    x = model.operator.domain.randn(*batch, generator=rng()).requires_grad_(True)
    y = model.operator.codomain.randn(*batch, generator=rng(1))
    (expected,) = torch.autograd.grad(model.nll(x, y).sum(), x)
    torch.testing.assert_close(model.data_gradient(x.detach(), y), expected, rtol=1e-10, atol=1e-10)


def test_data_gradient_of_a_nonlinear_operator() -> None:
    model = MeasurementModel(Squares(), GaussianNoise(0.5))
    x, y = PHOTO.randn(generator=rng()), PHOTO.randn(generator=rng(1))
    torch.testing.assert_close(model.data_gradient(x, y), 2 * x * (x * x - y) / 0.25)


@pytest.mark.parametrize("row", SAMPLE, ids=lambda row: row.name)
def test_prox_minimises_its_objective(row: Row) -> None:
    """At the minimum the two gradients cancel; for weights per item too."""
    A = row.build()
    sigma = torch.tensor([0.3, 0.05], dtype=torch.float64)
    precision = torch.tensor([2.0, 30.0], dtype=torch.float64)
    model = MeasurementModel(A, GaussianNoise(sigma))
    z, y = A.domain.randn(2, generator=rng()), A.codomain.randn(2, generator=rng(1))
    x = model.prox(z, y, precision, cg=CGOptions(1000, 1e-13))
    balance = model.data_gradient(x, y) + precision.reshape(2, *(1,) * A.domain.ndim) * (x - z)
    assert float((A.domain.norm(balance) / A.domain.norm(model.data_gradient(z, y))).max()) < 1e-8


@pytest.mark.parametrize("row", SAMPLE, ids=lambda row: row.name)
def test_noiseless_prox_is_the_nearest_consistent_image(row: Row) -> None:
    A = row.build()
    model = MeasurementModel(A, Noiseless())
    z, y = A.domain.randn(generator=rng()), A(A.domain.randn(generator=rng(1)))
    x = model.prox(z, y, 1.0)
    torch.testing.assert_close(A(x), y, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(A.pseudo_inverse(A(x - z)), x - z, rtol=1e-4, atol=1e-4)  # no step in the null space


@pytest.mark.parametrize(
    "A",
    [
        image.bicubic_downsampling(image.image_space(1, 64, 64), 4),
        image.bicubic_downsampling(image.image_space(1, 64, 64), 4, boundary="circular"),
        image.block_average(image.image_space(1, 64, 64), 4),
        image.blur(image.image_space(1, 64, 64), torch.ones(1, 4) / 4),
    ],
    ids=["bicubic", "bicubic circular", "block average", "blur"],
)
def test_prox_in_single_precision_at_the_highest_noise_level(A: image.LinearOperator) -> None:
    """A diffusion model at sigma = 80 with data at sigma = 0.01 asks for rho = 1.6e-8, below single precision."""
    model = MeasurementModel(A, GaussianNoise(0.01))
    x = torch.rand(1, 64, 64, generator=rng())
    y = A(x)
    z = 80 * A.domain.randn(generator=rng(1))
    estimate = model.prox(z, y, 1 / 80**2)
    assert float(A.codomain.norm(A(estimate) - y) / A.codomain.norm(A(z) - y)) < 1e-5
    assert float(A.domain.norm(estimate) / A.domain.norm(z)) < 1.5


def test_prox_is_differentiable() -> None:
    model = MeasurementModel(image.gaussian_blur(PHOTO, 0.8, size=5), GaussianNoise(0.1))
    z, y = PHOTO.randn(generator=rng()).requires_grad_(True), PHOTO.randn(generator=rng(1)).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda z, y: model.prox(z, y, 2.0), (z, y))


def test_impossible_requests_raise() -> None:
    with pytest.raises(ConfigError, match="Noiseless"):
        GaussianNoise(0.0)
    model = MeasurementModel(Squares(), GaussianNoise(0.1))
    with pytest.raises(ConfigError, match="linear operator"):
        model.prox(PHOTO.zeros(), PHOTO.zeros(), 1.0)
    linear = MeasurementModel(image.block_average(PHOTO, 2), GaussianNoise(0.1))
    for method in (linear.nll, linear.residual, linear.data_gradient):
        with pytest.raises(ShapeError, match="`y` must have shape"):
            method(PHOTO.zeros(), PHOTO.zeros())
