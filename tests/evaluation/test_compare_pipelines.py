"""The comparison scripts from the command line to their tables, on small data and networks that were not trained."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from torch import nn

from mrirecon.data.spec import file_sha256
from mrirecon.diffusion.parametrisation import DenoiserConfig, NetworkDenoiser
from mrirecon.errors import ConfigError
from mrirecon.evaluation.scores import mri_definitions
from mrirecon.metrics.passport import describe
from mrirecon.networks.unet import CompactConfig
from mrirecon.reconstruction.unfolding import UnfoldedConfig, UnfoldedScore
from mrirecon.records import to_mapping
from mrirecon.training.card import Card
from mrirecon.training.checkpoint import load_checkpoint, save_checkpoint
from tests.evaluation.scenes import write_data

NETWORK = CompactConfig(width=4, multipliers=(1, 2))
ONE_STEP = {"steps": 1, "sigma_max": 2.0}
SETTINGS = [{"mask": "random", "acceleration": 2, "centre": 0.15}, {"mask": "equispaced", "acceleration": 2}]
MRI = {"kind": "mri", "slices": 2, "coils": [4], "noise": [0.01], "seed": 1, "settings": SETTINGS}


@pytest.fixture
def no_lpips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MRIRECON_LPIPS_BACKBONE", raising=False)


def checkpoint(folder: Path, config: UnfoldedConfig | DenoiserConfig, *, size: float = 0.02) -> str:
    torch.manual_seed(0)
    module: nn.Module = UnfoldedScore(config) if isinstance(config, UnfoldedConfig) else NetworkDenoiser(config)
    for parameter in module.parameters():
        parameter.data += size * torch.randn(parameter.shape)
    card = Card(
        name=folder.name, model=to_mapping(config), normalisation="none", sigma_data=0.5, operator_families=(), data=(),
        training={"objective": {"levels": {}}}, steps=0, batches=0, hours=0.0, parameters=1, created="2025-01-01",
        software={},
    )  # fmt: skip
    save_checkpoint(folder, module.eval(), card)
    return str(folder)


def score(folder: Path, image: str = "complex", *, size: float = 0.02) -> str:
    return checkpoint(folder, UnfoldedConfig(image=image, blocks=1, network=NETWORK), size=size)


def prior(folder: Path) -> str:
    return checkpoint(folder, DenoiserConfig("denoiser", "complex", NETWORK))


def written(path: Path, content: dict[str, object]) -> str:
    path.write_text(yaml.safe_dump(content))
    return str(path)


def mri_config(folder: Path, methods: dict[str, object], **more: object) -> str:
    content = {
        "name": "Small MRI",
        "problems": {**MRI, "specs": ["anna", "bert"], "split": "validation"},
        "tuning": {**MRI, "specs": ["people"], "split": "train", "seed": 2, "slices": 1},
        "methods": methods,
        **more,
    }
    return written(folder / "config.yaml", content)


@pytest.mark.usefixtures("no_lpips")
def test_compare_mri(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, specs = write_data(tmp_path)
    methods = {
        "zero-filled": {"kind": "adjoint"},
        "tv": {"kind": "tv", "weight": [0.001, 0.01], "iterations": 20},
        "dps": {"kind": "dps", "checkpoint": "absent", "sampling": {"steps": 2}},
        "unfolded": {"kind": "unfolded", "checkpoint": "absent", "sampling": ONE_STEP},
        "varnet": {"kind": "network", "checkpoint": "absent"},
    }
    given = [
        "--config", mri_config(tmp_path, methods, focus="tv"), "--data", str(root), "--specs", str(specs), "--out",
        str(tmp_path / "out"), "--checkpoint", f"dps={prior(tmp_path / 'prior')}",
        "--checkpoint", f"unfolded={score(tmp_path / 'score')}",
    ]  # fmt: skip
    main = importlib.import_module("pipelines.compare_mri").main
    main(*given)
    printed = capsys.readouterr()
    assert "LPIPS is left out" in printed.err
    table = (tmp_path / "out" / "table.md").read_text()
    assert printed.out.strip() == table.strip()
    assert "### random R2 (4 images of 2 subjects or sets" in table
    assert "- varnet: 4 of 4 missing: no checkpoint absent" in table
    ratio, similarity = mri_definitions()
    assert f"- {describe(ratio)}\n- {describe(similarity)}\n" in table.split("###")[0]
    for section in table.split("###")[1:]:
        assert f"\n\n{ratio.identifier}, {similarity.identifier}\n\n" in section
    assert "- tv: tuned to weight" in table
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in table.splitlines() if "|" in line}
    assert float(rows["tv"].split()[0]) > float(rows["zero-filled"].split()[0])
    assert float(rows["dps"].split()[0]) > 0
    assert float(rows["unfolded"].split()[0]) > 0
    assert len((tmp_path / "out" / "cells.csv").read_text().splitlines()) == 1 + 5 * 2 * 2 * 2
    panels = sorted(p.name for p in (tmp_path / "out" / "panels").iterdir())
    assert panels == [f"{s}-003-{k}-R2.png" for s in ("anna", "bert") for k in ("equispaced", "random")]
    cells = {p: p.stat().st_mtime_ns for p in (tmp_path / "out" / "cells").rglob("*.json")}
    main(*given)
    assert capsys.readouterr().out == printed.out  # seconds included: nothing was computed again
    assert {p: p.stat().st_mtime_ns for p in cells} == cells
    main(*given, "--methods", "zero-filled", "--limit", "1")
    limited = capsys.readouterr().out
    assert "(2 images of 2 subjects or sets" in limited
    assert "tv" not in limited.split("###")[1]


@pytest.mark.usefixtures("no_lpips")
def test_compare_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, specs = write_data(tmp_path)
    settings = [{"task": "sr4"}, {"task": "denoise"}]
    problems = {"kind": "images", "specs": ["pictures"], "settings": settings}
    config = {
        "name": "Small photographs",
        "problems": {**problems, "split": "validation"},
        "tuning": {**problems, "split": "train", "pictures": 1},
        "methods": {
            "least-squares": {"kind": "sense", "regularisation": [0.01, 0.1]},
            "dncnn": {"kind": "dncnn", "weights": "absent.pth"},
            "unfolded": {"kind": "unfolded", "checkpoint": score(tmp_path / "score", "real"), "sampling": ONE_STEP},
        },
    }
    given = ["--config", written(tmp_path / "c.yaml", config), "--data", str(root), "--specs", str(specs)]
    importlib.import_module("pipelines.compare_images").main(*given, "--out", str(tmp_path / "out"))
    table = capsys.readouterr().out
    assert "### sr4 (2 images of 1 subjects or sets)" in table
    assert "- dncnn: 2 of 2 missing: no file absent.pth" in table
    with Image.open(tmp_path / "out" / "panels" / "pictures-1-sr4.png") as picture:
        assert picture.width > 3 * 320


@pytest.mark.usefixtures("no_lpips")
def test_operator_swap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, specs = write_data(tmp_path)
    methods = {
        "ddnm": {"kind": "ddnm", "checkpoint": "absent", "sampling": {"steps": 2}, "cg_iterations": 3},
        "swapped": {"kind": "unfolded", "checkpoint": "absent", "sampling": ONE_STEP},
        "specialist": {"kind": "unfolded", "checkpoint": {}, "sampling": ONE_STEP},
    }
    one, other = score(tmp_path / "one"), score(tmp_path / "other", size=0.2)
    importlib.import_module("pipelines.operator_swap").main(
        "--config", mri_config(tmp_path, methods), "--data", str(root), "--specs", str(specs), "--out",
        str(tmp_path / "out"), "--limit", "1", "--swapped", one, "--specialist", f"random={one}", "--specialist",
        f"equispaced={other}", "--prior", prior(tmp_path / "prior"),
    )  # fmt: skip
    table = (tmp_path / "out" / "swap.md").read_text()
    assert table.split("\n\n", 1)[1] in capsys.readouterr().out
    last = [c.strip() for c in table.strip().splitlines()[-1].split("|")[1:-1]]
    assert last[:2] == ["specialist minus swapped", "+0.00 ± 0.00"]  # the same checkpoint and the same noise
    assert abs(float(last[2].split()[0])) > 0.02
    assert "ddnm" in table


def test_calibrate_uncertainty(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    root, specs = write_data(tmp_path)
    config = {
        "name": "Small spreads",
        "calibration": {**MRI, "specs": ["people"], "split": "train", "slices": 1, "settings": SETTINGS[:1]},
        "validation": {**MRI, "specs": ["anna", "bert"], "split": "validation", "slices": 1, "settings": SETTINGS[:1]},
        "method": {"kind": "unfolded", "checkpoint": "x", "sampling": {"steps": 2, "sigma_max": 2.0}, "samples": 3},
    }
    given = [
        "--config", written(tmp_path / "c.yaml", config), "--data", str(root), "--specs", str(specs), "--out",
        str(tmp_path / "out"), "--checkpoint", score(tmp_path / "score"),
    ]  # fmt: skip
    main = importlib.import_module("pipelines.calibrate_uncertainty").main
    main(*given)
    printed = capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "uncertainty.json").read_text())
    assert report["samples"] == 3
    assert report["validation_subjects"] == ["anna (validation)", "bert (validation)"]
    assert 0 <= report["coverage_before"] <= 1
    assert f"factor {report['factor']:.3f}" in printed
    assert "| bert (validation)" in printed
    assert (tmp_path / "out" / "uncertainty.png").stat().st_size > 5000
    first = (tmp_path / "out" / "uncertainty.json").read_bytes()
    weights = tmp_path / "score" / "model.safetensors"
    checksum = file_sha256(weights)
    main(*given, "--write-card", str(weights.parent))  # from the cells on disk
    assert (tmp_path / "out" / "uncertainty.json").read_bytes() == first
    card = load_checkpoint(weights.parent).card  # verifies weights and self-test
    assert card.weights_sha256 == checksum == file_sha256(weights)
    assert card.uncertainty is not None
    assert card.uncertainty.factor == report["factor"]
    assert (card.uncertainty.slices, card.uncertainty.subjects) == (2, ("anna (validation)", "bert (validation)"))
    assert (card.uncertainty.steps, card.uncertainty.samples, card.uncertainty.sampler) == (2, 3, "euler")
    assert not card.uncertainty.trained_on_calibration
    assert str(tmp_path) not in card.uncertainty.command
    text = (weights.parent / "model.md").read_text()
    assert f"multiplied by {report['factor']:.3f}" in text
    assert f"{100 * report['coverage_after']:.1f} %" in text
    with pytest.raises(ConfigError, match="no checkpoint"):
        main(*given, "--write-card", str(tmp_path / "absent"))
    other = score(tmp_path / "other", size=0.03)
    with pytest.raises(ConfigError, match="the calibration is of weights"):
        main(*given, "--write-card", other)


def test_the_splits_of_one_collection_are_different_people(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    root, specs = write_data(tmp_path)
    pictures = {"kind": "images", "specs": ["pictures"], "pictures": 1, "settings": [{"task": "denoise"}]}
    config = {
        "name": "Pictures",
        "calibration": {**pictures, "split": "train"},
        "validation": {**pictures, "split": "validation"},
        "method": {"kind": "unfolded", "checkpoint": "x", "sampling": {"steps": 2, "sigma_max": 2.0}, "samples": 2},
    }
    given = [
        "--config", written(tmp_path / "c.yaml", config), "--data", str(root), "--specs", str(specs), "--out",
        str(tmp_path / "out"), "--checkpoint", score(tmp_path / "score", "real"),
    ]  # fmt: skip
    importlib.import_module("pipelines.calibrate_uncertainty").main(*given)
    report = json.loads((tmp_path / "out" / "uncertainty.json").read_text())
    assert report["calibration_subjects"] == ["pictures (train)"]
    assert report["validation_subjects"] == ["pictures (validation)"]
