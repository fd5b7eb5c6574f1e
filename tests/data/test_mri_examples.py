"""Batches of simulated MRI: repeatable, consistent with their own model, normalised as at inference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from mrirecon.data.mri_examples import MRIExamples, MRISimulation
from mrirecon.data.random_masks import Undersampling
from mrirecon.data.volumes import Volume, read_training_volumes
from mrirecon.errors import ConfigError
from mrirecon.reconstruction.normalisation import intensity_scale
from mrirecon.records import from_mapping
from tests.io.shared_data import ROOT

SPECS = Path(__file__).parents[2] / "data_specs"
SMALL = MRISimulation(sizes=(32, 48), batch_pixels=3 * 40 * 40, coils=(2, 5))
EXACT = replace(SMALL, map_error_probability=0.0, map_support_probability=0.0)


@pytest.fixture(scope="module")
def volume() -> Volume:
    """A ball of three tissues."""
    axes = [(np.arange(n) - n / 2) / n for n in (60, 60, 60)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    radius = np.sqrt(z**2 + (1.3 * y) ** 2 + x**2)
    magnitude = 300.0 * (radius < 0.45) + 200 * (radius < 0.35) - 350 * (np.hypot(y - 0.1, x) < 0.1) * (radius < 0.35)
    return Volume(magnitude.astype(np.float32), (1.0, 1.0, 1.0), "ball")


def sigma_of(batch) -> torch.Tensor:
    return batch.model.noise.sigma


def test_a_batch_is_a_function_of_seed_and_index(volume: Volume):
    first, second = MRIExamples([volume], SMALL, seed=3), MRIExamples([volume], SMALL, seed=3)
    first.batch(0)  # what came before does not matter
    one, again, other = first.batch(7), second.batch(7), first.batch(8)
    assert torch.equal(one.image, again.image)
    assert torch.equal(one.data, again.data)
    assert torch.equal(one.model.operator.mask, again.model.operator.mask)
    assert torch.equal(one.model.operator.sensitivities.maps, again.model.operator.sensitivities.maps)
    assert torch.equal(sigma_of(one), sigma_of(again))
    assert one.image.shape != other.image.shape or not torch.equal(one.image, other.image)
    different = MRIExamples([volume], SMALL, seed=4).batch(7)
    assert one.image.shape != different.image.shape or not torch.equal(one.image, different.image)


def test_shapes_and_ranges(volume: Volume):
    examples = MRIExamples([volume], SMALL, seed=0)
    sizes, coils = set(), set()
    for index in range(25):
        batch = examples.batch(index)
        n, channels, ny, nx = batch.image.shape
        operator = batch.model.operator
        assert channels == 1
        assert batch.image.dtype == batch.data.dtype == torch.complex64
        assert batch.data.shape == (n, operator.sensitivities.n_coils, ny, nx)
        assert n == max(1, round(SMALL.batch_pixels / (ny * nx)))
        assert sigma_of(batch).shape == (n,)
        operator.domain.check(batch.image, "image")
        assert torch.equal(operator.keep_measured(batch.data), batch.data)
        assert max(ny, nx) / min(ny, nx) <= SMALL.aspect
        sizes |= {ny, nx}
        coils.add(operator.sensitivities.n_coils)
    assert sizes == {32, 40, 48}
    assert coils == {2, 3, 4, 5}


@pytest.mark.parametrize("kind", ["random", "poisson-disc"])
def test_data_are_the_model_plus_its_noise(volume: Volume, kind: str):
    """Where maps are exact, the misfit is white noise of the sigma that the model states, in both components."""
    simulation = replace(EXACT, undersampling=Undersampling(kinds={kind: 1.0}, acceleration=(2.0, 3.0)))
    examples = MRIExamples([volume], simulation, seed=1)
    for index in range(4):
        batch = examples.batch(index)
        misfit = batch.data - batch.model.operator(batch.image)
        for item, sigma in enumerate(sigma_of(batch)):
            sampled = misfit[item][batch.data[item] != 0]
            real, imaginary = float(sampled.real.std() / sigma), float(sampled.imag.std() / sigma)
            spread = 5 / (2 * len(sampled)) ** 0.5
            assert real == pytest.approx(1, abs=spread)
            assert imaginary == pytest.approx(1, abs=spread)
            correlation = float((sampled.real * sampled.imag).mean() / sigma**2)
            assert abs(correlation) < 5 / len(sampled) ** 0.5


def test_noise_is_relative_to_the_image(volume: Volume):
    examples = MRIExamples([volume], replace(EXACT, noise=(0.01, 0.01)), seed=2)
    for index in range(5):
        batch = examples.batch(index)
        top = batch.image.abs().flatten(1).quantile(0.99, dim=1)
        torch.testing.assert_close(sigma_of(batch) / top, torch.full_like(top, 0.01), rtol=0.03, atol=0.0)


def test_the_scale_is_that_of_inference(volume: Volume):
    examples = MRIExamples([volume], SMALL, seed=0)
    for index in range(5):
        batch = examples.batch(index)
        scale = intensity_scale(batch.data, batch.model.operator)
        torch.testing.assert_close(scale, torch.ones_like(scale), rtol=1e-3, atol=0.0)
        top = batch.image.abs().flatten(1).quantile(0.99, dim=1)
        assert float(top.min()) > 0.6
        assert float(top.max()) < 2.5


def test_map_errors_show_as_misfit(volume: Volume):
    noise = (1e-6, 1e-6)
    exact = MRIExamples([volume], replace(EXACT, noise=noise), seed=0).batch(0)
    wrong = replace(EXACT, noise=noise, map_error_probability=1.0, map_error=(0.03, 0.03))
    found = MRIExamples([volume], wrong, seed=0).batch(0)
    for batch, low, high in ((exact, 0.0, 1e-4), (found, 0.005, 0.06)):
        predicted = batch.model.operator(batch.image)
        misfit = (batch.data - predicted).norm() / predicted.norm()
        assert low <= float(misfit) <= high


def test_maps_may_end_with_the_object(volume: Volume):
    examples = MRIExamples([volume], replace(SMALL, map_support_probability=1.0), seed=0)
    for index in range(5):
        batch = examples.batch(index)
        support = batch.model.operator.sensitivities.support
        outside = ~support
        assert 0.05 < float(outside.float().mean()) < 0.9
        assert float(batch.image[outside].abs().max()) == 0.0
        rss = batch.model.operator.sensitivities.maps.abs().square().sum(dim=-3).sqrt()
        torch.testing.assert_close(rss[support], torch.ones_like(rss[support]), rtol=1e-4, atol=0.0)
        kept = batch.image.abs().square().sum() / batch.model.operator.adjoint(batch.data).abs().square().sum()
        assert float(kept) > 0.3


def test_phases_are_smooth_and_not_constant(volume: Volume):
    batch = MRIExamples([volume], SMALL, seed=0).batch(3)
    bright = batch.image.abs() > 0.3
    phase = batch.image / batch.image.abs().clamp_min(1e-6)
    assert float(phase[bright].mean().abs()) < 0.999
    both = bright[..., 1:] & bright[..., :-1]
    steps = (phase[..., 1:] * phase[..., :-1].conj()).angle()[both].abs()
    assert float(steps.median()) < 0.5


def test_a_simulation_can_be_written_in_yaml():
    simulation = from_mapping(
        MRISimulation,
        {
            "sizes": [64, 64],
            "families": {"loops": 1.0},
            "undersampling": {"kinds": {"equispaced": 1.0}, "acceleration": [4, 4]},
            "placement": {"fill": [0.7, 0.9]},
            "contrast": {"kinds": {"original": 1.0}},
            "phase": {"sloped": 0.0},
        },
    )
    assert simulation.sizes == (64, 64)
    assert simulation.undersampling.acceleration == (4, 4)


def test_refusals():
    for changes, word in (
        ({"sizes": (100, 96)}, "sizes"),
        ({"sizes": (90, 96)}, "multiples"),
        ({"coils": (0, 4)}, "coils"),
        ({"noise": (0.0, 0.1)}, "noise"),
        ({"families": {"dipoles": 1.0}}, "dipoles"),
        ({"aspect": 0.5}, "aspect"),
        ({"truncation": 1.5}, "truncation"),
        ({"map_error_probability": -0.1}, "map_error_probability"),
    ):
        with pytest.raises(ConfigError, match=word):
            MRISimulation(**changes)


def test_examples_from_specifications():
    if not ROOT.is_dir():
        pytest.skip("the shared data are absent (set MRIRECON_DATA)")
    specs = [SPECS / "pyradiomics-brain.yaml"]
    train, validation = (
        MRIExamples(read_training_volumes(specs, split, ROOT), SMALL, seed=0).batch(0)
        for split in ("train", "validation")
    )
    assert train.image.shape == validation.image.shape
    assert not torch.equal(train.image, validation.image)
