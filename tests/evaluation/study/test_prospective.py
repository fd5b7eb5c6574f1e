"""Scores without a reference: closed forms of linear-Gaussian problems, and the ranking of the true error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.evaluation.study.held_out import held_out_errors, held_out_parts
from mrirecon.evaluation.study.prospective import (
    mean_over_slices,
    prospective_definitions,
    score_without_reference,
    slices_without_reference,
)
from mrirecon.evaluation.study.variation import object_mask
from mrirecon.linalg.cg import CGOptions
from mrirecon.metrics.passport import MetricDefinition
from mrirecon.metrics.presets import preset
from mrirecon.metrics.referenceless import HeldOutMeasure, RepeatabilityMeasure, UncertaintyMeasure
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import CartesianMRI, cartesian_mri
from mrirecon.operators.noise import GaussianNoise, Noiseless
from mrirecon.reconstruction.base import Reconstruction, Reconstructor
from mrirecon.reconstruction.linear import LeastSquares, MatchedFilter
from mrirecon.reconstruction.primal_dual import PrimalDualTV
from tests.diffusion.linear_gaussian import LinearGaussian
from tests.reconstruction.problems import dense, line_mask, smooth_maps

SIGMA = 0.05


def phantom(shape: tuple[int, int] = (40, 48), n_coils: int = 4) -> tuple[CartesianMRI, MeasurementModel, Tensor]:
    """Two discs of unlike brightness and a smooth phase, complex64."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, shape[0]), torch.linspace(-1, 1, shape[1]), indexing="ij")
    image = ((y**2 + x**2) < 0.7).float() + 0.5 * (((y - 0.2) ** 2 + (x + 0.3) ** 2) < 0.08).float()
    maps = smooth_maps(n_coils, shape, torch.Generator().manual_seed(0)).to(torch.complex64)
    operator = cartesian_mri(line_mask(shape, keep=0.4, seed=1)[:1], maps)
    return operator, MeasurementModel(operator, GaussianNoise(SIGMA)), torch.polar(image, 0.5 * x).unsqueeze(0)


@dataclass(frozen=True, eq=False)
class Always(Reconstructor):
    """The same image whatever the data."""

    image: Tensor
    samples: Tensor | None = None

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        return Reconstruction(self.image.expand(*y.shape[:-3], *self.image.shape[-3:]), samples=self.samples)


@dataclass(frozen=True, eq=False)
class PosteriorMean(Reconstructor):
    """E[x | y] of a Gaussian prior, for whatever mask the model has."""

    problem: LinearGaussian

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        a, covariance = dense(model.operator), self.problem.covariance
        marginal = a @ covariance @ a.mH + float(model.noise.sigma) ** 2 * torch.eye(len(a))
        gain = covariance @ a.mH @ torch.linalg.inv(marginal)
        mean = self.problem.mean
        x = mean + (y.flatten(-3) - a @ mean) @ gain.mT
        return Reconstruction(x.reshape(*y.shape[:-3], *model.operator.domain.shape))


def test_held_out_error_of_a_gaussian_posterior_mean() -> None:
    """Expected: tr A_h Cov(x | rest) A_h^H / (sigma^2 n), averaged over the parts."""
    shape, noise = (3, 14), 0.3
    mask = torch.zeros(1, 14, dtype=torch.bool)
    mask[0, [0, 2, 5, 6, 7, 8, 10, 12, 13]] = True
    operator = cartesian_mri(mask, smooth_maps(2, shape, torch.Generator().manual_seed(0)))
    problem = LinearGaussian.random(operator.domain, seed=3)
    model = MeasurementModel(operator, GaussianNoise(noise))
    generator = torch.Generator().manual_seed(4)
    y = model.simulate(problem.prior.sample(1500, generator=generator), generator)
    measure = HeldOutMeasure(parts=4, evaluated=3)
    found = held_out_errors(PosteriorMean(problem), y, model, measure, generator=torch.Generator().manual_seed(5))
    parts = held_out_parts(mask, shape, 4, generator=torch.Generator().manual_seed(5))
    assert not any(bool(part[0, 5:9].any()) for part in parts), "the centre stays"
    assert torch.equal(torch.stack(parts).sum(dim=0) + 0, (mask & ~_centre()).int()), "every line once"
    error, samples = 0.0, 0
    for part in parts[:3]:
        rest = cartesian_mri(mask & ~part, operator.sensitivities.maps[0])
        _, covariance = problem.posterior(0 * y[0], MeasurementModel(rest, model.noise))
        held = dense(cartesian_mri(part, operator.sensitivities.maps[0]))
        error += float((held @ covariance @ held.mH).diagonal().real.sum())
        samples += int(part.sum()) * shape[0] * 2
    expected = error / (noise**2 * samples)
    assert expected > 0.2
    assert found.mean() == pytest.approx(expected, abs=4 * found.std() / len(found) ** 0.5)
    assert found.std() / len(found) ** 0.5 < 0.05 * (1 + expected)


