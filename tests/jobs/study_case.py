"""A small study on files made here: two measured scans, a tuning scan, cheap methods."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mrirecon.evaluation.undersampling import simulated_kspace
from mrirecon.jobs.reporting import Silent
from mrirecon.jobs.study.run import StudyOptions, StudyOutcome, run_study
from tests.evaluation.scenes import head

SHAPE = (56, 48)


class Heard(Silent):
    """Remembers warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def write_scan(path: Path, *, seed: int, n_coils: int = 3, n_slices: int = 2) -> np.ndarray:
    """Noisy, fully sampled k-space (slice, coil, ky, kx) as a NumPy file."""
    planes = [
        simulated_kspace(head(SHAPE, seed=seed + i), n_coils=n_coils, coils="birdcage", sigma=0.01, seed=seed + i)
        for i in range(n_slices)
    ]
    kspace = torch.stack(planes).numpy()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, kspace)
    return kspace


def write_case(folder: Path, **changes: Any) -> Path:
    """Data and configuration; the path of the latter."""
    for name, seed in (("anna", 0), ("bert", 10), ("tuning", 20)):
        if not (folder / f"{name}.npy").exists():
            write_scan(folder / f"{name}.npy", seed=seed)
    config: dict[str, Any] = {
        "name": "small",
        "inputs": {
            "anna": {"kind": "scan", "files": "anna.npy"},
            "bert": {"kind": "scan", "files": "bert.npy", "slices": [1]},
        },
        "masks": {"accelerations": [2, 3], "centre": 0.2, "seeds": [0, 1]},
        "methods": {"zero-filled": {"kind": "adjoint"}, "sense": {"kind": "sense", "iterations": 5}},
        "metrics": {"preset": "fastmri"},
    }
    config.update(changes)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def run(config: Path, out: Path, reporter: Silent | None = None, **options: Any) -> StudyOutcome:
    """The study with the data beside its configuration."""
    return run_study(config, out, StudyOptions(data=config.parent, **options), reporter or Silent())


def written(out: Path) -> dict[str, int]:
    """When every cell was written."""
    found = out.glob("cells/*/*/*/result.json")
    return {p.parent.relative_to(out).as_posix(): p.stat().st_mtime_ns for p in found if p.parent.suffix != ".partial"}


def same_images(a: Path, b: Path) -> bool:
    """Whether all images are equal to the last bit."""
    files = sorted(p.relative_to(a) for p in a.glob("cells/*/*/*/image.npy"))
    others = sorted(p.relative_to(b) for p in b.glob("cells/*/*/*/image.npy"))
    return files == others and all((a / f).read_bytes() == (b / f).read_bytes() for f in files)
