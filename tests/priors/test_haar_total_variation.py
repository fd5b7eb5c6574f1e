"""The closed form against the Haar transform it comes from, and against what the theory promises."""

import itertools

import pytest
import torch

from mrirecon.errors import ConfigError
from mrirecon.priors.haar_total_variation import HaarTotalVariation
from mrirecon.priors.total_variation import TotalVariation, TotalVariationOptions, total_variation

SHAPES = {1: (12,), 2: (9, 8), 3: (5, 4, 6)}
VARIANTS = list(
    itertools.product(
        [1, 2, 3], ["isotropic", "anisotropic"], ["circular", "replicate"], [torch.float64, torch.complex128]
    )
)
each_variant = pytest.mark.parametrize(("ndim", "coupling", "boundary", "dtype"), VARIANTS)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def haar(v, axis):
    """Low-pass and high-pass of one undecimated circular Haar level."""
    following = torch.roll(v, -1, axis)
    return (following + v) / 2**0.5, (following - v) / 2**0.5


def haar_adjoint(low, high, axis):
    return (low + torch.roll(low, 1, axis)) / 2**0.5, (torch.roll(high, 1, axis) - high) / 2**0.5


def haar_shrinkage(v, lam, *, ndim, coupling, boundary):
    """The published form: average of d Haar transforms with shrunken high-pass parts."""
    axes = list(range(-ndim, 0))
    original = v.shape
    if boundary == "replicate":
        for axis in axes:
            v = torch.cat([v, v.narrow(axis, v.shape[axis] - 1, 1)], axis)
    low, high = zip(*(haar(v, axis) for axis in axes), strict=True)
    threshold = 2**0.5 * 2 * ndim * lam
    size = torch.stack([h.abs() for h in high])
    if coupling == "isotropic":
        size = size.square().sum(0).sqrt().expand_as(size)
    factor = (1 - threshold / size.clamp_min(1e-300)).clamp_min(0)
    shrunk = []
    for direction, axis in enumerate(axes):
        f = factor[direction].clone()
        if boundary == "replicate":  # only interior coefficients
            f.narrow(axis, v.shape[axis] - 1, 1).fill_(1)
        shrunk.append(f * high[direction])
    total = sum(sum(haar_adjoint(a, b, axis)) for a, b, axis in zip(low, shrunk, axes, strict=True))
    total = total / (2 * ndim)
    for axis, n in zip(axes, original[-ndim:], strict=True):
        total = total.narrow(axis, 0, n)
    return total


def huber_total_variation(v, mu, *, ndim, coupling, boundary):
    """Independent of the package: differences by concatenation, Huber function by its definition."""
    parts = []
    for axis in range(-ndim, 0):
        last = v.narrow(axis, 0 if boundary == "circular" else v.shape[axis] - 1, 1)
        difference = torch.cat([v.narrow(axis, 1, v.shape[axis] - 1), last], axis) - v
        parts.append(difference.real**2 + difference.imag**2 if v.is_complex() else difference**2)
    squared = torch.stack(parts)
    if coupling == "isotropic":
        squared = squared.sum(0)
    inside = squared <= mu * mu
    outer = torch.where(inside, torch.ones_like(squared), squared).sqrt() - mu / 2
    return torch.where(inside, squared / (2 * mu), outer).sum()


def test_haar_analysis_is_a_frame():
    v = random(6, 7, dtype=torch.complex128)
    total = sum(sum(haar_adjoint(*haar(v, axis), axis)) for axis in (0, 1))
    torch.testing.assert_close(total, 4 * v, atol=1e-15, rtol=1e-15)


@each_variant
@pytest.mark.parametrize("lam", [0.01, 0.2, 3.0])
def test_equals_shrinkage_of_the_haar_transform(ndim, coupling, boundary, dtype, lam):
    v = random(2, 1, *SHAPES[ndim], dtype=dtype)
    prior = HaarTotalVariation(1.0, spatial_ndim=ndim, coupling=coupling, boundary=boundary)
    expected = haar_shrinkage(v, lam, ndim=ndim, coupling=coupling, boundary=boundary)
    torch.testing.assert_close(prior.prox(v, lam), expected, atol=3e-15, rtol=0)


