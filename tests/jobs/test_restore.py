"""The restore command: what it writes, that it repeats, that it is right where the answer is known, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from mrirecon.cli import main
from mrirecon.data.restoration_tasks import observed_problem, restoration_tasks
from mrirecon.io.kernel import read_kernel
from mrirecon.io.picture_levels import read_photograph, write_photograph
from mrirecon.io.provenance import read_provenance, sha256_of
from mrirecon.operators.kernels import motion_kernel
from mrirecon.reconstruction.unfolding import UnfoldedConfig
from mrirecon.training.card import UncertaintyCard
from mrirecon.training.checkpoint import record_uncertainty
from mrirecon.training.models import build_model
from tests.acceptance import networks
from tests.acceptance.networks import NOTE, write_checkpoint


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("weights") / "tiny", "real")


@pytest.fixture(scope="module")
def physics(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights as before any training: the networks add nothing, what remains are data steps under a white prior."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(networks, "tiny_score", lambda image, seed: build_model(CONFIG, seed=seed))
        return write_checkpoint(tmp_path_factory.mktemp("weights") / "physics", "real")


CONFIG = UnfoldedConfig(image="real", blocks=1, network=networks.tiny_score("real").config.network)


def picture(height: int = 66, width: int = 73, channels: int = 1, top: int = 255) -> NDArray[np.uint8 | np.uint16]:
    y, x = np.mgrid[:height, :width]
    planes = [0.5 + 0.3 * np.sin(0.2 * y + c) * np.cos(0.13 * x) + 0.2 * (abs(x - 30) < 12) for c in range(channels)]
    levels = np.rint(np.clip(np.stack(planes), 0, 1) * top)
    return levels.astype(np.uint8 if top == 255 else np.uint16)


def write(path: Path, *, channels: int = 1, top: int = 255) -> Path:
    write_photograph(path, picture(channels=channels, top=top))
    return path


def restore(image: Path, out: Path, weights: Path, *more: str) -> Path:
    assert main(["restore", str(image), "--out", str(out), "--checkpoint", str(weights), *more]) == 0
    assert not [p for p in out.parent.iterdir() if p.name.endswith(".partial")]
    return out


TASKS = {
    "sr4": "degraded.png",
    "deblur-gauss": "kernel.npy",
    "deblur-motion": "kernel.npy",
    "inpaint-box": "mask.png",
    "inpaint-random": "mask.png",
    "denoise": "degraded.png",
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("channels", "top"), [(1, 255), (3, 255), (1, 65535)], ids=["grey", "colour", "16 bits"])
def test_simulations(task: str, channels: int, top: int, weights: Path, tmp_path: Path) -> None:
    image = write(tmp_path / "clean.png", channels=channels, top=top)
    options = ["--task", task, "--simulate", "--steps", "2", "--samples", "2"]
    out = restore(image, tmp_path / "out", weights, *options)
    clean, restored = read_photograph(image).pixels, read_photograph(out / "restored.png").pixels
    assert restored.shape == clean.shape
    assert restored.dtype == clean.dtype
    degraded = read_photograph(out / "degraded.png").pixels
    assert degraded.shape == ((channels, 17, 19) if task == "sr4" else clean.shape)
    record = read_provenance(out / "provenance.json")
    names = {f.name for f in record.outputs}
    assert names >= {"restored.png", "degraded.png", "standard_deviation.png", "standard_deviation.npy", TASKS[task]}
    reported = {note.split(":")[0]: float(note.split(":")[1]) for note in record.notes if "_psnr_db" in note}
    error = np.mean((restored.astype(float) - clean) ** 2)
    assert reported["restored_psnr_db"] == pytest.approx(10 * np.log10(top**2 / error), abs=1e-3)
    assert ("degraded_psnr_db" in reported) == (task != "sr4")
    spread = np.load(out / "standard_deviation.npy")
    assert spread.shape == clean.shape
    together = np.clip(np.rint(8 * np.sqrt((spread.astype(float) ** 2).mean(axis=0))), 0, 255)
    assert np.array_equal(read_photograph(out / "standard_deviation.png").pixels[0], together)


def test_a_calibrated_checkpoint_scales_its_standard_deviation(weights: Path, tmp_path: Path) -> None:
    image, calibrated = write(tmp_path / "clean.png"), Path(shutil.copytree(weights, tmp_path / "calibrated"))
    found = UncertaintyCard(0.9, 2.5, 0.6, 0.9, 7, ("set",), 8, ("others",), True, 2, 2, "euler", "none")
    record_uncertainty(calibrated, found)
    options = ["--task", "sr4", "--simulate", "--steps", "2", "--samples", "2"]
    outs = [restore(image, tmp_path / f"out-{w.name}", w, *options) for w in (calibrated, weights)]
    scaled, plain = (np.load(out / "standard_deviation.npy") for out in outs)
    assert np.allclose(scaled, 2.5 * plain, rtol=1e-5)
    assert plain.max() > 0
    assert len({sha256_of(out / "restored.png") for out in outs}) == 1
    notes, before = (read_provenance(out / "provenance.json").notes for out in outs)
    assert any("conformal factor 2.5" in note for note in notes)
    assert not any("approximate here" in note for note in notes), "the same steps and sampler"
    assert any("no calibration" in note for note in before)


@pytest.mark.parametrize("task", TASKS)
def test_what_was_drawn_restores_the_same_from_files(task: str, weights: Path, tmp_path: Path) -> None:
    """The degraded picture, kernel and mask of a simulation are inputs of a restoration."""
    image = write(tmp_path / "clean.png")
    first = restore(image, tmp_path / "first", weights, "--task", task, "--simulate")
    options = {"kernel.npy": "--kernel", "mask.png": "--mask"}
    more = [part for name, option in options.items() if (first / name).exists() for part in (option, str(first / name))]
    sigma = ["--sigma", "25"] if task == "denoise" else []
    again = restore(first / "degraded.png", tmp_path / "again", weights, "--task", task, *more, *sigma)
    a, b = (read_photograph(out / "restored.png").pixels.astype(float) for out in (first, again))
    assert a.shape[1:] == (66, 73)
    assert b.shape[1:] == ((66, 73) if task != "sr4" else (68, 76))
    inside = (0, slice(30, 36), slice(30, 40))
    assert np.abs(a[inside] - b[inside]).mean() < 25
    inputs = [f.name for f in read_provenance(again / "provenance.json").inputs]
    assert inputs[0] == "degraded.png"
    assert inputs[1:] == [name for name in options if (first / name).exists()]


def test_without_networks_it_is_regularised_least_squares(physics: Path, tmp_path: Path) -> None:
    """Two data steps under a white prior, written out: an answer that is known."""
    kernel = motion_kernel(9, intensity=0.3, generator=torch.Generator().manual_seed(0)).numpy()
    np.save(tmp_path / "kernel.npy", kernel)
    blurred = write(tmp_path / "blurred.png")
    options = ["--task", "deblur-motion", "--kernel", str(tmp_path / "kernel.npy"), "--sigma", "5"]
    out = restore(blurred, tmp_path / "out", physics, *options)
    pixels = torch.from_numpy(picture().astype(np.float32)) / 127.5 - 1
    problem = observed_problem(
        restoration_tasks()["deblur-motion"], pixels, torch.from_numpy(read_kernel(tmp_path / "kernel.npy"))
    )
    sigma_y, sigma_data = 2 * 5 / 255, CONFIG.sigma_data
    card = json.loads((physics / "model.json").read_text())
    high = card["training"]["objective"]["levels"]["p_mean"] + 2.5 * card["training"]["objective"]["levels"]["p_std"]
    high = float(np.exp(high))
    c_out = high * sigma_data / np.hypot(high, sigma_data)
    operator = problem.operator
    start = operator.regularised_inverse(problem.data, (sigma_y / c_out) ** 2)
    # the start x_sigma enters with sigma_data^2 / (sigma^2 + sigma_data^2) = a few per cent of its noise
    restored = read_photograph(out / "restored.png").pixels[0].astype(float)
    expected = ((problem.cut(start)[0, 0] + 1) * 127.5).clamp(0, 255).numpy()
    assert np.sqrt(np.mean((restored - expected) ** 2)) < 5
    assert np.sqrt(np.mean((picture()[0] - expected) ** 2)) > 20, "deblurring does change the picture"


def test_a_seed_repeats_and_another_one_does_not(weights: Path, tmp_path: Path) -> None:
    image = write(tmp_path / "clean.png")
    options = ["--task", "denoise", "--sigma", "20", "--steps", "3"]
    outs = {name: restore(image, tmp_path / name, weights, *options, "--seed", seed) for name, seed in
            (("first", "3"), ("again", "3"), ("other", "4"))}  # fmt: skip
    first, again, other = ((out / "restored.png").read_bytes() for out in outs.values())
    assert first == again
    assert first != other


def test_the_record_names_everything_and_no_folder(weights: Path, tmp_path: Path) -> None:
    image = write(tmp_path / "clean.png")
    out = restore(image, tmp_path / "out", weights, "--task", "sr4")
    record = read_provenance(out / "provenance.json")
    assert record.inputs[0].sha256 == sha256_of(image)
    assert record.network is not None
    assert record.network["sha256"] == json.loads((weights / "model.json").read_text())["weights_sha256"]
    assert record.configuration["task"] == "sr4"
    assert record.configuration["method"]["checkpoint"] == "tiny"
    assert any("2.55 grey levels of 255 was assumed" in note for note in record.notes)
    assert any(NOTE in warning for warning in record.warnings)
    assert str(tmp_path) not in (out / "provenance.json").read_text()


def test_the_default_folder_is_named_after_picture_and_task(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = write(tmp_path / "holiday.png")
    monkeypatch.chdir(tmp_path)
    assert main(["restore", str(image), "--task", "sr4", "--checkpoint", str(weights)]) == 0
    assert (tmp_path / "holiday-sr4" / "restored.png").is_file()


def refused(capsys: pytest.CaptureFixture[str], out: Path, *arguments: str) -> str:
    before = sorted(out.parent.rglob("*"))
    assert main(["restore", *arguments, "--out", str(out)]) == 2
    assert sorted(out.parent.rglob("*")) == before
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mrirecon: ")]
    assert len(errors) == 1
    return errors[0]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--task", "deblur-motion"], "--kernel FILE"),
        (["--task", "inpaint-box"], "--mask FILE"),
        (["--task", "inpaint-random"], "--mask FILE"),
        (["--task", "denoise"], "--sigma"),
        (["--task", "denoise", "--sigma", "-1"], "from 0 to 255"),
        (["--task", "denoise", "--sigma", "300"], "from 0 to 255"),
        (["--task", "sr4", "--mask", "mask.png"], "--mask does not apply"),
        (["--task", "sr4", "--kernel", "k.npy"], "--kernel does not apply"),
        (["--task", "inpaint-box", "--mask", "small.png"], "10 x 10 pixels, the picture of 66 x 73"),
        (["--task", "inpaint-box", "--mask", "black.png"], "black everywhere"),
        (["--task", "inpaint-box", "--mask", "nowhere.png"], "nowhere.png"),
        (["--task", "deblur-motion", "--kernel", "nowhere.npy"], "no such file"),
        (["--task", "deblur-motion", "--kernel", "large.npy"], "80 x 80 is larger than the picture"),
        (["--task", "deblur-motion", "--kernel", "text.mat"], "cannot be read"),
        (["--task", "deblur-motion", "--kernel", "large.npy", "--kernel-number", "3"], "no number 3"),
        (["--task", "sr4", "--samples", "3", "--steps", "1"], "steps"),
        (["--task", "sr4", "--device", "cuda:9"], "cuda:9"),
        (["--task", "sr4", "--memory", "200M"], "memory"),
        (["--task", "sr4", "--seed", "-1"], "seed"),
    ],
)
def test_impossible_options(
    options: list[str],
    word: str,
    weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / "clean.png")
    Image.fromarray(np.full((10, 10), 255, np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(np.zeros((66, 73), np.uint8)).save(tmp_path / "black.png")
    np.save(tmp_path / "large.npy", np.ones((80, 80)))
    (tmp_path / "text.mat").write_text("no kernel")
    monkeypatch.chdir(tmp_path)
    assert word in refused(capsys, tmp_path / "out", "clean.png", "--checkpoint", str(weights), *options)


def test_pictures_and_checkpoints_that_do_not_fit(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, image = tmp_path / "out", write(tmp_path / "clean.png")
    assert "nowhere.png" in refused(capsys, out, str(tmp_path / "nowhere.png"), "--task", "sr4")
    (tmp_path / "text.png").write_text("hello")
    assert "cannot be read" in refused(capsys, out, str(tmp_path / "text.png"), "--task", "sr4")
    complex_weights = write_checkpoint(tmp_path / "mri", "complex")
    message = refused(capsys, out, str(image), "--task", "sr4", "--checkpoint", str(complex_weights))
    assert "for complex images (MRI)" in message
    with pytest.raises(SystemExit) as caught:
        main(["restore", str(image), "--task", "dehaze"])
    assert caught.value.code == 2


def test_existing_work_is_not_touched(weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, out = write(tmp_path / "clean.png"), tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    arguments = [str(image), "--task", "sr4", "--checkpoint", str(weights)]
    assert "exists already" in refused(capsys, out, *arguments)
    assert "provenance.json" in refused(capsys, out, *arguments, "--overwrite")
    (out / "thesis.txt").unlink()
    restore(image, out, weights, "--task", "sr4")
    restore(image, out, weights, "--task", "denoise", "--sigma", "9", "--overwrite")
    assert read_photograph(out / "restored.png").pixels.shape == (1, 66, 73)


def test_a_full_disk_leaves_nothing(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = write(tmp_path / "clean.png")

    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mrirecon.jobs.restore_export.np.save", full)
    options = ["--task", "sr4", "--simulate", "--samples", "2", "--steps", "2", "--checkpoint", str(weights)]
    assert "free some space" in refused(capsys, tmp_path / "out", str(image), *options)
