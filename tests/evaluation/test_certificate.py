"""Certificates from simulated repetitions: closed forms, false-alarm rate, power where the bound is blind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.evaluation.certificate import certify_reconstruction, replica_energies
from mrirecon.linalg.cg import CGOptions
from mrirecon.metrics.certificate import certificate, certify
from mrirecon.metrics.residual_noise import ResidualNoise
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI, cartesian_mri
from mrirecon.operators.noise import GaussianNoise, Noiseless
from mrirecon.reconstruction.base import Reconstruction, Reconstructor
from mrirecon.reconstruction.linear import LeastSquares
from tests.reconstruction.problems import dense, line_mask, smooth_maps

SIGMA = 0.05
NOISE = ResidualNoise(sigma=SIGMA)


@dataclass(frozen=True, eq=False)
class Matrix(Reconstructor):
    """x = R y."""

    matrix: Tensor

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        image = y.flatten(-3) @ self.matrix.mT
        return Reconstruction(image.reshape(*y.shape[:-3], *model.operator.domain.shape))


def problem(shape: tuple[int, int], n_coils: int, *, keep: float) -> tuple[CartesianMRI, MeasurementModel, Tensor]:
    generator = torch.Generator().manual_seed(0)
    operator = cartesian_mri(line_mask(shape, keep=keep)[:1], smooth_maps(n_coils, shape, generator))
    y, x = torch.meshgrid(torch.linspace(-1, 1, shape[0]), torch.linspace(-1, 1, shape[1]), indexing="ij")
    disc = ((y**2 + x**2) < 0.6).to(torch.complex128).unsqueeze(0)
    return operator, MeasurementModel(operator, GaussianNoise(SIGMA)), disc


def tikhonov(operator: CartesianMRI, weight: float) -> tuple[Matrix, Tensor]:
    """The method and G = I - A R, on the measured entries."""
    a = dense(operator)
    inverse = torch.linalg.solve(a.mH @ a + weight * torch.eye(a.shape[1]), a.mH)
    kept = operator.keep_measured(torch.ones(operator.codomain.shape, dtype=torch.complex128)).flatten()
    return Matrix(inverse), torch.diag(kept) - a @ inverse


@pytest.mark.parametrize("weight", [1e-6, 3e-2])
def test_expectations_are_the_traces_of_the_residual_operator(weight: float) -> None:
    """E = 2 tr G^2 (G^2)^H and V = 4 tr (G^2 (G^2)^H)^2 by every line and coil; for least squares 2 (N - rank)."""
    operator, model, disc = problem((6, 8), 3, keep=0.3)
    method, g = tikhonov(operator, weight)
    y = model.simulate(0 * disc, torch.Generator().manual_seed(1))
    energies, (expected,) = replica_energies(method, y, model, seed=0, noise=NOISE, n_replicas=800, image=0 * disc)
    c = 2 * (g @ g) @ (g @ g).mH
    shaped = c.diagonal().real.reshape(3, 6, 8)
    assert expected.mean == pytest.approx(float(c.diagonal().real.sum()), rel=0.02)
    assert expected.variance == pytest.approx(float(c.abs().square().sum()), rel=0.15)
    lines = torch.nonzero(operator.mask[0]).flatten()
    assert expected.line_mean == pytest.approx(shaped.sum(dim=(0, 1))[lines].numpy(), rel=0.05)
    assert expected.coil_mean == pytest.approx(shaped.sum(dim=(1, 2)).numpy(), rel=0.05)
    if weight < 1e-3:
        rank = int(torch.linalg.matrix_rank(dense(operator)))
        samples = energies[0].samples
        assert samples == 18 * len(lines)
        assert expected.mean == pytest.approx(2 * (samples - rank), rel=0.02)


def test_false_alarm_rate_is_one_per_cent() -> None:
    """Clean simulated data, linear reconstruction: 1 % +- 0.3 %, though the image was fitted to the data."""
    operator, model, disc = problem((6, 8), 3, keep=0.3)
    method, _ = tikhonov(operator, 1e-3)
    n, verdicts, misfits = 400, [], []
    for block in range(8):
        y = model.simulate(disc.expand(n, *disc.shape), torch.Generator().manual_seed(block))
        energies, expected = replica_energies(method, y, model, seed=100 + block, noise=NOISE, n_replicas=6)
        results = [certificate([e], noise=NOISE, expected=[m]) for e, m in zip(energies, expected, strict=True)]
        verdicts += [r.verdict == "fail" for r in results]
        misfits += [(r.misfit, r.expected) for r in results]
    assert np.mean(verdicts) == pytest.approx(0.01, abs=0.003)
    misfit, level = np.mean(misfits, axis=0)
    assert misfit == pytest.approx(level, rel=0.02)
    assert level < 0.8, "the naive expectation, 1, would be wrong"


CASES = problem((24, 32), 4, keep=0.4)
SENSE = LeastSquares(1e-3, CGOptions(max_iterations=60, tolerance=1e-6))


@pytest.fixture(scope="module")
def data() -> Tensor:
    return CASES[1].simulate(CASES[2], torch.Generator().manual_seed(3))


def test_a_planted_lesion_fails_that_the_bound_lets_pass(data: Tensor) -> None:
    operator, model, _ = CASES
    image = SENSE(data, model).image
    altered = image.clone()
    altered[0, 10:13, 12:15] += 0.4
    assert certify(altered, data, operator, noise=NOISE).verdict == "pass", "the fit left room for it"
    result = certify_reconstruction(SENSE, data, model, seed=0, image=altered)
    assert result.verdict == "fail"
    assert (result.expectation, result.replicas) == ("replicas", 12)
    assert result.expected is not None
    assert result.expected < 0.8
    clean = certify_reconstruction(SENSE, data, model, seed=0)
    assert clean.verdict == "pass"
    assert clean == certify_reconstruction(SENSE, data, model, seed=0, image=image), (
        "the same seed, the same certificate"
    )


def test_wrong_maps_mask_and_line_fail(data: Tensor) -> None:
    operator, model, _ = CASES
    maps = operator.sensitivities.maps[0]
    blurred = maps + 0.1 * maps.roll(1, dims=0)
    for believed in (cartesian_mri(operator.mask, blurred), cartesian_mri(operator.mask.roll(2, dims=-1), maps)):
        wrong = MeasurementModel(believed, model.noise)
        assert certify_reconstruction(SENSE, data, wrong, seed=0).verdict == "fail"
    line = int(torch.nonzero(operator.mask[0])[5])
    moved = data.clone()
    moved[..., line] = -moved[..., line]
    result = certify_reconstruction(SENSE, moved, model, seed=0)
    assert result.verdict == "fail"


def test_a_method_that_reproduces_any_data_passes_and_its_altered_image_does_not() -> None:
    """One coil, everything measured: no degree of freedom is left, the residual is rounding."""
    operator = cartesian_mri(torch.ones(1, 1, dtype=torch.bool), torch.ones(1, 8, 8, dtype=torch.complex64))
    model = MeasurementModel(operator, GaussianNoise(SIGMA))
    image = torch.ones(1, 8, 8, dtype=torch.complex64)
    y = model.simulate(image, torch.Generator().manual_seed(0))
    method = LeastSquares(0.0)
    assert certify_reconstruction(method, y, model, seed=0).verdict == "pass"
    altered = method(y, model).image
    altered[0, 4, 4] += 0.3
    assert certify_reconstruction(method, y, model, seed=0, image=altered).verdict == "fail"


def test_unknown_noise_and_bad_settings(data: Tensor) -> None:
    operator, model, _ = CASES
    untold = MeasurementModel(operator, Noiseless())
    assert certify_reconstruction(SENSE, data, untold, seed=0).verdict == "not tested"
    with pytest.raises(ConfigError, match="`n_replicas` must be at least 2"):
        certify_reconstruction(SENSE, data, model, seed=0, n_replicas=1)
    with pytest.raises(ConfigError, match="sigma of the model"):
        certify_reconstruction(SENSE, data, model, seed=0, noise=ResidualNoise(sigma=2 * SIGMA))
