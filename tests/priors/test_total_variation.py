import numpy as np
import pytest
import torch

from mrirecon.errors import ConfigError, ConvergenceError, ShapeError
from mrirecon.priors.total_variation import TotalVariation, TotalVariationOptions, total_variation

TIGHT = TotalVariationOptions(max_iterations=20000, tolerance=1e-7)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def steps(*shape, dtype=torch.float64):
    image = random(*shape, dtype=dtype) * 0.1
    image[..., shape[-2] // 3 :, : shape[-1] // 2] += 1
    return image


@pytest.mark.parametrize("coupling", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("boundary", ["circular", "replicate"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_value_by_definition(coupling, boundary, dtype):
    x = random(2, 3, 5, 6, dtype=dtype)
    array = x.numpy()
    mode = "wrap" if boundary == "circular" else "edge"
    dy = np.diff(np.pad(array, ((0, 0), (0, 0), (0, 1), (0, 0)), mode=mode), axis=2)
    dx = np.diff(np.pad(array, ((0, 0), (0, 0), (0, 0), (0, 1)), mode=mode), axis=3)
    pixel = np.sqrt(abs(dy) ** 2 + abs(dx) ** 2) if coupling == "isotropic" else abs(dy) + abs(dx)
    prior = TotalVariation(0.7, coupling=coupling, boundary=boundary)
    np.testing.assert_allclose(prior.value(x).numpy(), 0.7 * pixel.sum(axis=(1, 2, 3)), rtol=1e-12)


@pytest.mark.parametrize("lam", [0.05, 0.5, 5.0])
def test_proximal_map_in_one_dimension_against_bounded_least_squares(lam):
    optimize = pytest.importorskip("scipy.optimize")
    x = random(1, 30)
    differences = np.diff(np.eye(30), axis=0)
    dual = optimize.lsq_linear(differences.T, x[0].numpy(), (-lam, lam), method="bvls", tol=1e-14).x
    expected = x[0].numpy() - differences.T @ dual
    result = TotalVariation(lam, spatial_ndim=1, options=TIGHT).solve(x, 1.0)
    assert result.converged
    np.testing.assert_allclose(result.solution[0].numpy(), expected, atol=2e-6)


@pytest.mark.parametrize("boundary", ["circular", "replicate"])
def test_anisotropic_map_in_two_dimensions_against_bounded_least_squares(boundary):
    optimize = pytest.importorskip("scipy.optimize")
    ny, nx, lam = 7, 6, 0.3
    x = random(1, ny, nx)

    def matrix(n):
        full = np.roll(np.eye(n), 1, axis=1) - np.eye(n)
        return full if boundary == "circular" else full[:-1]

    operator = np.concatenate([np.kron(matrix(ny), np.eye(nx)), np.kron(np.eye(ny), matrix(nx))])
    solved = optimize.lsq_linear(operator.T, x.numpy().ravel(), (-lam, lam), tol=1e-14, max_iter=500)
    expected = x.numpy().ravel() - operator.T @ solved.x
    prior = TotalVariation(lam, coupling="anisotropic", boundary=boundary, options=TIGHT)
    np.testing.assert_allclose(prior.prox(x, 1.0).numpy().ravel(), expected, atol=5e-6)


@pytest.mark.parametrize("lam", [0.02, 0.2])
def test_isotropic_map_against_scikit_image(lam):
    restoration = pytest.importorskip("skimage.restoration")
    x = steps(1, 24, 20)
    expected = restoration.denoise_tv_chambolle(x[0].numpy(), weight=lam, eps=1e-14, max_num_iter=20000)
    result = TotalVariation(1.0, options=TIGHT).prox(x, lam)[0]
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-3)
    assert (result - x[0]).norm() > 50 * np.linalg.norm(result.numpy() - expected)


@pytest.mark.parametrize("coupling", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("boundary", ["circular", "replicate"])
@pytest.mark.parametrize(("shape", "ndim"), [((1, 20), 1), ((1, 9, 8), 2), ((1, 5, 4, 6), 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_solution_and_multiplier_satisfy_the_optimality_conditions(coupling, boundary, shape, ndim, dtype):
    x, lam = random(*shape, dtype=dtype), 0.2
    prior = TotalVariation(lam, spatial_ndim=ndim, coupling=coupling, boundary=boundary, options=TIGHT)
    result = prior.solve(x, 1.0)
    u, p = result.solution, result.dual
    assert result.converged
    assert p.shape == (1, ndim, *shape[1:])
    torch.testing.assert_close(u, x - prior.analysis_adjoint(p), atol=1e-13, rtol=0)
    sizes = torch.linalg.vector_norm(p, dim=1) if coupling == "isotropic" else p.abs()
    assert sizes.max() <= lam * (1 + 1e-12)
    aligned = torch.vdot(p.flatten(), prior.analysis(u).flatten()).real
    torch.testing.assert_close(aligned, prior.value(u), atol=1e-9, rtol=1e-6)
    # Strong convexity: every other point is worse by at least half its squared distance.
    objective = 0.5 * (u - x).abs().square().sum() + prior.value(u)
    for seed in range(5):
        other = u + 10.0 ** (-seed) * random(*shape, dtype=dtype, seed=seed + 1)
        worse = 0.5 * (other - x).abs().square().sum() + prior.value(other)
        assert worse >= objective + 0.5 * (other - u).abs().square().sum() - 1e-6


@pytest.mark.parametrize("coupling", ["isotropic", "anisotropic"])
def test_duality_gap_bounds_the_error_and_equals_primal_minus_dual(coupling):
    x = steps(2, 1, 16, 18)
    reference = TotalVariation(0.1, coupling=coupling, options=TIGHT).prox(x, 1.0)
    for n_iterations in (1, 10, 40):
        options = TotalVariationOptions(max_iterations=n_iterations, tolerance=0.0)
        prior = TotalVariation(0.1, coupling=coupling, options=options)
        result = prior.solve(x, 1.0)
        assert result.iterations == n_iterations
        assert not result.converged
        error = (result.solution - reference).flatten(1).square().sum(1)
        assert (0.5 * error <= result.gap + 1e-12).all()
        u = result.solution
        primal = 0.5 * (u - x).flatten(1).square().sum(1) + prior.value(u)
        dual = 0.5 * x.flatten(1).square().sum(1) - 0.5 * u.flatten(1).square().sum(1)
        torch.testing.assert_close(result.gap, primal - dual, atol=1e-10, rtol=0)
        bound = (2 * result.gap / x.flatten(1).square().sum(1)).max().sqrt()
        assert abs(bound - result.relative_error_bound) < 1e-12


def test_more_iterations_close_the_gap_and_warm_starts_need_fewer():
    x = steps(1, 32, 32)
    options = TotalVariationOptions(max_iterations=5000, tolerance=1e-4)
    prior = TotalVariation(0.1, options=options)
    cold = prior.solve(x, 1.0)
    assert cold.converged
    assert cold.iterations > 10
    assert prior.solve(x, 1.0, start=cold.dual).iterations == 0
    near = x + 1e-3 * random(1, 32, 32, seed=5)
    brief = TotalVariation(0.1, options=TotalVariationOptions(max_iterations=30, tolerance=0.0))
    warm, fresh = brief.solve(near, 0.95, start=cold.dual), brief.solve(near, 0.95)
    assert warm.relative_error_bound < 0.5 * fresh.relative_error_bound


def test_a_very_large_step_leaves_the_mean():
    x = random(2, 1, 6, 5, dtype=torch.complex128)
    result = TotalVariation(1.0, options=TotalVariationOptions(5000, 1e-6)).prox(x, 100.0)
    torch.testing.assert_close(result, x.mean(dim=(-2, -1), keepdim=True).expand_as(x), atol=1e-5, rtol=0)


def test_parts_for_primal_dual_methods():
    x = steps(1, 12, 10, dtype=torch.complex128)
    prior = TotalVariation(0.1)
    p = prior.analysis(x)
    assert p.shape == (1, 2, 12, 10)
    inside = prior.project_dual(5 * p)
    assert torch.linalg.vector_norm(inside, dim=1).max() <= 0.1 * (1 + 1e-12)
    torch.testing.assert_close(prior.project_dual(inside), inside)
    entrywise = TotalVariation(0.3, coupling="anisotropic").project_dual(5 * p)
    torch.testing.assert_close(entrywise.abs(), (5 * p.abs()).clamp_max(0.3))
    assert prior.analysis_norm_squared == 8
    # Chambolle-Pock on the same parts arrives at the same point, if slowly: O(1 / iterations).
    u, q, extrapolated = x, torch.zeros_like(p), x
    tau = sigma = 0.99 / prior.analysis_norm_squared**0.5
    for _ in range(2000):
        q = prior.project_dual(q + sigma * prior.analysis(extrapolated))
        new = (u - tau * prior.analysis_adjoint(q) + tau * x) / (1 + tau)
        u, extrapolated = new, 2 * new - u
    expected = TotalVariation(0.1, options=TIGHT).prox(x, 1.0)
    torch.testing.assert_close(u, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_derivatives_through_the_iterations(dtype):
    options = TotalVariationOptions(max_iterations=12, tolerance=0.0)
    prior = TotalVariation(0.6, options=options)
    x = random(2, 1, 4, 3, dtype=dtype).requires_grad_()
    lam = torch.tensor([0.2, 0.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(prior.prox, (x, lam))
    assert torch.autograd.gradcheck(prior.value, x)


def test_single_precision_reaches_its_tolerance():
    x = steps(1, 64, 64, dtype=torch.complex64)
    result = TotalVariation(0.03).solve(x, 1.0)
    assert result.converged
    reference = TotalVariation(0.03, options=TIGHT).prox(x.to(torch.complex128), 1.0)
    assert (result.solution - reference).norm() <= 1.1e-3 * x.norm()


def test_errors():
    x = random(1, 8, 8)
    with pytest.raises(ShapeError, match="start"):
        TotalVariation(1.0).solve(x, 1.0, start=random(2, 8, 8))
    with pytest.raises(ConvergenceError, match="NaN"):
        TotalVariation(1.0).prox(x * float("nan"), 1.0)
    with pytest.raises(ConfigError, match="max_iterations"):
        TotalVariationOptions(max_iterations=0)
    with pytest.raises(ConfigError, match="tolerance"):
        TotalVariationOptions(tolerance=-1.0)
    with pytest.raises(ConfigError, match="coupling"):
        TotalVariation(1.0, coupling="l1")
    with pytest.raises(ConfigError, match="coupling"):
        total_variation(x, coupling="l1")
