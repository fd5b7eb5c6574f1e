"""The certificate of an image alone: exact for posterior samples, a bound for fits, and what it must catch."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.metrics.certificate import CertificateResult, certificate, certify
from mrirecon.metrics.residual_energy import line_axis, residual_energies
from mrirecon.metrics.residual_noise import ResidualNoise
from mrirecon.operators.image import block_average, image_space
from mrirecon.operators.mri import CartesianMRI, cartesian_mri
from mrirecon.records import from_mapping, to_mapping
from tests.diffusion.linear_gaussian import mri_case
from tests.reconstruction.problems import line_mask, smooth_maps

SIGMA, SHAPE, N_COILS = 0.05, (32, 40), 4
NOISE = ResidualNoise(sigma=SIGMA)


@pytest.fixture
def operator() -> CartesianMRI:
    return cartesian_mri(line_mask(SHAPE, keep=0.4)[:1], smooth_maps(N_COILS, SHAPE, torch.Generator().manual_seed(0)))


@pytest.fixture
def truth(operator: CartesianMRI) -> Tensor:
    """A disc of magnitude 1."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, SHAPE[0]), torch.linspace(-1, 1, SHAPE[1]), indexing="ij")
    return ((y**2 + x**2) < 0.6).to(torch.complex128).unsqueeze(0)


