"""Checkpoints: what is written is what is loaded, and nothing damaged, foreign or changed gets through."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

import mrirecon.checkpoints
from mrirecon.data.spec import file_sha256
from mrirecon.diffusion.parametrisation import DenoiserConfig
from mrirecon.errors import ConfigError, FormatError
from mrirecon.networks.unet import CompactConfig
from mrirecon.reconstruction.unfolding import ReleasedUpdate, UnfoldedConfig
from mrirecon.records import to_mapping
from mrirecon.training import checkpoint as module_under_test
from mrirecon.training.card import Card, DataCard, UncertaintyCard, read_card, write_card
from mrirecon.training.checkpoint import find_checkpoint, load_checkpoint, record_uncertainty, save_checkpoint
from mrirecon.training.models import build_model, model_kind

NETWORK = CompactConfig(width=4, multipliers=(1, 2))
CONFIGS = {
    "complex": UnfoldedConfig(blocks=2, network=NETWORK),
    "real": UnfoldedConfig(image="real", blocks=1, network=NETWORK),
    "released": UnfoldedConfig(blocks=1, network=NETWORK, update=ReleasedUpdate(residual="adjoint")),
    "denoiser": DenoiserConfig(network=NETWORK),
    "real denoiser": DenoiserConfig(image="real", network=NETWORK),
}


def trained(config, seed=1):
    """A model whose zero-initialised parts are not zero any more."""
    module = build_model(config, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return module


def card_of(config, **changes):
    data = DataCard("waves", "Plane waves", ("none",), "CC0-1.0", True, "train")
    card = Card(
        name="test", model=to_mapping(config), normalisation="none", sigma_data=0.5, operator_families=("random",),
        data=(data,), training={"steps": 3}, steps=3, batches=6, hours=0.1, parameters=1, created="2026-01-01T00:00:00",
        software={"torch": "2"}, metrics={"psnr_db": 30.0},
    )  # fmt: skip
    return replace(card, **changes)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=list(CONFIGS))
def test_round_trip(tmp_path, config):
    module = trained(config)
    written = save_checkpoint(tmp_path / "m", module, card_of(config))
    loaded = load_checkpoint(tmp_path / "m")
    assert loaded.card == written
    assert not loaded.module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, loaded.module.state_dict()[name])
    probe = model_kind(config.kind).probe
    with torch.no_grad():
        assert torch.equal(probe(module.eval()), probe(loaded.module))
        assert not torch.allclose(probe(module), probe(build_model(config, seed=1).eval()), rtol=1e-2)
    assert written.weights_sha256 == file_sha256(tmp_path / "m" / "model.safetensors")


def test_bfloat16_storage_halves_the_file_and_rounds_once(tmp_path):
    module = trained(CONFIGS["complex"])
    for dtype in ("float32", "bfloat16"):
        save_checkpoint(tmp_path / dtype, module, card_of(CONFIGS["complex"], weights_dtype=dtype))
    full, half = ((tmp_path / d / "model.safetensors").stat().st_size for d in ("float32", "bfloat16"))
    assert half < 0.7 * full
    loaded = load_checkpoint(tmp_path / "bfloat16").module
    for name, value in module.named_parameters():
        assert torch.equal(value.bfloat16().float(), dict(loaded.named_parameters())[name])
    for name, value in module.named_buffers():
        assert torch.equal(value, dict(loaded.named_buffers())[name])


def test_loading_and_saving_leave_the_global_randomness_alone(tmp_path):
    torch.manual_seed(4)
    before = torch.random.get_rng_state()
    save_checkpoint(tmp_path, trained(CONFIGS["real"]), card_of(CONFIGS["real"]))
    load_checkpoint(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path, trained(CONFIGS["real"]), card_of(CONFIGS["real"]))
    return tmp_path


def changed_card(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_flipped_byte_is_noticed(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="SHA-256 of the weights must be"):
        load_checkpoint(folder)


def test_a_truncated_file_is_noticed_even_unverified(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FormatError, match="cannot be read"):
        load_checkpoint(folder, verify=False)


def test_an_unknown_card_version_is_named(folder):
    changed_card(folder, schema_version=99)
    with pytest.raises(FormatError, match="expected card version 1, got 99"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": "cookies"}, "schema"),
        ({"model": {"kind": "oracle"}}, "no model of kind 'oracle'"),
        ({"steps": "many"}, "`steps` must be int"),
        ({"colour": "red"}, "unknown key `colour`"),
    ],
)
def test_a_card_that_is_none_is_refused(folder, changes, message):
    changed_card(folder, **changes)
    with pytest.raises((FormatError, ConfigError), match=message):
        load_checkpoint(folder)


def test_weights_of_another_model_are_refused(folder):
    other = to_mapping(UnfoldedConfig(image="real", blocks=2, network=NETWORK))
    changed_card(folder, model=other)
    with pytest.raises(FormatError, match="weights and card do not fit"):
        load_checkpoint(folder)


def test_a_model_that_computes_something_else_fails_the_self_test(folder):
    """As if the program had changed: here the weights, with a card that agrees with the file."""
    path = folder / "model.safetensors"
    weights = load_file(path)
    weights["blocks.0.stem.weight"] = weights["blocks.0.stem.weight"] * 1.1
    save_file(weights, path)
    changed_card(folder, weights_sha256=file_sha256(path))
    with pytest.raises(FormatError, match="self-test fails: relative error"):
        load_checkpoint(folder)
    load_checkpoint(folder, verify=False)


def test_missing_self_test_is_refused(folder):
    path = folder / "model.safetensors"
    weights = load_file(path)
    del weights["self_test.output"]
    save_file(weights, path)
    changed_card(folder, weights_sha256=file_sha256(path))
    with pytest.raises(FormatError, match="no self-test"):
        load_checkpoint(folder)


def test_names_and_paths(folder, tmp_path, monkeypatch):
    weights = folder / "model.safetensors"
    assert find_checkpoint(weights) == weights
    assert find_checkpoint(folder / "model.json") == weights
    released = tmp_path / "released"
    save_checkpoint(released / "mri-tiny.safetensors", trained(CONFIGS["complex"]), card_of(CONFIGS["complex"]))
    monkeypatch.setattr(mrirecon.checkpoints, "__file__", str(released / "__init__.py"))
    assert load_checkpoint("mri-tiny").card.kind == "unfolded"
    assert module_under_test.released_checkpoints() == ("mri-tiny",)
    with pytest.raises(ConfigError, match="released name \\(mri-tiny\\)"):
        load_checkpoint("mri-huge")
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        load_checkpoint(tmp_path / "nowhere" / "x.safetensors")


def test_released_checkpoints_load_and_may_be_released():
    for name in module_under_test.released_checkpoints():
        card = load_checkpoint(name).card
        assert card.releasable, name
        assert not [note for note in card.notes if "SHA-256" in note], "where weights come from is no limit of use"


def test_where_weights_come_from_is_history_in_old_cards_too(folder):
    origin = f"Started from the weights with SHA-256 {'ab' * 32}."
    path = folder / "model.json"
    content = json.loads(path.read_text())
    del content["history"]
    path.write_text(json.dumps({**content, "notes": ["For research only.", origin, "Heads only."]}))
    card = read_card(path)
    assert card.notes == ("For research only.", "Heads only.")
    assert card.history == (origin,)
    write_card(path, card, overwrite=True)
    assert read_card(path) == card, "once moved it stays"
    del content["notes"]
    path.write_text(json.dumps(content))
    assert read_card(path).history == ()


def test_a_number_that_is_not_finite_is_not_written(tmp_path):
    with pytest.raises(ConfigError, match="finite"):
        save_checkpoint(tmp_path, trained(CONFIGS["real"]), card_of(CONFIGS["real"], metrics={"psnr_db": float("nan")}))
    assert not (tmp_path / "model.json").exists()


def test_card_reading_names_the_file(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(FormatError, match=r"x\.json.*not JSON"):
        read_card(tmp_path / "x.json")


FOUND = UncertaintyCard(
    level=0.9, factor=1.37, coverage_before=0.712, coverage_after=0.885, slices=24, subjects=("bert", "carl"),
    calibration_slices=32, calibration_subjects=("anna",), trained_on_calibration=True, steps=8, samples=16,
    sampler="euler", command="python -m pipelines.calibrate_uncertainty --checkpoint test",
)  # fmt: skip


def test_a_calibration_goes_into_the_card_and_its_page_and_leaves_the_weights(folder):
    weights = folder / "model.safetensors"
    before, loaded = weights.read_bytes(), load_checkpoint(folder).card
    assert loaded.uncertainty is None
    page = folder / "model.md"
    page.write_text(
        "# test\n\nBy hand.\n\n## Uncertainty\n\nold 0.123\n\n### of slices\n\nold\n\n## Limits\n\nHeads.\n"
    )
    written = record_uncertainty(folder, FOUND)
    assert weights.read_bytes() == before
    assert load_checkpoint(folder).card == written == replace(loaded, uncertainty=FOUND)
    text = page.read_text()
    assert text.startswith("# test\n\nBy hand.\n\n## Uncertainty\n\nThe 90 % interval")
    assert text.endswith("\n\n## Limits\n\nHeads.\n")
    assert "old" not in text
    for words in ("71.2 %", "88.5 %", "1.370", "24 slices of bert, carl", "32 slices of anna", "trained on these too",
                  "16 samples, 8 euler steps", FOUND.command):  # fmt: skip
        assert words in text, words
    record_uncertainty(weights, replace(FOUND, factor=2.0, trained_on_calibration=False))
    again = page.read_text()
    assert again.count("## Uncertainty") == 1
    assert "2.000" in again
    assert "trained on these too" not in again
    page.unlink()
    record_uncertainty(folder, FOUND)
    assert page.read_text().startswith("# test\n\n## Uncertainty\n\nThe 90 %")


def test_cards_of_before_load_and_other_weights_get_no_calibration(folder):
    path = folder / "model.json"
    content = json.loads(path.read_text())
    del content["uncertainty"]
    path.write_text(json.dumps(content))
    assert load_checkpoint(folder).card.uncertainty is None
    with pytest.raises(ConfigError, match="no checkpoint at"):
        record_uncertainty("mri-small", FOUND)  # a released name is no place to write to
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(FormatError, match="SHA-256"):
        record_uncertainty(folder, FOUND)
    assert not (folder / "model.md").exists()


@pytest.mark.parametrize(
    "change", [{"factor": 0.0}, {"factor": float("inf")}, {"level": 1.0}, {"coverage_after": 88.5}]
)
def test_impossible_calibrations_are_refused(change):
    with pytest.raises(ConfigError):
        replace(FOUND, **change)
