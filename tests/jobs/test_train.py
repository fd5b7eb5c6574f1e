"""`mrirecon train` from a configuration to a checkpoint: resuming, signals, several processes, and mistakes."""

import csv
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from mrirecon.cli import main
from mrirecon.data.image_examples import ImageExamples
from mrirecon.errors import FormatError
from mrirecon.training.checkpoint import load_checkpoint
from mrirecon.training.state import read_state, state_files
from tests.jobs.training_case import SPEC, write_case

REPOSITORY = Path(__file__).parents[2]


def train(config, out, *options):
    return main(["train", str(config), "--out", str(out), "--data", str(config.parent), *options])


def in_own_session(command, variables):
    """Status and messages of a command that starts processes of its own; after ten minutes all of them are ended.

    A process that dies by a signal says where all its threads were.
    """
    environment = {**os.environ, "PYTHONFAULTHANDLER": "1", **variables}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        _, messages = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its workers
        _, messages = process.communicate(timeout=60)
        messages += "\n(ended after ten minutes)"
    return process.returncode, messages


def losses(out):
    with (out / "log.csv").open() as file:
        return {int(row["step"]): float(row["loss"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("case")
    config = write_case(folder)
    assert train(config, folder / "out", "--threads", "1") == 0
    return config, folder / "out"


def test_a_training_leaves_log_pictures_states_and_a_checkpoint(finished):
    _, out = finished
    assert list(losses(out)) == [1, 2, 3, 4, 5, 6]
    with (out / "validation.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["step"] == "6"
    picture = np.asarray(Image.open(out / "validation" / "step-000000006.png"))
    assert picture.shape[1] == 4 * 36 + 5 * 4
    assert len(np.unique(picture)) > 50
    assert [path.name for path in state_files(out / "state")] == ["step-000000006.pt"]
    checkpoint = load_checkpoint(out)
    card = checkpoint.card
    assert (card.steps, card.batches, card.releasable, card.sigma_data) == (6, 12, True, 0.5)
    assert card.data[0].licence == "CC0-1.0"
    assert card.metrics["psnr_db"] == pytest.approx(float(row["psnr_db"]))
    assert "super-resolution-4" in card.operator_families
    average = read_state(out / "state" / "step-000000006.pt").content["average"]["weights"]
    for name, value in checkpoint.module.named_parameters():
        assert torch.equal(value, average[name])
    assert not list(out.rglob("*.partial"))


def test_stopping_and_going_on_repeats_the_losses(finished, tmp_path):
    config, whole = finished
    assert train(config, tmp_path / "out", "--steps", "6", "--minutes", "1e-9") == 0  # stops after its first step
    assert list(losses(tmp_path / "out")) == [1]
    assert load_checkpoint(tmp_path / "out").card.steps == 1
    assert train(config, tmp_path / "out", "--minutes", "1e-9") == 0
    assert train(config, tmp_path / "out") == 0
    assert losses(tmp_path / "out") == losses(whole)
    last = [read_state(state_files(out / "state")[-1]).content["module"] for out in (whole, tmp_path / "out")]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])
    assert len(state_files(tmp_path / "out" / "state")) == 2


def test_a_finished_training_goes_on_when_asked_for_more_steps(finished, tmp_path, capsys):
    config, _ = finished
    out = tmp_path / "out"
    assert train(config, out, "--steps", "2") == 0
    assert train(config, out, "--steps", "4") == 0
    assert list(losses(out)) == [1, 2, 3, 4]
    assert "going on from step 2" in capsys.readouterr().err
    assert train(config, out, "--steps", "3") == 2
    assert "holds 4 steps" in capsys.readouterr().err


def test_another_configuration_is_refused_by_name_and_monitoring_is_free(finished, tmp_path, capsys):
    config, _ = finished
    out = tmp_path / "out"
    assert train(config, out, "--steps", "1") == 0
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    other = write_case(tmp_path, optimisation={"learning_rate": 1e-3})
    assert train(other, out) == 2
    assert "`optimisation.learning_rate` = 0.002, now it is 0.001" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    free = write_case(
        tmp_path, monitoring={"log_every": 2, "validation": None}, execution={"prefetch": 3}, release=False
    )
    assert train(free, out, "--steps", "2") == 0


def test_a_damaged_state_falls_back_to_the_one_before(finished, tmp_path, capsys):
    config, whole = finished
    out = tmp_path / "out"
    for _ in range(2):
        assert train(config, out, "--minutes", "1e-9") == 0
    newest = state_files(out / "state")[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    assert train(config, out) == 0
    assert "going on from step 1 " in capsys.readouterr().err
    assert losses(out) == losses(whole)


def test_sigterm_saves_and_ends_with_130(tmp_path):
    config = write_case(tmp_path, optimisation={"steps": 100_000})
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mrirecon.cli", "train", str(config), "--out", str(out), "--data", str(tmp_path)]
    process = subprocess.Popen([*command, "--threads", "1"], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            if (out / "log.csv").exists() and len(losses(out)) > 2:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, messages = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, messages
    steps = list(losses(out))
    assert steps == list(range(1, len(steps) + 1))
    assert read_state(state_files(out / "state")[-1]).step == steps[-1]
    assert load_checkpoint(out).card.steps == steps[-1]


def test_two_processes_do_what_one_does_with_twice_the_accumulation(finished, tmp_path):
    _, whole = finished
    config = write_case(tmp_path, optimisation={"accumulation": 1})
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "mrirecon.cli", "train", str(config), "--out", str(tmp_path / "out"), "--data", str(tmp_path),
    ]  # fmt: skip
    status, messages = in_own_session(command, {"OMP_NUM_THREADS": "1"})
    assert status == 0, messages
    together, alone = losses(tmp_path / "out"), losses(whole)
    assert list(together) == list(alone)
    for step, loss in alone.items():
        assert together[step] == pytest.approx(loss, rel=2e-4)
    assert load_checkpoint(tmp_path / "out").card.batches == 12
    single = write_case(tmp_path)  # goes on alone with accumulation 2
    assert train(single, tmp_path / "out", "--steps", "7") == 0


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"model": {"blcks": 3}}, (), "did you mean `model.blocks`"),
        ({"objective": {"kind": "denoiser"}}, (), "trained with ScoreObjective"),
        ({"data": {"specs": ["wave"]}}, (), "it has: waves"),
        ({"data": {"split": "test"}}, (), "no split 'test'"),
        ({"data": {"split": "validation"}}, (), "trained on"),
        ({"optimisation": {"steps": 0}}, (), "at least 1"),
        ({}, ("--minutes", "0"), "--minutes must be positive"),
        ({}, ("--threads", "0"), "--threads"),
        ({}, ("--device", "abacus"), "device 'abacus'"),
        ({}, ("--data", "nowhere"), "root of the data"),
        ({}, ("--specs", "nowhere"), "--specs must be a folder"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(tmp_path, capsys, changes, options, message):
    config = write_case(tmp_path, **changes)
    assert train(config, tmp_path / "out", *options) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.startswith("mrirecon: ")
    assert errors.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_weights_are_not_released_against_a_licence(tmp_path, capsys):
    config = write_case(tmp_path)
    spec = tmp_path / "data_specs" / "waves.yaml"
    spec.write_text(yaml.safe_dump({**SPEC, "licence": {**SPEC["licence"], "release": False}}))
    assert train(config, tmp_path / "out") == 2
    assert "licence of waves does not allow" in capsys.readouterr().err
    private = write_case(tmp_path, release=False)
    spec.write_text(yaml.safe_dump({**SPEC, "licence": {**SPEC["licence"], "release": False}}))
    assert train(private, tmp_path / "out", "--steps", "1") == 0
    assert not load_checkpoint(tmp_path / "out").card.releasable


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    config = write_case(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    assert train(config, out) == 2
    assert "holds no training" in capsys.readouterr().err
    assert [p.name for p in out.iterdir()] == ["thesis.txt"]


def test_losses_that_are_not_finite_end_with_a_state(tmp_path, capsys):
    wild = {"learning_rate": 1e30, "warmup": 0, "clip_norm": None, "max_skipped": 3}
    config = write_case(tmp_path, optimisation=wild)
    assert train(config, tmp_path / "out") == 2
    errors = capsys.readouterr().err
    assert "not finite in 3 steps in a row" in errors
    assert state_files(tmp_path / "out" / "state")


def test_an_error_in_the_middle_saves_what_was_reached(tmp_path, capsys, monkeypatch):
    def failing(self, index, *, draw=ImageExamples.batch):
        if index == 5:
            raise FormatError(tmp_path / "picture.png", "became unreadable")
        return draw(self, index)

    config = write_case(tmp_path)
    monkeypatch.setattr(ImageExamples, "batch", failing)
    assert train(config, tmp_path / "out", "--steps", "50") == 2
    assert "became unreadable" in capsys.readouterr().err
    assert read_state(state_files(tmp_path / "out" / "state")[-1]).step == 2  # of two batches each


def test_fine_tuning_starts_from_the_weights_of_a_checkpoint(finished, tmp_path, capsys):
    _, whole = finished
    slow = write_case(tmp_path, optimisation={"learning_rate": 1e-12})
    out = tmp_path / "out"
    assert train(slow, out, "--steps", "1", "--start", str(whole)) == 0
    before, after = load_checkpoint(whole), load_checkpoint(out)
    for name, value in before.module.named_parameters():
        torch.testing.assert_close(dict(after.module.named_parameters())[name], value, rtol=1e-6, atol=1e-9)
    assert before.card.weights_sha256 in after.card.history[-1]
    assert train(slow, out, "--steps", "2") == 0
    assert before.card.weights_sha256 in load_checkpoint(out).card.history[-1]
    capsys.readouterr()
    assert train(slow, out, "--steps", "3", "--start", str(out)) == 2
    assert "did not start from" in capsys.readouterr().err
    other = write_case(tmp_path, model={"blocks": 2})
    assert train(other, tmp_path / "other", "--start", str(whole)) == 2
    assert "another model" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()
    update = {"kind": "prox", "iterations": 2, "start_iterations": 2}
    assert (
        train(write_case(tmp_path, model={"update": update}), tmp_path / "more", "--start", str(whole), "--steps", "1")
        == 0
    )
    assert load_checkpoint(tmp_path / "more").card.model["update"]["iterations"] == 2


def test_half_precision_and_recomputation_resume_to_the_same_losses(tmp_path):
    execution = {"precision": "bf16", "activation_checkpointing": True, "prefetch": 2}
    config = write_case(tmp_path, execution=execution, monitoring={"validation": None})
    assert train(config, tmp_path / "whole", "--steps", "4") == 0
    for _ in range(2):
        assert train(config, tmp_path / "parts", "--steps", "4", "--minutes", "1e-9") == 0
    assert train(config, tmp_path / "parts", "--steps", "4") == 0
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    exact = write_case(tmp_path, monitoring={"validation": None})
    assert train(exact, tmp_path / "exact", "--steps", "4") == 0
    for step, loss in losses(tmp_path / "exact").items():
        assert losses(tmp_path / "whole")[step] == pytest.approx(loss, rel=0.02)
    assert losses(tmp_path / "exact") != losses(tmp_path / "whole")


def test_progress_says_how_long_it_takes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mrirecon.jobs.training_monitor._SPEAK_EVERY_S", 0.0)
    config = write_case(tmp_path, monitoring={"validation": None})
    assert train(config, tmp_path / "out", "--steps", "2") == 0
    lines = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"step 1/2  loss [\d.]+  rate 0\.001  \S+ s/step  \d+:\d\d:\d\d left", lines[1])
    assert lines[2].endswith("0:00:00 left")


def test_tensorboard_log_on_request(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra `train` is not installed")
    config = write_case(tmp_path, monitoring={"tensorboard": True})
    assert train(config, tmp_path / "out", "--steps", "2") == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    events.Reload()
    written = [event.value for event in events.Scalars("train/loss")]
    assert written == pytest.approx(list(losses(tmp_path / "out").values()))
    assert len(events.Scalars("validation/psnr_db")) == 1
