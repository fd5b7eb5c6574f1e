import numpy as np
import pytest
import torch

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.linalg.space import Space
from mrirecon.priors.gaussian import GaussianPrior

SHAPE = (1, 3, 4)


def random(*shape, dtype, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def space_of(dtype):
    return Space(("channel", "y", "x"), SHAPE, dtype)


def covariance_of(dtype, rank=12):
    factor = random(12, rank, dtype=dtype, seed=3) / 2
    return factor @ factor.mH


each_dtype = pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])


@each_dtype
@pytest.mark.parametrize("rank", [12, 5])
def test_denoiser_by_the_direct_formula(dtype, rank):
    mean, covariance = random(*SHAPE, dtype=dtype), covariance_of(dtype, rank)
    prior = GaussianPrior.dense(mean, covariance, space=space_of(dtype))
    assert prior.is_mmse
    x = random(2, 3, *SHAPE, dtype=dtype, seed=1)
    sigma = torch.tensor([0.1, 1.0, 7.0], dtype=torch.float64)
    result = prior(x, sigma)
    for i, s in np.ndindex(2, 3):
        system = covariance.numpy() + float(sigma[s]) ** 2 * np.eye(12)
        gain = covariance.numpy() @ np.linalg.inv(system)
        expected = mean.numpy().ravel() + gain @ (x[i, s] - mean).numpy().ravel()
        np.testing.assert_allclose(result[i, s].numpy().ravel(), expected, atol=1e-12)


@each_dtype
def test_diagonal_is_dense_with_a_diagonal_matrix(dtype):
    mean, variance = random(*SHAPE, dtype=dtype), random(*SHAPE, dtype=torch.float64, seed=2).square()
    x = random(4, *SHAPE, dtype=dtype, seed=1)
    space = space_of(dtype)
    dense = GaussianPrior.dense(mean, torch.diag(variance.flatten()).to(dtype), space=space)
    diagonal = GaussianPrior.diagonal(mean, variance, space=space)
    torch.testing.assert_close(diagonal(x, 0.8), dense(x, 0.8))
    torch.testing.assert_close(diagonal.log_density(x, 0.8), dense.log_density(x, 0.8))


def test_stationary_is_dense_with_a_circulant_matrix():
    dtype = torch.complex128
    space = space_of(dtype)
    power = random(*SHAPE, dtype=torch.float64, seed=2).square()
    kernel = np.fft.ifft2(np.fft.ifftshift(power[0].numpy()))
    rows = [[kernel[(a - c) % 3, (b - d) % 4] for c in range(3) for d in range(4)] for a in range(3) for b in range(4)]
    mean, x = random(*SHAPE, dtype=dtype), random(4, *SHAPE, dtype=dtype, seed=1)
    dense = GaussianPrior.dense(mean, torch.tensor(np.array(rows)), space=space)
    stationary = GaussianPrior.stationary(mean, power, space=space)
    torch.testing.assert_close(stationary(x, 0.8), dense(x, 0.8))
    torch.testing.assert_close(stationary.log_density(x, 0.8), dense.log_density(x, 0.8))


@each_dtype
def test_log_density_against_torch_distributions(dtype):
    mean, covariance = random(*SHAPE, dtype=dtype), covariance_of(dtype)
    prior = GaussianPrior.dense(mean, covariance, space=space_of(dtype))
    x = random(5, *SHAPE, dtype=dtype, seed=1)
    marginal = covariance + 0.49 * torch.eye(12, dtype=dtype)
    if dtype.is_complex:  # the real vector (Re, Im): half of E zz^H = 2 C on each part
        marginal = torch.cat(
            [torch.cat([marginal.real, -marginal.imag], 1), torch.cat([marginal.imag, marginal.real], 1)]
        )
        stack = [torch.cat([t.real.flatten(-3), t.imag.flatten(-3)], -1) for t in (mean, x)]
    else:
        stack = [t.flatten(-3) for t in (mean, x)]
    expected = torch.distributions.MultivariateNormal(stack[0], marginal).log_prob(stack[1])
    torch.testing.assert_close(prior.log_density(x, 0.7), expected)