def _centre() -> Tensor:
    centre = torch.zeros(1, 14, dtype=torch.bool)
    centre[0, 5:9] = True
    return centre


def test_the_truth_has_residual_one_and_held_out_error_zero() -> None:
    operator, model, truth = phantom()
    y = model.simulate(truth.expand(3, *truth.shape), torch.Generator().manual_seed(1))
    residual, uncertainty, repeatability, held_out = score_without_reference(Always(truth), y, model, seed=0)
    components = 2 * 3 * int(operator.mask.sum()) * 40 * 4
    assert residual.value == pytest.approx(1, abs=4 * (2 / components) ** 0.5)
    held_components = components * 0.3
    assert held_out.value == pytest.approx(0, abs=4 * (2 / held_components) ** 0.5)
    assert repeatability.value == 0, "as repeatable as nothing else: it is no quality by itself"
    assert not uncertainty.defined
    assert uncertainty.note == "the method gives no standard deviation"


def test_held_out_error_ranks_methods_as_the_error_of_unmeasured_lines_does() -> None:
    operator, model, truth = phantom()
    generator = torch.Generator().manual_seed(2)
    y = model.simulate(truth.expand(2, *truth.shape), generator)
    complete = cartesian_mri(torch.ones(1, 1, dtype=torch.bool), operator.sensitivities.maps[0])
    cg = CGOptions(60, 1e-5)
    methods = [
        MatchedFilter(),
        LeastSquares(3e-1, cg),
        LeastSquares(3e-2, cg),
        LeastSquares(1e-5, CGOptions(200, 1e-7)),
        PrimalDualTV(3e-3, max_iterations=100),
        Always(truth),
    ]
    definition = MetricDefinition(HeldOutMeasure(), scope="slices", values="complex", reference="k-space")
    estimated, true = [], []
    for method in methods:
        (score,) = score_without_reference(method, y, model, seed=0, definitions=[definition])
        estimated.append(score.value)
        error = (complete(method(y, model).image) - complete(truth)) * ~operator.mask
        true.append(float(error.abs().square().sum()))
    assert np.ptp(np.log10(true[:5])) > 0.5, "the methods differ"
    assert stats.spearmanr(estimated, true).statistic == pytest.approx(1), f"{estimated} {true}"


@pytest.mark.parametrize("source", ["replicas", "repetition"])
def test_repeatability_of_a_linear_method(source: str) -> None:
    """sqrt(mean of sigma^2 diag R R^H in the object) over the mean magnitude, as it is bright against the noise."""
    operator, model, truth = phantom((12, 16), 3)
    operator = cartesian_mri(operator.mask, operator.sensitivities.maps[0].to(torch.complex128))
    model = MeasurementModel(operator, GaussianNoise(0.01))
    truth = truth.to(torch.complex128)
    weight = 1e-2
    method = LeastSquares(weight, CGOptions(100, 1e-7))
    generator = torch.Generator().manual_seed(0)
    n = 60
    y, again = (model.simulate(truth.expand(n, *truth.shape), generator) for _ in range(2))
    measure = RepeatabilityMeasure(source=source, replicas=0 if source == "repetition" else 3)  # type: ignore[arg-type]
    definition = MetricDefinition(measure, scope="slices", reference="none")
    (score,) = score_without_reference(method, y, model, seed=0, definitions=[definition], repetition=again)
    a = dense(operator)
    inverse = torch.linalg.solve(a.mH @ a + weight * torch.eye(a.shape[1]), a.mH)
    variance = 0.01**2 * (inverse.abs().square().sum(dim=1)).reshape(12, 16)
    inside = object_mask(y[:1], model, threshold=0.2)[0]
    clean = method(operator(truth), model).image[0].abs()
    expected = float(variance[inside].mean().sqrt() / clean[inside].mean())
    assert score.value == pytest.approx(expected, rel=0.05)