def measure(operator: CartesianMRI, image: Tensor, *, seed: int = 0, n: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    image = image.expand(n, *image.shape) if n else image
    noise = operator.codomain.randn(*((n,) if n else ()), generator=generator)
    return operator.keep_measured(operator(image) + SIGMA * noise)


def share_failing(operator: CartesianMRI, images: Tensor, data: Tensor, noise: ResidualNoise) -> float:
    energies = residual_energies(data - operator(images), data, operator, noise=noise)
    return float(np.mean([certificate([e], noise=noise).verdict == "fail" for e in energies]))


def test_false_alarms_of_posterior_samples_are_one_per_cent() -> None:
    """Of a correct posterior sample y - A x is noise, however the data were used to draw it."""
    problem, model, _ = mri_case(noise=0.3)
    generator = torch.Generator().manual_seed(0)
    operator, n = model.operator, 4000
    truths = problem.prior.sample(n, generator=generator)
    data = model.simulate(truths, generator)
    means, covariance = problem.posterior(data[0], model)
    offset = means - linear_part(problem, model) @ data[0].flatten()
    means = data.flatten(1) @ linear_part(problem, model).mT + offset
    factor = torch.linalg.cholesky(covariance)
    scatter = operator.domain.randn(n, generator=generator).flatten(1) @ factor.mT
    samples = (means + scatter).reshape(n, *operator.domain.shape)
    noise = ResidualNoise(sigma=0.3)
    assert share_failing(operator, samples, data, noise) == pytest.approx(0.01, abs=0.003)
    some = slice(1000)
    of_means = share_failing(operator, means.reshape(samples.shape)[some], data[some], noise)
    assert of_means < 0.01, "the mean's residual is smaller"


def linear_part(problem, model):  # type: ignore[no-untyped-def]
    """The matrix of the posterior mean."""
    unit = torch.eye(model.operator.codomain.size, dtype=torch.complex128)
    zero = problem.posterior(torch.zeros_like(unit[0]), model)[0]
    return torch.stack([problem.posterior(column, model)[0] - zero for column in unit], dim=1)


def test_by_hand(operator: CartesianMRI, truth: Tensor) -> None:
    data = measure(operator, truth)
    result = certify(truth, data, operator, noise=NOISE)
    residual = (data - operator(truth)) / SIGMA
    samples = int(operator.mask.sum()) * SHAPE[0] * N_COILS
    assert result.samples == samples
    assert result.misfit == pytest.approx(float(residual.abs().square().sum()) / (2 * samples))
    assert result.expected == 1
    assert result.degrees_of_freedom == 2 * samples
    assert result.measured_share == pytest.approx(float(operator.mask.float().mean()))
    (energy,) = residual_energies(residual * SIGMA, data, operator, noise=NOISE)
    assert energy.axis == "kx"
    assert energy.lines == tuple(torch.nonzero(operator.mask[0]).flatten().tolist())
    line = energy.lines[3]
    assert energy.line_energy[3] == pytest.approx(float(residual[..., line].abs().square().sum()))
    assert energy.coil_energy[2] == pytest.approx(float(residual[2].abs().square().sum()))
    assert energy.coil_samples * N_COILS == energy.samples == samples


def test_a_lesion_added_to_a_faultless_image_fails(operator: CartesianMRI, truth: Tensor) -> None:
    data = measure(operator, truth)
    assert certify(truth, data, operator, noise=NOISE).verdict == "pass"
    altered = truth.clone()
    altered[0, 14:18, 20:24] += 0.6
    result = certify(altered, data, operator, noise=NOISE)
    assert result.verdict == "fail"
    assert "FAIL" in result.sentence
    assert "cannot vouch for what was not measured" in result.limits
    size = torch.linalg.vector_norm(operator(altered) - operator(truth)) / torch.linalg.vector_norm(data)
    assert result.unexplained == pytest.approx(float(size), rel=0.2)


def test_the_line_and_the_coil_that_are_wrong_are_named(operator: CartesianMRI, truth: Tensor) -> None:
    data = measure(operator, truth, n=3)
    truths = truth.expand(3, *truth.shape)
    assert certify(truths, data, operator, noise=NOISE).verdict == "pass"
    line = int(torch.nonzero(operator.mask[0])[4])
    spoilt = data.clone()
    spoilt[1, ..., line] *= torch.exp(torch.tensor(0.9j))
    result = certify(truths, spoilt, operator, noise=NOISE)
    assert [(f.index, f.plane) for f in result.findings if f.kind == "line"] == [(line, 1)]
    assert f"line kx {line} of slice 1" in result.sentence
    spoilt = data.clone()
    spoilt[:, 2] *= 1.2
    result = certify(truths, spoilt, operator, noise=NOISE)
    assert [f.index for f in result.findings if f.kind == "coil"] == [2]
    assert "coil 2" in result.sentence
    assert {f.index for f in result.findings if f.kind == "slice"} == {0, 1, 2}
    pooled = certify(truths, spoilt, operator, noise=NOISE, planes="readout")
    assert {f.kind for f in pooled.findings} <= {"line", "coil"}
    assert all(f.plane is None for f in pooled.findings)


def test_named_coils_are_those_of_the_scanner(operator: CartesianMRI, truth: Tensor) -> None:
    """Data are whitened by a mixing of all coils; the fault is put into coil 1 before that."""
    generator = torch.Generator().manual_seed(5)
    unmixing = torch.eye(N_COILS, dtype=torch.complex128) + 0.3 * torch.randn(
        N_COILS, N_COILS, dtype=torch.complex128, generator=generator
    )
    noise = ResidualNoise(sigma=SIGMA, unmixing=unmixing)
    data = measure(operator, truth)
    fault = torch.zeros_like(data)
    fault[1] = 4 * SIGMA * operator.codomain.randn(generator=generator)[1]
    data = data + operator.keep_measured(torch.einsum("ij,jyx->iyx", torch.linalg.inv(unmixing), fault))
    result = certify(truth, data, operator, noise=noise)
    assert [f.index for f in result.findings if f.kind == "coil"] == [1]
    assert len([f for f in certify(truth, data, operator, noise=NOISE).findings if f.kind == "coil"]) > 1


def test_wrong_maps_and_a_wrong_mask_fail_though_the_image_was_fitted_to_them(
    operator: CartesianMRI, truth: Tensor
) -> None:
    data = measure(operator, truth)
    maps = operator.sensitivities.maps[0]
    elsewhere = torch.nonzero(~operator.mask[0]).flatten()[3]
    one_line = operator.mask.clone()
    one_line[0, torch.nonzero(operator.mask[0])[2]], one_line[0, elsewhere] = False, True
    cases = {
        "right": operator,
        "maps": cartesian_mri(operator.mask, maps.roll(1, dims=0)),
        "mask": cartesian_mri(operator.mask.roll(1, dims=-1), maps),
        "one line": cartesian_mri(one_line, maps),
    }
    found = {}
    for name, believed in cases.items():
        fitted = believed.solve_normal(believed.adjoint(data), 1e-4)
        found[name] = certify(fitted, data, believed, noise=NOISE)
    assert {name: result.verdict for name, result in found.items()} == dict.fromkeys(cases, "fail") | {"right": "pass"}
    assert found["one line"].empty_lines == 1
    assert "does not belong to the data: 1 of its lines" in found["one line"].sentence


def test_samples_that_are_exactly_zero_are_no_measurements(operator: CartesianMRI, truth: Tensor) -> None:
    """An asymmetric echo: the first rows are missing; the rest is judged."""
    data = measure(operator, truth)
    data[:, :8] = 0
    result = certify(truth, data, operator, noise=NOISE)
    assert result.verdict == "pass"
    assert result.samples == int(operator.mask.sum()) * (SHAPE[0] - 8) * N_COILS


def test_a_systematic_misfit_is_let_pass_up_to_the_tolerance(operator: CartesianMRI, truth: Tensor) -> None:
    """An image that is 3 % too bright everywhere: noncentral chi-square, in every line and coil."""
    n = 150
    data = measure(operator, truth, n=n)
    failing = {}
    for excess in (0.03, 0.05):
        images = ((1 + excess) * truth).expand(n, *truth.shape)
        energies = residual_energies(data - operator(images), data, operator, noise=NOISE)
        results = [certificate([e], noise=NOISE, tolerance=0.03) for e in energies]
        failing[excess] = np.mean([r.verdict == "fail" for r in results])
    assert failing[0.03] <= 0.01 + 3 * (0.01 / n) ** 0.5
    assert failing[0.05] > 0.5
    exact = certificate(energies[:1], noise=NOISE)
    assert exact.verdict == "fail"
    allowed = certificate(energies[:1], noise=NOISE, tolerance=0.06)
    assert allowed.verdict == "pass"
    assert allowed.p_overall == exact.p_overall
    assert "PASS, within the tolerance" in allowed.sentence
    with pytest.raises(ConfigError, match="`tolerance` must be"):
        certificate(energies, noise=NOISE, tolerance=1.0)


def test_unknown_noise_is_no_pass(operator: CartesianMRI, truth: Tensor) -> None:
    result = certify(truth, measure(operator, truth), operator, noise=ResidualNoise())
    assert result.verdict == "not tested"
    assert result.p_value is None
    assert "not a pass" in result.sentence
    few = certify(truth, measure(operator, truth), operator, noise=ResidualNoise(sigma=SIGMA, samples=4))
    assert few.verdict == "not tested"
    assert "4 noise samples are too few for 4 channels" in few.sentence


def test_edges_are_named_as_an_upper_estimate(operator: CartesianMRI, truth: Tensor) -> None:
    noise = ResidualNoise(sigma=SIGMA, samples=5000, source="edges")
    assert "upper estimate" in certify(truth, measure(operator, truth), operator, noise=noise).limits


def test_the_record_is_json(operator: CartesianMRI, truth: Tensor) -> None:
    data = measure(operator, truth)
    data[:, :, int(torch.nonzero(operator.mask[0])[0])] += 1
    result = certify(truth, data, operator, noise=NOISE)
    assert result.n_findings > 0
    again = from_mapping(CertificateResult, json.loads(json.dumps(to_mapping(result))))
    assert again == result


def test_line_axes() -> None:
    plane = torch.zeros(2, 6, 8, dtype=torch.bool)
    plane[:, :, ::2] = True
    assert line_axis(plane) == "kx"
    assert line_axis(plane.mT) == "ky"
    assert line_axis(torch.ones(2, 6, 8, dtype=torch.bool)) == "kx"


def test_bad_input_is_refused(operator: CartesianMRI, truth: Tensor) -> None:
    data = measure(operator, truth)
    with pytest.raises(ConfigError, match="`false_alarm_rate` must be between"):
        certify(truth, data, operator, noise=NOISE, false_alarm_rate=1.0)
    with pytest.raises(ShapeError, match="must be finite"):
        certify(truth * torch.nan, data, operator, noise=NOISE)
    with pytest.raises(ShapeError, match="planes with the same coils"):
        certificate([], noise=NOISE)
    with pytest.raises(ShapeError, match="the mask keeps nothing"):
        certify(
            truth, data, cartesian_mri(torch.zeros_like(operator.mask), operator.sensitivities.maps[0]), noise=NOISE
        )
    averaging = block_average(image_space(1, 8, 8), 2)
    with pytest.raises(ShapeError, match="needs k-space"):
        certify(torch.ones(1, 8, 8), torch.ones(1, 4, 4), averaging, noise=NOISE)
