"""From a choice of checkpoint and sampler to a method: what is loaded, which levels, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mrirecon.config.build import build_reconstructor
from mrirecon.config.build_training import validation_levels
from mrirecon.config.build_unfolded import build_unfolded
from mrirecon.config.schema import ReconstructionConfig, Unfolded
from mrirecon.config.train_schema import MRIData
from mrirecon.data.mri_examples import MRISimulation
from mrirecon.diffusion.losses import NoiseLevels
from mrirecon.errors import ConfigError
from mrirecon.evaluation.method_choices import Sampling, UnfoldedSampling
from mrirecon.evaluation.methods import Method, Network, build_method
from mrirecon.networks.precision import fast_precision
from mrirecon.reconstruction.normalised import Normalised
from mrirecon.reconstruction.posterior import PosteriorSampler
from mrirecon.records import from_mapping, to_mapping
from mrirecon.training.levels import level_range, trained_levels
from mrirecon.training.objectives import ScoreObjective
from tests.acceptance.networks import NOTE, write_checkpoint


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny")


def sampler_of(method: object) -> PosteriorSampler:
    assert isinstance(method, Normalised)
    assert isinstance(method.method, PosteriorSampler)
    return method.method


def test_the_choice_becomes_a_normalised_sampler_of_the_checkpoint(weights: Path) -> None:
    trained = build_unfolded(
        Unfolded(weights, steps=4, samples=3, sampler="heun", churn=2.0, precision="fp32"), image="complex"
    )
    sampler = sampler_of(trained.method)
    assert (sampler.n_samples, sampler.method, sampler.churn.s_churn) == (3, "heun", 2.0)
    assert trained.card.notes == (NOTE,)
    assert trained.record()["sha256"] == trained.card.weights_sha256
    assert len(trained.card.weights_sha256) == 64
    assert {n.precision for n in sampler.conditional.networks} == {"fp32"}
    assert len(trained.levels) == len(sampler.levels) == 4


def test_levels_are_those_of_the_training_unless_given(weights: Path) -> None:
    low, high = level_range(ScoreObjective().levels)

    def levels(**changes: object) -> tuple[float, ...]:
        return build_unfolded(Unfolded(weights, **changes), image="complex").levels

    assert levels() == pytest.approx((high,))
    assert levels(steps=3) == pytest.approx((high, 1.0, low))  # sigma_data is 0.5
    assert levels(steps=3, sigma_jump=0.3) == pytest.approx((high, 0.3, low))
    assert levels(steps=3, sampler="heun")[::2] == pytest.approx((high, low))
    assert levels(steps=3, sampler="heun")[1] != pytest.approx(1.0)
    assert levels(sigma_max=5.0) == (5.0,)
    assert levels(steps=3, sigma_max=5.0) == pytest.approx((5.0, 1.0, low))
    assert levels(steps=2, sigma_max=0.9, sigma_min=0.5) == pytest.approx((0.9, 0.5)), "no room for a jump"
    with pytest.raises(ConfigError, match="sigma_min < sigma_max"):
        levels(steps=2, sigma_max=0.001)
    with pytest.raises(ConfigError, match="sigma_jump"):
        levels(steps=2, sigma_jump=100.0)


def test_command_line_comparison_and_validation_sample_alike(weights: Path) -> None:
    trained = build_unfolded(Unfolded(weights, steps=5), image="complex")
    score = sampler_of(trained.method).conditional
    validated = validation_levels(ScoreObjective(), score.config, 5)
    assert tuple(validated.tolist()) == trained.levels
    network = Network(score, trained.card.weights_sha256, trained_levels(trained.card))
    choice = UnfoldedSampling(str(weights), Sampling(steps=5))
    compared = build_method(choice, setting="", family="", load=lambda name: network, root=Path("nowhere"))
    assert isinstance(compared, Method)
    assert compared.reconstructor.levels.tolist() == list(trained.levels)
    assert trained.levels[1] == pytest.approx(2 * score.config.sigma_data)


def test_the_range_of_levels_covers_both_parts_of_the_distribution() -> None:
    generator = torch.Generator().manual_seed(0)
    for levels in (
        NoiseLevels(p_mean=-2.0, p_std=1.0),
        NoiseLevels(p_mean=-2.5, p_std=1.2, high_share=0.5, high_range=(0.3, 20.0)),
        NoiseLevels(high_share=1.0, high_range=(0.3, 20.0)),
    ):
        low, high = level_range(levels)
        drawn = levels.draw(20000, generator)
        assert float(((drawn >= low) & (drawn <= high)).float().mean()) > 0.985
        assert low < float(drawn.quantile(0.02))
        assert high > float(drawn.quantile(0.98))


def test_a_card_that_says_nothing_about_levels_needs_them_given(tmp_path: Path) -> None:
    silent = write_checkpoint(tmp_path / "silent", training={})
    with pytest.raises(ConfigError, match="sigma_max"):
        build_unfolded(Unfolded(silent), image="complex")
    assert build_unfolded(Unfolded(silent, sigma_max=20.0), image="complex").levels == (20.0,)


def test_data_noisier_than_the_training_raise_doubts(tmp_path: Path, weights: Path) -> None:
    training = {"objective": to_mapping(ScoreObjective()), "data": to_mapping(MRIData(("x",)))}
    card = build_unfolded(Unfolded(write_checkpoint(tmp_path / "noisy", training=training)), image="complex")
    limit = MRISimulation().noise[1]
    assert card.doubts(limit) == ()
    (doubt,) = card.doubts(2 * limit)
    assert f"up to {limit:.2g}" in doubt
    assert build_unfolded(Unfolded(weights), image="complex").doubts(9.0) == (), "nothing is known, nothing is said"


def test_checkpoints_of_another_kind_are_refused(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ConfigError, match="complex images"):
        build_unfolded(Unfolded(weights), image="real")
    photographs = write_checkpoint(tmp_path / "photographs", "real")
    with pytest.raises(ConfigError, match="photographs"):
        build_reconstructor(Unfolded(photographs))
    with pytest.raises(ConfigError, match="no checkpoint 'nowhere'"):
        build_reconstructor(Unfolded(Path("nowhere")))


def test_photographs_are_sampled_without_normalisation(tmp_path: Path) -> None:
    trained = build_unfolded(Unfolded(write_checkpoint(tmp_path / "image", "real")), image="real")
    assert isinstance(trained.method, PosteriorSampler)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": 4}, "set `steps` to 8"),
        ({"steps": 0}, "at least 1"),
        ({"samples": 0}, "at least 1"),
        ({"churn": -1.0}, "churn"),
        ({"sampler": "heun", "sigma_jump": 0.5}, "euler"),
        ({"sigma_max": 0.0}, "sigma_max"),
        ({"sigma_min": float("inf")}, "sigma_min"),
    ],
)
def test_impossible_choices(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(Unfolded(), **changes)


def test_the_choice_survives_a_round_trip_and_names_no_folder(weights: Path) -> None:
    config = ReconstructionConfig(method=Unfolded(weights, steps=8, samples=2))
    mapping = to_mapping(config)
    assert mapping["method"]["checkpoint"] == "tiny"
    again = from_mapping(ReconstructionConfig, mapping)
    assert again == replace(config, method=replace(config.method, checkpoint=Path("tiny")))


def test_precision_follows_the_hardware(weights: Path) -> None:
    native = fast_precision("cpu")
    assert native in ("fp32", "bf16")
    assert build_unfolded(Unfolded(weights), image="complex").precision == native
    assert fast_precision("meta") == "fp32"
