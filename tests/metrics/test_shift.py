"""The identities against closed forms: Gaussians, mixtures by quadrature, masks, noisy data, single images."""

import math

import pytest
import torch
from scipy import integrate

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.space import Space
from mrirecon.metrics.shift import (
    ZeroFilled,
    geometric_levels,
    log_ratio_curve,
    measured_shift_curve,
    shift_curve,
)
from mrirecon.operators.elementary import Fourier
from mrirecon.priors.base import Denoiser
from mrirecon.priors.gaussian import GaussianPrior

LEVELS = geometric_levels(1e-2, 1e2, 25)
COMPLEX = Space(("channel", "y", "x"), (1, 8, 6), torch.complex128)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def gaussian_divergence(m0, v0, m1, v1):
    """KL( N(m0, v0) || N(m1, v1) ) of independent real components."""
    return float((0.5 * (v0 / v1 + (m1 - m0) ** 2 / v1 - 1 + (v1 / v0).log())).sum())


def matrix_divergence(m0, c0, m1, c1):
    """The same with covariance matrices."""
    inverse = torch.linalg.inv(c1)
    d = m1 - m0
    logs = torch.linalg.slogdet(c1)[1] - torch.linalg.slogdet(c0)[1]
    return float(0.5 * (torch.trace(inverse @ c0) + d @ inverse @ d - len(d) + logs))


def stationary_pair():
    """Two complex Gaussian image priors: other spectrum, other mean."""
    g = seeded(1)
    powers = [torch.exp(torch.randn(COMPLEX.shape, generator=g, dtype=torch.float64)) for _ in range(2)]
    means = [COMPLEX.randn(generator=g) * 0.3 for _ in range(2)]
    priors = [GaussianPrior.stationary(m, v, space=COMPLEX) for m, v in zip(means, powers, strict=True)]
    basis = priors[0].basis
    coefficients = [torch.view_as_real(basis.forward(m)) for m in means]
    variances = [v.unsqueeze(-1).expand(*v.shape, 2) for v in powers]
    return priors, gaussian_divergence(coefficients[0], variances[0], coefficients[1], variances[1])


def test_the_divergence_of_gaussian_images_is_the_closed_form_to_one_percent():
    (p, q), expected = stationary_pair()
    for a, b, closed in ((p, q, expected), (p, p, 0.0)):
        curve = shift_curve(a, b, a.sample(2000, generator=seeded(2)), sigmas=LEVELS, generator=seeded(3))
        assert float(curve.divergence) == pytest.approx(closed, rel=0.01, abs=1e-12)
    assert expected > 20
    assert bool((curve.cumulative.diff() >= 0).all())


def test_the_whole_axis_and_no_less_is_integrated():
    """Tails below and above the levels are in the divergence: a narrow range of levels still gives it to 1 %."""
    (p, q), expected = stationary_pair()
    curve = shift_curve(
        p, q, p.sample(2000, generator=seeded(2)), sigmas=geometric_levels(0.02, 30, 25), generator=seeded(3)
    )
    assert float(curve.divergence) == pytest.approx(expected, rel=0.01)
    assert float(curve.cumulative[-1]) < float(curve.divergence)
    half = shift_curve(
        p, q, p.sample(200, generator=seeded(2)), sigmas=geometric_levels(1.0, 30, 25), generator=seeded(3)
    )
    assert float(half.divergence) < 0.95 * expected


def test_data_with_noise_give_the_divergence_of_the_noisy_distributions():
    (p, q), clean = stationary_pair()
    noise = 0.7
    noisy = p.sample(2000, generator=seeded(2)) + noise * COMPLEX.randn(2000, generator=seeded(4))
    curve = shift_curve(p, q, noisy, sigmas=geometric_levels(noise, 1e2, 25), generator=seeded(3), noise_sigma=noise)
    coefficients = [torch.view_as_real(prior.basis.forward(prior.mean)) for prior in (p, q)]
    variances = [(v + noise**2).unsqueeze(-1).expand(*v.shape, 2) for v in (p.variance, q.variance)]
    expected = gaussian_divergence(coefficients[0], variances[0], coefficients[1], variances[1])
    assert float(curve.divergence) == pytest.approx(expected, rel=0.01)
    assert expected < 0.7 * clean


@pytest.mark.parametrize(("exponent", "rates"), [(-0.5, (0.3, 0.9)), (-0.5, (0.5, 0.5)), (-1.5, (0.5, 0.5))])
def test_randomly_measured_coefficients_give_the_divergence_of_the_whole(exponent, rates):
    """Bernoulli masks of k-space of different density: W = E[P]^(-1/2) is exact, -3/2 gives E[P]^-2 as much."""
    (p, q), expected = stationary_pair()
    fourier = Fourier(COMPLEX, ("y", "x"))
    n = 6000
    rate = torch.linspace(*rates, COMPLEX.size, dtype=torch.float64).reshape(COMPLEX.shape)
    mask = torch.rand(n, *COMPLEX.shape, generator=seeded(5), dtype=torch.float64) < rate
    measured = mask * fourier.forward(p.sample(n, generator=seeded(2)))
    curve = measured_shift_curve(
        ZeroFilled(p, fourier),
        ZeroFilled(q, fourier),
        measured,
        mask,
        sigmas=LEVELS,
        generator=seeded(3),
        exponent=exponent,
    )
    factor = 1.0 if exponent == -0.5 else rates[0] ** -2
    assert float(curve.divergence) == pytest.approx(factor * expected, rel=0.01)


