"""A study in one process: what a cell holds, what a second run does, and what happens when something goes wrong."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mrirecon.cli import main
from mrirecon.errors import ConfigError, OutputError
from mrirecon.evaluation.study.records import CellKey
from mrirecon.evaluation.study.results import open_study
from mrirecon.jobs.study import store, worker
from mrirecon.jobs.study.lock import only_run
from mrirecon.jobs.study.status import study_status
from mrirecon.mri.mask_card import MaskCard
from mrirecon.mri.masks import replay
from tests.jobs.study_case import SHAPE, Heard, run, same_images, write_case, write_scan, written

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(configuration, folder) of a study that was run once."""
    folder = tmp_path_factory.mktemp("case")
    config = write_case(folder)
    outcome = run(config, folder / "out")
    assert outcome.results.complete
    assert outcome.problems == {}
    return config, folder / "out"


def copied(finished: tuple[Path, Path], folder: Path) -> tuple[Path, Path]:
    shutil.copytree(finished[1].parent, folder / "case")
    return folder / "case" / "study.yaml", folder / "case" / "out"


def centred_ifft(kspace: np.ndarray) -> np.ndarray:
    shifted = np.fft.ifftshift(kspace, axes=(-2, -1))
    return np.fft.fftshift(np.fft.ifft2(shifted, norm="ortho"), axes=(-2, -1))


def test_a_zero_filled_single_coil_is_what_numpy_says(tmp_path: Path) -> None:
    kspace = write_scan(tmp_path / "one.npy", seed=3, n_coils=1)
    config = write_case(tmp_path, inputs={"one": {"kind": "scan", "files": "one.npy"}})
    study = run(config, tmp_path / "out").results
    key = CellKey("one", "random", 3.0, 1, "zero-filled")
    mask = study.mask(key)
    assert mask.shape == SHAPE
    cell = next(c for c in study.cells if c.key == key)
    assert cell.facts["effective_acceleration"] == pytest.approx(SHAPE[0] / mask.any(axis=1).sum())
    expected = np.abs(centred_ifft(kspace[:, 0]))
    found = np.abs(centred_ifft(kspace[:, 0] * mask))
    reference = study.reference("one")
    assert reference is not None
    scale = reference.sum() / expected.sum()  # of whitening
    np.testing.assert_allclose(reference, scale * expected, rtol=1e-3, atol=1e-4 * reference.max())
    np.testing.assert_allclose(study.image(key), scale * found, rtol=1e-3, atol=1e-4 * reference.max())
    nmse = next(s for s in cell.scores if s.definition.name == "nmse")
    a, b = (values[:, 4:52] for values in (expected, found))  # fastMRI crops the rows to the number of columns
    error = ((a - b) ** 2).sum() / (a**2).sum()
    assert nmse.value == pytest.approx(error, rel=1e-3)
    residual = next(s for s in cell.scores if s.definition.name == "residual")
    assert residual.value < 1e-5  # a zero-filled image agrees with its data


def test_masks_can_be_made_again_from_their_cards(finished: tuple[Path, Path]) -> None:
    study = open_study(finished[1])
    for key in {cell.key for cell in study.cells if cell.key.method == "sense"}:
        record = study.mask_record(key)
        drawn = replay(MaskCard.from_dict(record.card))
        np.testing.assert_array_equal(drawn.mask.expand(SHAPE).numpy(), study.mask(key))
        assert record.effective_acceleration == drawn.card.effective_acceleration
    pairs = [(s, i) for s in (0, 1) for i in ("anna", "bert")]
    masks = {study.mask(CellKey(i, "random", 3.0, s, "sense")).tobytes() for s, i in pairs}
    assert len(masks) == 4  # every input and every seed another one


def test_a_second_run_does_nothing(finished: tuple[Path, Path], tmp_path: Path) -> None:
    config, out = copied(finished, tmp_path)
    before, table = written(out), (out / "scores.csv").read_bytes()
    assert len(before) == 2 * 2 * 2 * 2
    run(config, out)
    assert written(out) == before
    assert (out / "scores.csv").read_bytes() == table


