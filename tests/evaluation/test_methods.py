"""Choices become the methods they name, with the checkpoint of their setting."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from mrirecon.diffusion.guidance.ddnm import DDNM
from mrirecon.diffusion.guidance.dds import DDS
from mrirecon.diffusion.guidance.diffpir import DiffPIR
from mrirecon.diffusion.guidance.dps import DPS
from mrirecon.diffusion.parametrisation import DenoiserConfig, NetworkDenoiser
from mrirecon.diffusion.schedule import karras_levels
from mrirecon.errors import ConfigError
from mrirecon.evaluation.method_choices import (
    DnCNNPeer,
    GuidedDDNM,
    GuidedDDS,
    GuidedDiffPIR,
    GuidedDPS,
    MethodChoice,
    Sampling,
    SparseWavelet,
    Tikhonov,
    TotalVariation,
    TrainedNetwork,
    UnfoldedSampling,
    ZeroFilled,
    at_edge,
    candidates,
    tuned_parameters,
    with_checkpoint,
)
from mrirecon.evaluation.methods import Hole, Method, Network, build_method, sampler_levels
from mrirecon.linalg.cg import CGOptions
from mrirecon.networks.unet import CompactConfig
from mrirecon.priors.wavelet import Wavelet
from mrirecon.reconstruction.linear import LeastSquares, MatchedFilter
from mrirecon.reconstruction.posterior import PosteriorSampler
from mrirecon.reconstruction.primal_dual import PrimalDualTV
from mrirecon.reconstruction.splitting import ProximalGradient, cycle_spinning
from mrirecon.reconstruction.unfolding import UnfoldedConfig, UnfoldedScore
from tests.evaluation.scenes import inpainting_case

WAVELET = Wavelet(0.02, wavelet="db2", n_levels=2)
NETWORK = CompactConfig(width=4, multipliers=(1, 2))


def modules() -> dict[str, nn.Module]:
    return {
        "prior": NetworkDenoiser(DenoiserConfig("denoiser", "real", NETWORK)).eval(),
        "score": UnfoldedScore(UnfoldedConfig(image="real", blocks=1, network=NETWORK)).eval(),
    }


def load(name: str) -> Network | Hole:
    known = modules()
    return Network(known[name], f"sha of {name}", (0.01, 40.0)) if name in known else Hole(f"no checkpoint {name}")


def build(choice: MethodChoice, *, setting: str = "sr4", family: str = "sr4") -> Method | Hole:
    return build_method(choice, setting=setting, family=family, load=load, root=Path("nowhere"))


def method(choice: MethodChoice) -> Method:
    built = build(choice)
    assert isinstance(built, Method)
    return built


def test_a_grid_is_every_combination() -> None:
    choice = Tikhonov(regularisation=(0.1, 0.2), iterations=(5, 10, 20))
    options = candidates(choice)
    assert [(o.regularisation, o.iterations) for o in options if isinstance(o, Tikhonov)] == [
        (0.1, 5), (0.1, 10), (0.1, 20), (0.2, 5), (0.2, 10), (0.2, 20)
    ]  # fmt: skip
    assert tuned_parameters(choice, options[4]) == {"regularisation": 0.2, "iterations": 10}
    assert at_edge(choice, options[3]) == ("iterations",)  # two values have no inside
    assert at_edge(choice, options[4]) == ()
    assert candidates(ZeroFilled()) == (ZeroFilled(),)
    with pytest.raises(ConfigError, match="tune it first"):
        build(choice)


@pytest.mark.parametrize(
    ("choice", "direct"),
    [
        (ZeroFilled(), MatchedFilter()),
        (Tikhonov(0.1, 7, 1e-9), LeastSquares(0.1, CGOptions(7, 1e-9))),
        (
            SparseWavelet(0.02, "db2", 2, 9, 1e-9),
            ProximalGradient(
                cycle_spinning(Wavelet(0.02, wavelet="db2", n_levels=2)), max_iterations=9, tolerance=1e-9
            ),
        ),
        (TotalVariation(0.02, 9, 1e-9), PrimalDualTV(0.02, max_iterations=9, tolerance=1e-9)),
    ],
    ids=["adjoint", "sense", "wavelet", "tv"],
)
def test_classical_methods_are_the_ones_they_name(choice: MethodChoice, direct) -> None:
    problem = inpainting_case().make()
    found = method(choice).reconstructor(problem.data, problem.model).image
    torch.testing.assert_close(found, direct(problem.data, problem.model).image, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        (GuidedDPS("prior", zeta=0.7, eta=0.5), DPS),
        (GuidedDDNM("prior", eta=0.5), DDNM),
        (GuidedDDS("prior", gamma=3.0, eta=0.5), DDS),
        (GuidedDiffPIR("prior", regularisation=3.0, zeta=0.25), DiffPIR),
    ],
    ids=["dps", "ddnm", "dds", "diffpir"],
)
def test_zero_shot_methods_sample_over_the_levels_of_the_prior(choice: MethodChoice, kind: type) -> None:
    with_steps = candidates(choice)[0].__class__(**{**vars(choice), "sampling": Sampling(steps=3)})
    sampler = method(with_steps).reconstructor
    assert isinstance(sampler, PosteriorSampler)
    assert isinstance(sampler.conditional, kind)
    assert (sampler.method, sampler.eta) == ("ddim", 0.5)
    torch.testing.assert_close(sampler.levels, karras_levels(3, sigma_min=0.01, sigma_max=40.0))
    problem = inpainting_case().make()
    result = sampler(problem.data, problem.model, generator=torch.Generator().manual_seed(0))
    assert result.image.shape == problem.reference.shape


def test_the_unfolded_score_is_the_mean_of_samples_or_one_evaluation() -> None:
    mean = method(UnfoldedSampling("score", Sampling(steps=4, sigma_max=9.0), samples=3, method="heun"))
    sampler = mean.reconstructor
    assert isinstance(sampler, PosteriorSampler)
    assert (sampler.n_samples, sampler.method) == (3, "heun")
    torch.testing.assert_close(sampler.levels, karras_levels(4, sigma_min=0.01, sigma_max=9.0))
    assert mean.identity["weights_sha256"] == "sha of score"
    once = method(UnfoldedSampling("score")).reconstructor
    assert isinstance(once, PosteriorSampler)
    assert once.levels.tolist() == [40.0]
    assert method(UnfoldedSampling("score")).identity == {"weights_sha256": "sha of score"}
    jumping = method(UnfoldedSampling("score", Sampling(steps=3)))
    assert isinstance(jumping.reconstructor, PosteriorSampler)
    assert jumping.reconstructor.levels.tolist() == pytest.approx([40.0, 1.0, 0.01])  # sigma_data is 0.5
    assert jumping.identity["levels"] == pytest.approx([40.0, 1.0, 0.01]), "cells of other levels are not these"


def test_levels_that_nobody_states_are_those_of_edm() -> None:
    levels = sampler_levels(Sampling(steps=2), Network(nn.Identity(), ""))
    assert levels.tolist() == [80.0, 0.002]


def test_a_checkpoint_may_depend_on_setting_or_family() -> None:
    choice = UnfoldedSampling({"random R4 of 4 coils": "score", "equispaced": "absent"})
    assert isinstance(build(choice, setting="random R4 of 4 coils", family="random"), Method)
    assert build(choice, setting="equispaced R4", family="equispaced") == Hole("no checkpoint absent")
    assert build(choice, setting="gaussian R4", family="gaussian") == Hole("no checkpoint is named for gaussian R4")
    assert build(DnCNNPeer("weights.pth")) == Hole("no file weights.pth")
    assert with_checkpoint(GuidedDPS("a"), "b") == GuidedDPS("b")
    with pytest.raises(ConfigError, match="no checkpoint"):
        with_checkpoint(ZeroFilled(), "b")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (TrainedNetwork("prior"), "NetworkDenoiser, expected a network from data"),
        (UnfoldedSampling("prior"), "NetworkDenoiser, expected an unfolded"),
        (GuidedDPS("score"), "UnfoldedScore, expected an unconditional"),
    ],
)
def test_a_checkpoint_of_another_kind_is_refused(choice: MethodChoice, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(choice)