def marginal_denoiser(mean, covariance, kept):
    """E[P x | P x_s] of a correlated Gaussian for one fixed mask."""
    space = Space(("x",), (int(kept.sum()),), torch.float64)
    prior = GaussianPrior.dense(mean[kept], covariance[kept][:, kept], space=space)

    def denoise(coefficients, sigma, mask):
        out = torch.zeros_like(coefficients)
        out[:, kept] = prior(coefficients[:, kept], sigma)
        return out

    return denoise


def test_one_fixed_mask_gives_the_divergence_of_the_marginals_of_correlated_gaussians():
    g, n = seeded(6), 7
    factors = [torch.randn(n, n, generator=g, dtype=torch.float64) for _ in range(2)]
    covariances = [f @ f.mT + 0.2 * torch.eye(n, dtype=torch.float64) for f in factors]
    means = [torch.randn(n, generator=g, dtype=torch.float64) for _ in range(2)]
    kept = torch.tensor([True, False, True, True, False, True, False])
    p, q = (marginal_denoiser(m, c, kept) for m, c in zip(means, covariances, strict=True))
    root = torch.linalg.cholesky(covariances[0])
    x = means[0] + torch.randn(20000, n, generator=g, dtype=torch.float64) @ root.mT
    curve = measured_shift_curve(p, q, x * kept, kept, sigmas=LEVELS, generator=seeded(7), exponent=0.0)
    (m0, c0), (m1, c1) = ((m[kept], c[kept][:, kept]) for m, c in zip(means, covariances, strict=True))
    assert float(curve.divergence) == pytest.approx(matrix_divergence(m0, c0, m1, c1), rel=0.01)


class Mixtures(Denoiser):
    """Independent coordinates, each a mixture of two normal distributions."""

    is_mmse = True

    def __init__(self, means, deviations, weights):
        self.means, self.deviations, self.weights = (
            torch.tensor(v, dtype=torch.float64) for v in (means, deviations, weights)
        )

    def __call__(self, x, sigma):
        variance = self.deviations**2 + sigma**2
        gap = x.unsqueeze(-1) - self.means
        logs = self.weights.log() - 0.5 * (gap**2 / variance + variance.log())
        share = torch.softmax(logs, dim=-1)
        return (share * (self.means + self.deviations**2 / variance * gap)).sum(dim=-1)

    def density(self, x):
        parts = zip(self.weights, self.means, self.deviations, strict=True)
        return sum(float(w) * math.exp(-0.5 * ((x - float(m)) / float(s)) ** 2) / float(s) for w, m, s in parts)

    def sample(self, *shape, generator):
        which = (torch.rand(shape, generator=generator, dtype=torch.float64) > self.weights[0]).long()
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        return self.means[which] + self.deviations[which] * noise


def test_mixtures_agree_with_quadrature_whole_and_measured():
    p, q = Mixtures((-1.0, 1.5), (0.4, 0.6), (0.5, 0.5)), Mixtures((-1.2, 1.0), (0.6, 0.5), (0.3, 0.7))
    n = 3
    single = integrate.quad(lambda x: p.density(x) * math.log(p.density(x) / q.density(x)), -8, 8)[0]
    expected = n * single / math.sqrt(2 * math.pi)
    x = p.sample(30000, n, generator=seeded(8))
    levels = LEVELS
    whole = shift_curve(p, q, x, sigmas=levels, generator=seeded(9))
    assert float(whole.divergence) == pytest.approx(expected, rel=0.01)
    mask = torch.rand(30000, n, generator=seeded(10)) < 0.6

    def on_measured(denoiser):
        return lambda c, sigma, kept: kept * denoiser(c, sigma)

    measured = measured_shift_curve(on_measured(p), on_measured(q), mask * x, mask, sigmas=levels, generator=seeded(9))
    assert float(measured.divergence) == pytest.approx(expected, rel=0.01)


def test_one_image_gives_the_ratio_of_the_densities():
    (p, q), divergence = stationary_pair()
    x = p.sample(6, generator=seeded(2))
    levels = geometric_levels(1e-2, 1e3, 41)
    curve = log_ratio_curve(q, p, x, sigmas=levels, generator=seeded(3), draws=20)
    expected = p.log_density(x, 0.0) - q.log_density(x, 0.0)
    assert torch.allclose(curve.divergence, expected, rtol=0, atol=0.06 * divergence)
    many = p.sample(1500, generator=seeded(12))
    mean = log_ratio_curve(q, p, many, sigmas=levels, generator=seeded(3)).divergence.mean()
    assert float(mean) == pytest.approx(divergence, rel=0.02)


def test_what_cannot_be_integrated_is_refused():
    (p, q), _ = stationary_pair()
    x = p.sample(2, generator=seeded(2))
    for sigmas, noise in ((torch.tensor([2.0, 1.0]), 0.0), (torch.tensor([1.0]), 0.0), (torch.tensor([1.0, 2.0]), 1.5)):
        with pytest.raises(ConfigError):
            shift_curve(p, q, x, sigmas=sigmas, generator=seeded(3), noise_sigma=noise)
    never = torch.zeros(COMPLEX.shape, dtype=torch.bool)
    zero = ZeroFilled(p, p.basis)
    with pytest.raises(ShapeError, match="48 of 48 are not"):
        measured_shift_curve(zero, zero, x, never, sigmas=LEVELS, generator=seeded(3))
    with pytest.raises(ConfigError, match="lowest < highest"):
        geometric_levels(1.0, 0.5, 10)