@each_variant
@pytest.mark.parametrize("lam", [0.01, 0.2, 3.0])
def test_is_a_gradient_step_on_the_huber_functional(ndim, coupling, boundary, dtype, lam):
    v = random(1, *SHAPES[ndim], dtype=dtype).requires_grad_()
    setting = {"ndim": ndim, "coupling": coupling, "boundary": boundary}
    smooth = huber_total_variation(v, 4 * ndim * lam, **setting)
    (slope,) = torch.autograd.grad(smooth, v)
    v = v.detach()
    prior = HaarTotalVariation(lam, spatial_ndim=ndim, coupling=coupling, boundary=boundary)
    result = prior.prox(v, 1.0)
    torch.testing.assert_close(result, v - lam * slope, atol=3e-15, rtol=0)
    # Descent lemma with L = 1 / lam.
    after = huber_total_variation(result, 4 * ndim * lam, **setting)
    assert after <= smooth.detach() - lam / 2 * slope.abs().square().sum() + 1e-12


@each_variant
def test_firmly_non_expansive(ndim, coupling, boundary, dtype):
    prior = HaarTotalVariation(1.0, spatial_ndim=ndim, coupling=coupling, boundary=boundary)
    for seed in range(20):
        v = random(1, *SHAPES[ndim], dtype=dtype, seed=seed)
        w = v + random(1, *SHAPES[ndim], dtype=dtype, seed=100 + seed) * 10.0 ** (seed % 4 - 2)
        lam = 0.02 * 2 ** (seed % 6)
        change, moved = v - w, prior.prox(v, lam) - prior.prox(w, lam)
        inner = torch.vdot(moved.flatten(), change.flatten()).real
        assert moved.abs().square().sum() <= inner * (1 + 1e-12)


@each_variant
def test_total_variation_never_grows(ndim, coupling, boundary, dtype):
    setting = {"spatial_ndim": ndim, "coupling": coupling, "boundary": boundary}
    prior = HaarTotalVariation(1.0, **setting)
    for seed in range(30):
        v = random(1, *SHAPES[ndim], dtype=dtype, seed=seed)
        result = prior.prox(v, 0.01 * 2 ** (seed % 8))
        assert total_variation(result, **setting) <= total_variation(v, **setting) * (1 + 1e-12)


