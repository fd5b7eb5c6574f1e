"""Every configuration in the repository loads, is complete, and becomes a method."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from mrirecon.config.build import build_reconstructor
from mrirecon.config.load import load_config
from mrirecon.config.schema import TV, ReconstructionConfig, Sense, Undersampling, Unfolded, Wavelet
from mrirecon.errors import ConfigError
from mrirecon.reconstruction.splitting import ProximalGradient
from mrirecon.records import from_mapping, to_mapping

FOLDER = Path(__file__).parents[2] / "configs"
FILES = sorted(
    path for path in FOLDER.glob("*.yaml") if not path.stem.startswith(("train-", "compare-", "study-", "shift-"))
)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_repository_configs_are_complete(path: Path) -> None:
    config = load_config(path)
    assert to_mapping(config) == yaml.safe_load(path.read_text()), "every value that changes a result must be stated"
    if not isinstance(config.method, Unfolded):  # needs a released checkpoint; tests/config/test_build_unfolded.py
        build_reconstructor(config.method)


def test_configuration_survives_a_round_trip() -> None:
    config = ReconstructionConfig(undersampling=Undersampling("random", 5.0, 16), method=TV(form="closed-form"), seed=7)
    assert from_mapping(ReconstructionConfig, to_mapping(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("method: {kind: sens}", "did you mean 'sense'"),
        ("method: {kind: sense, lambda: 1}", "unknown key `method.lambda`"),
        ("preparaton: {}", "did you mean `preparation`"),
        ("undersampling: {acceleration: 0.5}", "at least 1"),
        ("method: {kind: tv, weight: -1}", "not negative"),
        ("method: {kind: wavelet, weight: .nan}", "finite"),
        ("maps: {kind: espirit, sets: 3}", "1 or 2"),
        ("seed: eleven", "`seed` must be int"),
    ],
)
def test_mistakes_are_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        load_config(path)
    assert "config.yaml" in str(caught.value)


def test_choices_become_the_methods_they_name() -> None:
    wavelet = build_reconstructor(Wavelet(iterations=7))
    assert isinstance(wavelet, ProximalGradient)
    assert wavelet.max_iterations == 7
    assert build_reconstructor(Sense(regularisation=0.5)) != build_reconstructor(Sense(regularisation=0.25))
    assert dataclasses.is_dataclass(build_reconstructor(TV()))