def test_uncertainty_is_the_spread_of_the_samples() -> None:
    _, model, truth = phantom()
    y = model.simulate(truth, torch.Generator().manual_seed(0))
    noise = torch.randn(40, *truth.shape, generator=torch.Generator().manual_seed(1))
    phase = truth / truth.abs().clamp_min(1e-6)
    method = Always(truth, truth + 0.07 * noise * phase)
    definition = MetricDefinition(UncertaintyMeasure(), scope="slices", reference="none")
    (score,) = score_without_reference(method, y, model, seed=0, definitions=[definition])
    inside = object_mask(y, model, threshold=0.2)[0]
    assert int(inside.sum()) == pytest.approx(int((truth[0].abs() > 0).sum()), rel=0.2)
    bright = float((truth[0].abs()[inside] > 0).float().mean())  # the others are 0 in every sample
    assert score.value == pytest.approx(0.07 * bright / float(truth[0].abs()[inside].mean()), rel=0.03)


def test_slices_one_by_one_and_together_are_the_same() -> None:
    _, model, truth = phantom()
    y = model.simulate(truth.expand(2, *truth.shape), torch.Generator().manual_seed(0))
    method = LeastSquares(1e-2)
    definitions = prospective_definitions()
    definitions = (definitions[0], definitions[3])
    together = score_without_reference(method, y, model, seed=7, definitions=definitions, keys={"method": "sense"})
    single = [
        score
        for i in range(2)
        for score in slices_without_reference(
            method, y[i], model, seed=7, definitions=definitions, keys={"method": "sense"}, first_slice=i
        )
    ]
    assert [s.slice for s in single] == [0, 0, 1, 1]
    joined = mean_over_slices(single)
    for a, b in zip(joined, together, strict=True):
        assert a.definition == b.definition
        assert a.keys == b.keys == {"method": "sense"}
        assert a.value == pytest.approx(b.value, rel=1e-4)
    per_slice = MeasurementModel(model.operator, GaussianNoise(torch.tensor([SIGMA, 2 * SIGMA])))
    halved = slices_without_reference(method, y, per_slice, seed=7, definitions=definitions[:1])
    assert halved[1].value == pytest.approx(single[2].value / 4, rel=1e-4)


def test_what_cannot_be_had_is_said() -> None:
    operator, model, truth = phantom()
    y = model.simulate(truth, torch.Generator().manual_seed(0))
    untold = MeasurementModel(operator, Noiseless())
    method = LeastSquares(1e-2)
    assert [d.name for d in prospective_definitions(noise_known=False)] == ["residual", "uncertainty", "held-out"]
    residual, _, held_out = score_without_reference(method, y, untold, seed=0)
    assert 0 < residual.value < held_out.value < 1, "relative to the data"
    for score in score_without_reference(method, y, untold, seed=0, definitions=prospective_definitions()):
        assert not score.defined
        assert score.note in ("the noise of these data is unknown", "the method gives no standard deviation")
    complete = MeasurementModel(cartesian_mri(torch.ones(1, 1).bool(), operator.sensitivities.maps[0]), model.noise)
    full = complete.simulate(truth, torch.Generator().manual_seed(0))
    assert "only 0 lines were measured outside" in score_without_reference(method, full, complete, seed=0)[3].note
    repeated = prospective_definitions(repeated=True)[2:3]
    assert (
        score_without_reference(method, y, model, seed=0, definitions=repeated)[0].note == "the scan was not repeated"
    )
    with pytest.raises(ConfigError, match="needs a reference"):
        score_without_reference(method, y, model, seed=0, definitions=[preset("fastmri")[2]])
    with pytest.raises(ConfigError, match="must have `scope: slices`"):
        score_without_reference(method, y, model, seed=0, definitions=preset("fastmri"))


def test_definitions_refuse_nonsense() -> None:
    for arguments in ({"replicas": 1}, {"source": "repetition"}, {"replicas": 0}, {"object_threshold": 0.0}):
        with pytest.raises(ConfigError):
            RepeatabilityMeasure(**arguments)  # type: ignore[arg-type]
    for arguments in ({"parts": 1}, {"evaluated": 11}, {"evaluated": 0}):
        with pytest.raises(ConfigError):
            HeldOutMeasure(**arguments)
    with pytest.raises(ConfigError, match="belongs to images scored by themselves"):
        MetricDefinition(UncertaintyMeasure(), scope="slices", reference="rss")
    with pytest.raises(ConfigError, match="belongs to images scored by themselves"):
        MetricDefinition(HeldOutMeasure(), scope="slices", reference="none")