@each_dtype
def test_tweedie_relates_density_and_denoiser(dtype):
    prior = GaussianPrior.dense(random(*SHAPE, dtype=dtype), covariance_of(dtype), space=space_of(dtype))
    x = random(3, *SHAPE, dtype=dtype, seed=1).requires_grad_()
    sigma = torch.tensor([0.2, 1.0, 4.0], dtype=torch.float64)
    (score,) = torch.autograd.grad(prior.log_density(x, sigma).sum(), x)
    torch.testing.assert_close(score, (prior(x, sigma) - x) / sigma.reshape(3, 1, 1, 1).square())
    assert torch.autograd.gradcheck(prior, (x, sigma.requires_grad_()))


@each_dtype
def test_samples_have_mean_and_covariance_per_real_component(dtype):
    mean, covariance = random(*SHAPE, dtype=dtype), covariance_of(dtype, rank=4)
    prior = GaussianPrior.dense(mean, covariance, space=space_of(dtype))
    n = 40000
    samples = (prior.sample(n, generator=torch.Generator().manual_seed(7)) - mean).flatten(1)
    found = samples.mT @ samples.conj() / n / (2 if dtype.is_complex else 1)
    scale = float(covariance.diagonal().real.max())
    assert (found - covariance).abs().max() < 6 * scale / n**0.5
    assert samples.mean(0).abs().max() < 6 * (2 * scale / n) ** 0.5
    if dtype.is_complex:
        assert (samples.mT @ samples / n).abs().max() < 12 * scale / n**0.5, "circular"


def test_is_the_best_estimate_on_its_own_samples():
    dtype = torch.complex128
    prior = GaussianPrior.dense(random(*SHAPE, dtype=dtype), covariance_of(dtype), space=space_of(dtype))
    generator = torch.Generator().manual_seed(1)
    clean = prior.sample(20000, generator=generator)
    noisy = clean + 0.9 * space_of(dtype).randn(20000, generator=generator)
    estimate = prior(noisy, 0.9)
    error = (estimate - clean).abs().square().sum(dim=(1, 2, 3)).mean()
    eigenvalues = torch.linalg.eigvalsh(covariance_of(dtype))
    torch.testing.assert_close(error, 2 * (0.81 * eigenvalues / (eigenvalues + 0.81)).sum(), rtol=0.03, atol=0)


def test_limits_of_the_noise_level():
    prior = GaussianPrior.diagonal(
        torch.ones(SHAPE), torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(SHAPE), space=space_of(torch.float32)
    )
    x = random(*SHAPE, dtype=torch.float32)
    sharp = prior(x, 0.0)
    torch.testing.assert_close(sharp[..., 1:], x[..., 1:])
    assert torch.equal(sharp[..., 0], torch.ones(1, 3)), "a pixel without variance is known"
    torch.testing.assert_close(prior(x, 1e6), torch.ones(SHAPE))


def test_wrong_input_is_refused():
    space = space_of(torch.float64)
    mean = torch.zeros(SHAPE, dtype=torch.float64)
    with pytest.raises(ShapeError, match="mean"):
        GaussianPrior.diagonal(torch.zeros(3, 4), torch.ones(SHAPE), space=space)
    with pytest.raises(ShapeError, match="batch axes"):
        GaussianPrior.diagonal(mean[None], torch.ones(SHAPE), space=space)
    with pytest.raises(ShapeError, match="variance"):
        GaussianPrior.diagonal(mean, torch.ones(3), space=space)
    with pytest.raises(ShapeError, match="negative"):
        GaussianPrior.diagonal(mean, -torch.ones(SHAPE), space=space)
    with pytest.raises(ShapeError, match="covariance"):
        GaussianPrior.dense(mean, torch.eye(4), space=space)
    with pytest.raises(ShapeError, match="Hermitian"):
        GaussianPrior.dense(mean, torch.ones(12, 12).triu().double(), space=space)
    with pytest.raises(ShapeError, match="semi-definite"):
        GaussianPrior.dense(mean, -torch.eye(12).double(), space=space)
    prior = GaussianPrior.dense(mean, torch.eye(12).double(), space=space)
    with pytest.raises(ShapeError, match="x"):
        prior(torch.zeros(3, 4), 1.0)
    with pytest.raises(ConfigError, match="sigma"):
        prior(mean, -1.0)