def test_a_change_concerns_only_its_own_cells(finished: tuple[Path, Path], tmp_path: Path) -> None:
    config, out = copied(finished, tmp_path)
    before = written(out)
    text = config.read_text().replace("iterations: 5", "iterations: 6").replace("name: small", "name: other")
    config.write_text(text)
    run(config, out)
    after = written(out)
    assert {name for name in after if after[name] != before[name]} == {n for n in before if n.endswith("/sense")}
    assert open_study(out).name == "other"


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(finished: tuple[Path, Path], tmp_path: Path) -> None:
    config = write_case(tmp_path)
    for name in ("anna", "bert"):
        shutil.copy(finished[0].parent / f"{name}.npy", tmp_path / f"{name}.npy")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "mrirecon.cli", "study", str(config), "--out", str(out), "--no-report"]
    process = subprocess.Popen([*command, "--data", str(tmp_path)], cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(written(out)) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = written(out)
    assert len(before) >= 3
    (out / "cells" / "anna" / ".sense-12ab.partial").mkdir()  # what a killed run may leave
    run(config, out)
    assert before.items() <= written(out).items()
    assert not list(out.rglob("*.partial"))
    assert same_images(out, finished[1])
    assert (out / "scores.csv").read_bytes() == (finished[1] / "scores.csv").read_bytes()


def test_tables_are_tidy(finished: tuple[Path, Path]) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = open_study(finished[1]).rows()
    lines = (finished[1] / "scores.csv").read_text().splitlines()
    assert len(lines) == len(rows) + 1
    table = parquet.read_table(finished[1] / "scores.parquet").to_pylist()
    assert [row["value"] for row in table] == [row["value"] for row in rows]
    assert {row["slice"] for row in table if row["input"] == "bert"} == {None, 1}
    definitions = json.loads((finished[1] / "definitions.json").read_text())
    assert {row["definition"] for row in rows} == set(definitions)
    assert "seconds" not in lines[0]


def test_a_missing_input_is_a_hole_until_it_is_there(tmp_path: Path) -> None:
    inputs = {name: {"kind": "scan", "files": f"{name}.npy", "slices": 1} for name in ("anna", "late")}
    masks = {"accelerations": [2], "centre": 0.2}
    config = write_case(tmp_path, inputs=inputs, masks=masks, methods={"zf": {"kind": "adjoint"}})
    heard = Heard()
    outcome = run(config, tmp_path / "out", heard)
    assert [cell.hole for cell in outcome.results.holes] == ["there is no file late.npy"]
    assert heard.warnings[0] == "late: there is no file late.npy"
    text, complete = study_status(tmp_path / "out")
    assert not complete
    assert "1 of 2 cells done, 1 holes" in text
    before = written(tmp_path / "out")
    write_scan(tmp_path / "late.npy", seed=7)
    assert run(config, tmp_path / "out").results.complete
    after = written(tmp_path / "out")
    assert after["cells/anna/random-R2-s0/zf"] == before["cells/anna/random-R2-s0/zf"]


def test_a_method_that_fails_on_one_cell_leaves_one_hole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write_case(tmp_path, masks={"accelerations": [2], "centre": 0.2})
    original = worker.run_volume

    def failing(method, cache, *, seed, name):
        if name.startswith("anna") and "LeastSquares" in type(method.reconstructor).__name__:
            raise RuntimeError("boom in /home/doe/solver.py")
        return original(method, cache, seed=seed, name=name)

    monkeypatch.setattr(worker, "run_volume", failing)
    study = run(config, tmp_path / "out").results
    assert {c.key.name: c.hole for c in study.holes} == {"anna/random-R2-s0/sense": "RuntimeError: boom in solver.py"}
    monkeypatch.undo()
    assert run(config, tmp_path / "out").results.complete  # an unexpected failure is tried again


def test_what_fails_for_good_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = {"accelerations": [2], "centre": 0.0, "min_centre_lines": 0}  # no lines to calibrate with
    config = write_case(tmp_path, masks=masks, methods={"zf": {"kind": "adjoint"}})
    study = run(config, tmp_path / "out").results
    (hole,) = study.holes  # the other mask happens to sample the origin
    assert not hole.retry
    before = written(tmp_path / "out")
    run(config, tmp_path / "out")
    assert written(tmp_path / "out") == before
    run(config, tmp_path / "out", retry=True)
    after = written(tmp_path / "out")
    assert [name for name in after if after[name] != before[name]] == [f"cells/{hole.key.name}"]


def test_a_full_disk_spares_the_other_cells_and_stops_a_hopeless_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_case(tmp_path)
    original = store.np.save
    full: list[str] = []

    def save(file, values):
        if "image" in str(file) and (full == ["always"] or "anna/random-R2-s1" in str(file)):
            raise OSError(errno.ENOSPC, "No space left on device")
        original(file, values)

    monkeypatch.setattr(store.np, "save", save)
    outcome = run(config, tmp_path / "out")
    assert {key.name for key in outcome.results.missing} == {
        "anna/random-R2-s1/zero-filled",
        "anna/random-R2-s1/sense",
    }
    assert "No space left" in outcome.problems["anna/random-R2-s1/sense"]
    assert len(outcome.results.cells) == 14
    full.append("always")
    shutil.rmtree(tmp_path / "out" / "cells")
    heard = Heard()
    outcome = run(config, tmp_path / "out", heard)
    assert len(outcome.results.missing) == 16
    assert len(outcome.problems) == 3  # then it gave up
    assert "the disk is full" in heard.warnings[-1]
    monkeypatch.undo()
    assert run(config, tmp_path / "out").results.complete


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"methods": {"tv": {"kind": "tv", "weigth": 1}}}, r"methods\.tv\.weigth.*did you mean `methods\.tv\.weight`"),
        ({"masks": {"accelerations": [0.5]}}, r"masks.*`accelerations` must be at least 1"),
        ({"masks": {"accelerations": [2], "centre": {3: 0.1}}}, "`centre` names no share for the acceleration 2"),
        ({"metrics": {"preset": "fastmr"}}, "did you mean 'fastmri'"),
        ({"reference": "mvue"}, "`reference` must be rss for the preset fastmri"),
        ({"methods": {"s": {"kind": "sense", "regularisation": [0.1, 0.2]}}}, r"`methods\.s` has several values"),
        ({"inputs": {"a/b": {"kind": "scan", "files": "anna.npy"}}}, r"`inputs\.a/b`: names must be letters"),
        ({"inputs": {"a": {"kind": "simulated", "spec": "nowhere"}}}, "no data specification 'nowhere'"),
    ],
)
def test_an_impossible_configuration_is_refused(
    tmp_path: Path, change: dict, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_case(tmp_path, **change)
    assert main(["study", str(config), "--out", str(tmp_path / "out"), "--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert not (tmp_path / "out").exists()


def test_other_folders_and_second_runs_are_refused(finished: tuple[Path, Path], tmp_path: Path) -> None:
    config, out = copied(finished, tmp_path)
    with pytest.raises(OutputError, match="holds something that is no study"):
        run(config, config.parent)
    with only_run(out), pytest.raises(OutputError, match="another run works in out"):
        run(config, out)


def test_the_lock_is_gone_when_a_run_ends_and_stays_where_there_is_no_plan_yet(tmp_path: Path) -> None:
    same = {"inputs": {"t": {"kind": "scan", "files": "anna.npy"}}}
    masks = {"accelerations": [2], "centre": 0.2}
    config = write_case(tmp_path, tuning=same, masks=masks)
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="same file"):
        run(config, out)
    assert (out / ".running").exists()  # or the corrected run would take the folder for somebody else's
    run(write_case(tmp_path, masks=masks), out)
    assert not (out / ".running").exists()
    assert not [p for p in out.rglob("*") if p.name.startswith(".")]
    run(write_case(tmp_path, masks=masks), out)


def test_a_lock_that_was_removed_in_between_is_taken_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run may open the file just before the first removes it: what it holds then locks nothing."""
    fcntl = pytest.importorskip("fcntl")
    original, calls = fcntl.flock, []

    def late(file, how):
        if not calls:
            (tmp_path / ".running").unlink()
        calls.append(how)
        original(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with only_run(tmp_path), pytest.raises(OutputError, match="another run works"), only_run(tmp_path):
        pass
    assert len(calls) == 3


def test_the_exit_status_says_whether_holes_remain(
    finished: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, out = copied(finished, tmp_path)
    arguments = ["study", str(config), "--out", str(out), "--data", str(config.parent), "--no-report"]
    assert main(arguments) == 0
    assert "16 of 16 cells done" in capsys.readouterr().out
    (config.parent / "anna.npy").unlink()
    assert main(arguments) == 3  # its cells are there, but cannot be checked against the file
    assert "16 of 16 cells done" in capsys.readouterr().out
    shutil.rmtree(out / "cells" / "anna")
    assert main(arguments) == 3
    assert main(["study", "status", str(out)]) == 3
    assert "hole in anna/random-R2-s0/zero-filled and 7 more" in capsys.readouterr().out


def test_grids_are_searched_on_other_scans(tmp_path: Path) -> None:
    tuning = {"inputs": {"t": {"kind": "scan", "files": "tuning.npy", "slices": 1}}, "metric": "nmse"}
    methods = {"sense": {"kind": "sense", "regularisation": [0.01, 30.0, 0.02]}}
    inputs = {"anna": {"kind": "scan", "files": "anna.npy", "slices": 1}}
    masks = {"accelerations": [2], "centre": 0.2}
    config = write_case(tmp_path, tuning=tuning, methods=methods, inputs=inputs, masks=masks)
    (cell,) = run(config, tmp_path / "out").results.cells
    figures = [
        float(json.loads((tmp_path / "out" / "tuning" / "t" / "random-R2-s0" / f"sense-{i}.json").read_text())["value"])
        for i in range(3)
    ]
    best = int(np.argmin(figures))
    assert best != 1  # 30 smooths everything away
    assert cell.parameters == {"regularisation": methods["sense"]["regularisation"][best]}
    same = write_case(tmp_path, tuning={"inputs": {"t": {"kind": "scan", "files": "anna.npy"}}}, methods=methods)
    with pytest.raises(ConfigError, match="t is the same file as the input anna"):
        run(same, tmp_path / "other")