def square(n=32):
    image = torch.zeros(1, n, n, dtype=torch.float64)
    image[:, n // 4 : -n // 4, n // 4 : -n // 4] = 1
    return image


def exact(coupling, boundary="circular"):
    options = TotalVariationOptions(max_iterations=20000, tolerance=1e-6)
    return TotalVariation(1.0, coupling=coupling, boundary=boundary, options=options)


@pytest.mark.parametrize("coupling", ["isotropic", "anisotropic"])
def test_error_is_of_first_order_in_the_step(coupling):
    approximate = HaarTotalVariation(1.0, coupling=coupling, boundary="circular")
    noisy = square() + 0.1 * random(1, 32, 32)
    ratios = []
    for lam in (0.05, 0.005, 0.001):
        error = (approximate.prox(noisy, lam) - exact(coupling).prox(noisy, lam)).norm()
        assert error <= 4 * 2 * lam * 32
        ratios.append(float(error / lam))
    assert ratios[0] > 1.3 * ratios[1] > 1.3 * ratios[2]
    flat = [
        float((approximate.prox(square(), lam) - exact(coupling).prox(square(), lam)).norm() / lam)
        for lam in (0.05, 0.005, 0.0005)
    ]
    assert max(flat) < 1.05 * min(flat), "constant where neighbours are exactly equal"
    assert min(flat) > 5


def test_repeated_application_approaches_the_exact_map():
    noisy = square() + 0.1 * random(1, 32, 32)
    target = exact("anisotropic").prox(noisy, 0.1)
    errors = []
    for n_applications in (1, 5, 20, 100):
        prior = HaarTotalVariation(1.0, coupling="anisotropic", boundary="circular", n_applications=n_applications)
        errors.append(float((prior.prox(noisy, 0.1) - target).norm()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.2 * errors[0]


def test_applications_share_the_step():
    x = random(1, 9, 8)
    once = HaarTotalVariation(0.5)
    expected = once.prox(once.prox(x, 0.1), 0.1)
    torch.testing.assert_close(HaarTotalVariation(0.5, n_applications=2).prox(x, 0.2), expected)


@pytest.mark.parametrize("coupling", ["isotropic", "anisotropic"])
def test_accelerated_gradient_with_it_converges_to_the_exact_solution_as_the_step_shrinks(coupling):
    n, weight = 16, 0.05
    frequencies = torch.fft.fftfreq(n, dtype=torch.float64)
    transfer = torch.exp(-20 * (frequencies[:, None] ** 2 + frequencies[None] ** 2))

    def normal(x):
        return torch.fft.ifft2(transfer**2 * torch.fft.fft2(x)).real

    truth = square(n) + 0.3 * torch.linspace(0, 1, n, dtype=torch.float64)
    data = torch.fft.ifft2(transfer * torch.fft.fft2(truth)).real + 0.05 * random(1, n, n)
    target = torch.fft.ifft2(transfer * torch.fft.fft2(data)).real

    def solve(proximal_map, step, n_iterations):
        x = z = target
        t = 1.0
        for _ in range(n_iterations):
            new = proximal_map(z - step * (normal(z) - target), step)
            following = (1 + (1 + 4 * t * t) ** 0.5) / 2
            z = new + (t - 1) / following * (new - x)
            x, t = new, following
        return x

    options = TotalVariationOptions(max_iterations=200, tolerance=1e-7)
    reference = solve(TotalVariation(weight, coupling=coupling, options=options).prox, 1.0, 80)
    approximate = HaarTotalVariation(weight, coupling=coupling)
    errors = [
        float((solve(approximate.prox, step, count) - reference).norm())
        for step, count in ((1.0, 150), (0.25, 300), (0.0625, 600))
    ]
    assert errors[0] > 0.05, "the first step is coarse enough to see"
    for coarse, fine in itertools.pairwise(errors):
        assert fine < 0.6 * coarse


@pytest.mark.parametrize("coupling", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_derivatives(coupling, dtype):
    prior = HaarTotalVariation(0.7, coupling=coupling, n_applications=2)
    x = random(2, 1, 5, 4, dtype=dtype).requires_grad_()
    steps = torch.tensor([0.1, 0.4], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(prior.prox, (x, steps))
    assert torch.autograd.gradcheck(prior.value, x)
    flat = torch.ones(1, 5, 4, dtype=dtype, requires_grad=True)
    (prior.prox(flat, 0.1).abs().sum() + prior.value(flat)).backward()
    assert torch.isfinite(torch.view_as_real(flat.grad) if dtype.is_complex else flat.grad).all()


def test_single_precision_agrees_with_double():
    x = random(1, 40, 37, dtype=torch.complex128)
    prior = HaarTotalVariation(0.3)
    single = prior.prox(x.to(torch.complex64), 1.0)
    assert single.dtype == torch.complex64
    torch.testing.assert_close(single.to(torch.complex128), prior.prox(x, 1.0), atol=2e-6, rtol=0)


def test_wrong_settings_are_refused():
    for setting in ({"coupling": "l1"}, {"boundary": "zero"}, {"n_applications": 0}):
        with pytest.raises(ConfigError, match=next(iter(setting))):
            HaarTotalVariation(1.0, **setting)
