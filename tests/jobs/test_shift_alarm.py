"""The shift alarm: calibration on known distributions, verdict, cues, card, and the whole way through the command."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from mrirecon.cli import main
from mrirecon.data.spec import load_data_spec
from mrirecon.errors import ConfigError
from mrirecon.evaluation.shift_groups import ShiftGroup
from mrirecon.evaluation.shift_profile import ShiftProfile
from mrirecon.io.provenance import read_provenance
from mrirecon.jobs.calibrate_shift import Profiled, load_shift_config, shift_calibration
from mrirecon.jobs.shift_alarm import shift_alarm
from mrirecon.metrics.shift_report import ShiftReport, not_scored
from mrirecon.records import from_mapping, to_mapping
from mrirecon.training.card import read_card, write_card
from mrirecon.training.checkpoint import load_checkpoint, record_shift
from mrirecon.training.shift_card import trained_ranges
from tests.acceptance import checks
from tests.acceptance.networks import write_checkpoint
from tests.acceptance.scans import ScanRecipe, write_scan

ROOT = Path(__file__).parents[2]
LEVELS, BANDS = (0.1, 0.3), (0.5,)
N_FEATURES = 2 * len(LEVELS) * (len(BANDS) + 1) + 10
TRAINING = {
    "objective": {"kind": "score", "levels": {"p_mean": -1.2, "p_std": 1.2, "high_share": 0.0}},
    "data": {
        "simulation": {
            "sizes": [96, 256],
            "undersampling": {"acceleration": [2.0, 8.0], "kinds": {"random": 1.0, "equispaced": 0.0}},
        }
    },
}


def config(**changes):
    group = ShiftGroup("head", ("a",), "train")
    base = load_shift_config(ROOT / "configs" / "shift-alarm-mri.yaml")
    return replace(base, fitted=group, usual=(replace(group, specs=("b",)),), levels=LEVELS, bands=BANDS, **changes)


def profiles(n, seed, *, shift=0.0, group="head", subjects=("anna", "bert")):
    """Features that depend on R and noise, correlated, moved by `shift` standard deviations each."""
    rng = np.random.default_rng(seed)
    found = []
    for i in range(n):
        r, noise = rng.uniform(0.7, 2.0), rng.uniform(-5, -4)
        values = 0.3 * r + 0.1 * noise + 0.2 * (rng.standard_normal(N_FEATURES) + shift) + 0.1 * rng.standard_normal()
        found.append(
            Profiled(group, subjects[i % len(subjects)], ShiftProfile(tuple(values), r, noise, 0.3 + 0.01 * i))
        )
    return found


@pytest.fixture(scope="module")
def calibration():
    return shift_calibration(
        config(false_alarm_rate=0.1),
        {
            "fitted": profiles(200, 1),
            "usual": profiles(300, 2),
            "shifted": [*profiles(60, 3, shift=3.0, group="knee", subjects=("k",)), *profiles(60, 4, group="same")],
            "measured_usual": profiles(100, 5, group="scanner"),
            "measured_shifted": profiles(40, 6, shift=3.0, group="phantom"),
        },
        command="none",
    )


def scores_of(card, scans):
    return card.score(
        np.array([s.profile.features for s in scans]),
        np.array([s.profile.log_acceleration for s in scans]),
        np.array([s.profile.log_noise for s in scans]),
    )


def test_the_threshold_is_exceeded_by_new_usual_scans_as_often_as_it_says(calibration):
    card = calibration.card
    fresh = scores_of(card, profiles(3000, 77))
    assert float((fresh > card.threshold).mean()) == pytest.approx(0.1, abs=0.035)
    assert float(np.sqrt(np.mean(fresh**2))) == pytest.approx(1.0, abs=0.1)
    assert calibration.measured_false_alarms["scanner"] == pytest.approx(0.1, abs=0.09)
    assert set(calibration.false_alarms) == {"anna", "bert"}
    assert all(share < 0.25 for share in calibration.false_alarms.values())


def test_other_scans_are_found_and_the_same_are_not(calibration):
    knee, same = calibration.card.separations
    assert (knee.group, knee.scans, knee.subjects) == ("knee", 60, 1)
    assert knee.low <= knee.auroc <= knee.high
    assert knee.auroc > 0.99
    assert knee.detected > 0.95
    assert same.auroc == pytest.approx(0.5, abs=0.12)
    assert same.low < 0.5 < same.high
    assert calibration.measured[0].group == "phantom"


def test_p_values_count_the_calibration_scans(calibration):
    card = calibration.card
    assert card.p_value(-1.0) == 1.0
    assert card.p_value(1e9) == pytest.approx(1 / 301)
    assert card.p_value(card.threshold + 1e-6) <= 0.1


def test_the_calibration_goes_into_the_card_of_these_weights(calibration, tmp_path):
    folder = write_checkpoint(tmp_path / "tiny", training=TRAINING)
    before = (folder / "model.safetensors").read_bytes()
    written = record_shift(folder, calibration.card)
    assert (folder / "model.safetensors").read_bytes() == before
    assert load_checkpoint(folder).card == written
    assert written.shift == calibration.card
    text = (folder / "model.md").read_text()
    assert "## Shift alarm" in text
    assert "| knee | " in text
    rows = (folder / "model.json").read_text().splitlines()
    assert max(len(row) for row in rows) > 90
    assert len(rows) < 300, "lists of numbers stand on one line"
    weights = folder / "model.safetensors"
    weights.write_bytes(before[:-1] + b"x")
    with pytest.raises(Exception, match="SHA-256"):
        record_shift(folder, calibration.card)


def card_with(calibration, tmp_path, **changes):
    card = read_card(write_checkpoint(tmp_path / "card", training=TRAINING) / "model.json")
    return replace(card, shift=calibration.card and replace(calibration.card, field_strength_t=(1.5, 3.0), **changes))


def alarm(card, scans, *, mask=None, shape=(128, 128), kind=None, field=None):
    mask = (torch.arange(128) % 4 == 0).unsqueeze(0) if mask is None else mask
    found = [s.profile for s in scans]
    return shift_alarm(found, card, mask=mask, shape=shape, mask_kind=kind, field_strength_t=field)


def test_usual_and_unusual_scans_are_called_so(calibration, tmp_path):
    card = card_with(calibration, tmp_path)
    usual = alarm(card, profiles(8, 9), kind="random", field=3.0)
    assert (usual.verdict, usual.warnings, usual.cues) == ("usual", (), ())
    assert usual.planes == 8
    assert "usual. This scan scores like" in usual.sentence
    other = alarm(card, profiles(8, 9, shift=3.0), kind="random")
    assert other.verdict == "unusual"
    assert other.score > other.threshold == calibration.card.threshold
    assert other.p_value < 0.01 < usual.p_value
    assert other.warnings == (other.sentence,)
    assert "classical reconstruction" in other.sentence
    assert from_mapping(ShiftReport, json.loads(json.dumps(to_mapping(other)))) == other


def test_without_calibration_or_planes_there_is_no_score_and_no_all_clear(calibration, tmp_path):
    card = card_with(calibration, tmp_path)
    assert alarm(card, []).verdict == "not scored"
    bare = alarm(replace(card, shift=None), profiles(3, 1))
    assert (bare.verdict, bare.score) == ("not scored", None)
    assert "tiny is not calibrated" in bare.sentence
    assert [cue.name for cue in bare.cues] == ["mask"], "an equispaced mask is seen in any case"
    with pytest.raises(ConfigError, match="needs a score"):
        ShiftReport("usual", "?")
    assert "because of rain" in not_scored("of rain").sentence


@pytest.mark.parametrize(
    ("arguments", "name", "found"),
    [
        ({"kind": "equispaced"}, "mask", "equispaced"),
        ({"mask": torch.rand(128, 128, generator=torch.Generator().manual_seed(1)) < 0.3}, "mask", "poisson-disc"),
        ({"mask": torch.ones(1, 1, dtype=torch.bool), "kind": "random"}, "acceleration", "R = 1"),
        ({"mask": torch.arange(128).unsqueeze(0) % 16 == 0, "kind": "random"}, "acceleration", "R = 16"),
        ({"shape": (128, 512), "mask": (torch.arange(512) % 4 == 0).unsqueeze(0), "kind": "random"}, "matrix", "512"),
        ({"field": 7.0, "kind": "random"}, "field strength", "7 T"),
        ({"field": 0.55, "kind": "random"}, "field strength", "0.55 T"),
    ],
)  # fmt: skip
def test_cues_name_what_lies_outside_the_card(calibration, tmp_path, arguments, name, found):
    report = alarm(card_with(calibration, tmp_path), profiles(8, 9), **arguments)
    assert [cue.name for cue in report.cues] == [name]
    assert found in report.cues[0].found
    assert report.verdict == "usual", "cues do not change the verdict"
    assert report.cues[0].sentence in report.warnings


def test_a_flat_image_is_a_cue_of_contrast(calibration, tmp_path):
    flat = [replace(s, profile=replace(s.profile, contrast=0.01)) for s in profiles(8, 9)]
    report = alarm(card_with(calibration, tmp_path), flat, kind="random")
    assert [cue.name for cue in report.cues] == ["contrast"]


def test_ranges_come_from_the_training_of_the_card():
    ranges = trained_ranges(TRAINING)
    assert (ranges.acceleration, ranges.matrix, ranges.masks) == ((2.0, 8.0), (96, 256), ("random",))
    assert trained_ranges({}).masks is None
    released = read_card(ROOT / "mrirecon" / "checkpoints" / "mri-small.json")
    assert trained_ranges(released.training).masks == ("random",)


def test_the_calibration_of_the_repository_is_complete_and_names_data_that_exist():
    path = ROOT / "configs" / "shift-alarm-mri.yaml"
    found = load_shift_config(path)
    assert to_mapping(found) == yaml.safe_load(path.read_text()), "every value that changes a result must be stated"
    for group in (found.fitted, *found.usual, *found.shifted, *found.measured_usual, *found.measured_shifted):
        for name in group.specs:
            assert group.split in (load_data_spec(ROOT / "data_specs" / f"{name}.yaml").splits or {}), name


def test_people_of_the_threshold_are_not_those_that_were_fitted():
    with pytest.raises(ConfigError, match=r"both name \['a'\]"):
        replace(config(), usual=(ShiftGroup("head", ("a",), "train"),))
    with pytest.raises(ConfigError, match="false_alarm_rate"):
        config(false_alarm_rate=0.7)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    recipe = ScanRecipe(matrix=(3, 40, 36), voxel=(5.0, 4.0, 4.4), n_coils=5)
    return write_scan(tmp_path_factory.mktemp("raw") / "scan.h5", recipe)


def command(raw, out, weights, *more):
    options = ["--method", "unfolded", "--checkpoint", str(weights), "--accelerate", "2", "--centre-lines", "12"]
    assert main(["recon", str(raw), "--out", str(out), *options, "--dicom", *more]) == 0
    return read_provenance(out / "provenance.json")


def checkpoint(folder, threshold):
    """A tiny network whose card knows no features as usual: every scan is far off, and `threshold` decides."""
    write_checkpoint(folder, training=TRAINING)
    sets = {"fitted": profiles(60, 1), "usual": profiles(60, 2)}
    others = {name: [] for name in ("shifted", "measured_usual", "measured_shifted")}
    found = shift_calibration(config(), {**sets, **others}, command="none")
    record_shift(folder, replace(found.card, threshold=threshold))
    return folder


def test_the_command_judges_by_the_card_and_says_so(raw, tmp_path, capsys):
    record = command(raw, tmp_path / "out", checkpoint(tmp_path / "strict", 0.01))
    found = from_mapping(ShiftReport, record.shift)
    assert (found.verdict, found.checkpoint, found.planes) == ("unusual", "tiny", 3)
    assert math.isfinite(found.score)
    assert {cue.name for cue in found.cues} >= {"mask", "matrix"}
    said = capsys.readouterr().err
    assert said.count(found.sentence) == 1
    assert found.sentence in record.warnings
    header = checks.headers_of(tmp_path / "out" / "dicom")[0]
    assert "UNUSUAL" in str(header.ImageComments) + str(header.get("DerivationDescription"))

    lenient = command(raw, tmp_path / "calm", checkpoint(tmp_path / "lenient", 1e9))
    calm = from_mapping(ShiftReport, lenient.shift)
    assert calm.verdict == "usual"
    assert calm.score == found.score, "the same scan and seed score alike"
    assert calm.sentence in capsys.readouterr().err
    assert calm.sentence not in lenient.warnings


def test_it_can_be_left_out_and_never_changes_the_image(raw, tmp_path, capsys):
    weights = checkpoint(tmp_path / "strict", 0.01)
    record = command(raw, tmp_path / "without", weights, "--no-shift-alarm", "--npy")
    assert record.shift is None
    assert "Shift alarm" not in capsys.readouterr().err
    command(raw, tmp_path / "with", weights, "--npy")
    images = [np.load(tmp_path / name / "image.npy") for name in ("with", "without")]
    assert np.array_equal(*images)


def test_a_card_without_calibration_scores_nothing(raw, tmp_path):
    weights = write_checkpoint(tmp_path / "bare", training=TRAINING)
    record = command(raw, tmp_path / "out", weights)
    assert record.shift["verdict"] == "not scored"
    card = read_card(weights / "model.json")
    write_card(tmp_path / "again.json", card)
    assert read_card(tmp_path / "again.json") == card
    assert card.shift is None
