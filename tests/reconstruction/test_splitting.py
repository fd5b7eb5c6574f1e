"""FISTA, ADMM and the primal-dual iteration: optimality, agreement with each other, and what they are for."""

import pytest
import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.linalg.cg import CGOptions
from mrirecon.linalg.gradient import gradient
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.priors.haar_total_variation import HaarTotalVariation
from mrirecon.priors.total_variation import TotalVariation, TotalVariationOptions
from mrirecon.priors.wavelet import Wavelet
from mrirecon.reconstruction.linear import LeastSquares
from mrirecon.reconstruction.primal_dual import PrimalDualTV
from mrirecon.reconstruction.splitting import ADMM, ProximalGradient, cycle_spinning, fixed
from tests.reconstruction.problems import line_mask, mri_problem

SHAPE = (12, 12)


def tv_objective(x: Tensor, y: Tensor, model: MeasurementModel, weight: float) -> float:
    """1/2 ||A x - y||^2 + weight TV(x), isotropic, written out."""
    misfit = (model.operator(x) - y).abs().square().sum() / 2
    differences = gradient(x, spatial_ndim=2)
    total = differences.abs().square().sum(dim=-3).sqrt().sum()
    return float(misfit + weight * total)


def test_wavelet_solution_satisfies_its_fixed_point() -> None:
    operator, model, _, y = mri_problem(line_mask(SHAPE), noise=0.02)
    prior = Wavelet(0.02, wavelet="haar", n_levels=2)
    result = ProximalGradient(fixed(prior), max_iterations=3000, tolerance=1e-12)(y, model)
    step = 1 / operator.norm_squared_bound()
    descent = result.image - step * (operator.normal(result.image) - operator.adjoint(y))
    torch.testing.assert_close(prior.prox(descent, step), result.image, atol=1e-9, rtol=0)


def test_acceleration_changes_the_speed_and_not_the_limit() -> None:
    _, model, _, y = mri_problem(line_mask(SHAPE), noise=0.02)
    prior = fixed(Wavelet(0.02, wavelet="haar", n_levels=2))
    slow = ProximalGradient(prior, max_iterations=6000, tolerance=1e-11, accelerated=False)(y, model)
    fast = ProximalGradient(prior, max_iterations=6000, tolerance=1e-11)(y, model)
    torch.testing.assert_close(fast.image, slow.image, atol=1e-6, rtol=0)
    assert fast.iterations < slow.iterations / 2


def test_admm_and_fista_agree() -> None:
    _, model, _, y = mri_problem(line_mask(SHAPE), noise=0.02)
    prior = Wavelet(0.02, wavelet="haar", n_levels=2)
    fista = ProximalGradient(fixed(prior), max_iterations=3000, tolerance=1e-12)(y, model)
    admm = ADMM(prior, rho=0.2, max_iterations=2000, tolerance=1e-10, cg=CGOptions(60, 1e-12))(y, model)
    torch.testing.assert_close(admm.image, fista.image, atol=1e-6, rtol=0)


def test_primal_dual_and_admm_find_the_same_total_variation_minimum() -> None:
    _, model, _, y = mri_problem(line_mask(SHAPE), noise=0.05)
    weight = 0.05
    dual = PrimalDualTV(weight, max_iterations=6000, tolerance=1e-11)(y, model)
    exact = TotalVariation(weight, options=TotalVariationOptions(max_iterations=300, tolerance=1e-7))
    admm = ADMM(exact, rho=0.3, max_iterations=150, tolerance=1e-8, cg=CGOptions(20, 1e-10))(y, model)
    first, second = (tv_objective(r.image, y, model, weight) for r in (dual, admm))
    assert abs(first - second) < 1e-5 * second
    torch.testing.assert_close(dual.image, admm.image, atol=2e-3, rtol=0)


def test_primal_dual_minimum_cannot_be_improved_by_small_steps() -> None:
    _, model, _, y = mri_problem(line_mask(SHAPE), noise=0.05)
    best = PrimalDualTV(0.05, max_iterations=6000, tolerance=1e-11)(y, model).image
    value = tv_objective(best, y, model, 0.05)
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):
        direction = model.operator.domain.randn(generator=generator)
        assert tv_objective(best + 1e-4 * direction, y, model, 0.05) > value


def test_closed_form_tv_stays_near_the_exact_one() -> None:
    _, model, _, y = mri_problem(line_mask(SHAPE), noise=0.05)
    exact = PrimalDualTV(0.02, isotropic=False, max_iterations=6000, tolerance=1e-11)(y, model).image
    prior = HaarTotalVariation(0.02, coupling="anisotropic")
    approximate = ProximalGradient(fixed(prior), max_iterations=3000, tolerance=1e-9)(y, model).image
    zero_filled = model.operator.adjoint(y)  # type: ignore[attr-defined]
    assert (approximate - exact).norm() < 0.35 * (zero_filled - exact).norm()


@pytest.mark.parametrize("kind", ["wavelet", "tv"])
def test_priors_beat_plain_least_squares_on_undersampled_noisy_data(kind: str) -> None:
    _, model, image, y = mri_problem(line_mask((32, 32), keep=0.3), noise=0.05, n_coils=4)
    linear = min(float((LeastSquares(rho)(y, model).image - image).norm()) for rho in (1e-3, 1e-2, 1e-1))
    if kind == "tv":
        result = PrimalDualTV(0.05, max_iterations=500)(y, model)
    else:
        prior = Wavelet(0.03, wavelet="haar", n_levels=3)
        result = ProximalGradient(cycle_spinning(prior), max_iterations=300)(y, model)
    assert float((result.image - image).norm()) < 0.8 * linear


def test_full_regularisation_and_none() -> None:
    _, model, image, y = mri_problem(torch.ones(SHAPE, dtype=torch.bool))
    untouched = PrimalDualTV(0.0, max_iterations=2000, tolerance=1e-12)(y, model)
    torch.testing.assert_close(untouched.image, image, atol=1e-8, rtol=0)
    with pytest.raises(ConfigError, match="not negative"):
        PrimalDualTV(-1.0)
    with pytest.raises(ConfigError, match="positive"):
        ADMM(Wavelet(0.1), rho=0.0)


def test_denoising_does_not_stop_before_the_dual_has_moved() -> None:
    _, model, image, _ = mri_problem(torch.ones(SHAPE, dtype=torch.bool), n_coils=1)
    generator = torch.Generator().manual_seed(5)
    noisy = model.operator(image) + 0.1 * model.operator.codomain.randn(generator=generator)
    zero_filled = model.operator.adjoint(noisy)  # type: ignore[attr-defined]
    denoised = PrimalDualTV(0.15, max_iterations=300, tolerance=1e-6)(noisy, model)
    assert denoised.iterations > 2
    assert float((denoised.image - image).norm()) < 0.7 * float((zero_filled - image).norm())
