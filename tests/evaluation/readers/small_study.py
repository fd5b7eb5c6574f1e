"""A small study on disk, written file by file as the engine does, with pictures that the test chooses."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import CellKey, CellResult, InputRecord, Row, result_to_mapping
from mrirecon.evaluation.study.results import PlannedCell, StudyRecord
from mrirecon.records import to_mapping

METHODS = ("zerofilled_adjoint", "wavelet_fista", "varnet_cascade", "unfolded_sampler")
CHECKPOINTS = {"varnet_cascade": "knee-weights-large", "unfolded_sampler": "mri-small-weights"}
OBLIQUE: tuple[Row, Row, Row, Row] = (
    (0.0, 0.1, 3.0, 1.0),
    (0.9, 0.0, 0.0, -20.0),
    (0.0, -1.2, 0.25, 30.0),
    (0.0, 0.0, 0.0, 1.0),
)
"""Sagittal, slightly tilted; columns x, y, z as a study stores them."""

Image = NDArray[np.float32]


def picture(name: str, shape: tuple[int, int, int]) -> Image:
    """Smooth blobs that depend on the name, on black, positive within."""
    rng = np.random.default_rng(list(name.encode()))
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    r = x**2 / 0.7 + y**2 / 0.8 + 0.1 * z**2
    texture = sum(a * np.cos(5 * (b * x + c * y)) for a, b, c in rng.normal(size=(4, 3)))
    return np.where(r < 0.9, 1.0 + 0.15 * np.tanh(texture), 0.0).astype(np.float32) * np.float32(2e-5)


def damaged(reference: Image, cell: CellKey) -> Image:
    """Noise of an amount that grows along `METHODS`, and a brightness of its own."""
    number = METHODS.index(cell.method)
    rng = np.random.default_rng([number, int(10 * cell.acceleration), cell.seed])
    noisy = reference + np.float32(1e-6 * (1 + number)) * rng.standard_normal(reference.shape)
    return (np.abs(noisy) * (1 - 0.15 * number)).astype(np.float32)


def write_study(
    folder: Path,
    *,
    subjects: Mapping[str, Sequence[str]] | None = None,
    methods: Sequence[str] = METHODS[:3],
    accelerations: Sequence[float] = (4.0,),
    seeds: Sequence[int] = (0,),
    shape: tuple[int, int, int] = (3, 20, 24),
    slices: Sequence[int] | None = None,
    affine: tuple[Row, Row, Row, Row] | None = OBLIQUE,
    references: bool = True,
    image: Callable[[Image, CellKey], Image] = damaged,
    holes: Sequence[str] = (),
) -> Path:
    """Write it and return its folder.

    Parameters
    ----------
    subjects
        Names of the inputs of each.
    image
        Of a cell, from the reference.
    holes
        Names of cells that failed.
    """
    layout = Layout(folder)
    owners = {"volunteer7": ["volunteer7_scan"], "volunteer9": ["volunteer9_scan"]} if subjects is None else subjects
    planned = []
    for subject, inputs in owners.items():
        for name in inputs:
            reference = picture(name, shape)
            record = InputRecord(
                name=name,
                subject=subject,
                source=f"{name}_raw.h5",
                sha256="cd" * 32,
                kind="measured",
                fully_sampled=references,
                slices=tuple(range(5, 5 + shape[0])) if slices is None else tuple(slices),
                matrix=shape[1:],
                coils=4,
                voxel_size_mm=(3.0, 1.2, 0.9),
                affine_lps=affine,
                protocol={
                    "echo_time_ms": 20.0,
                    "body_part": "BRAIN",
                    "protocol_name": "t2_tse_accel8",
                    "manufacturer": "ACMESCANNERS",
                    "patient_position": "HFS",
                    "phase_encoding_axis": "x",
                },
            )
            _json(layout.input(name), to_mapping(record))
            if references:
                _array(layout.reference(name), reference)
            for acceleration in accelerations:
                for seed in seeds:
                    for method in methods:
                        key = CellKey(name, "equispaced", acceleration, seed, method)
                        planned.append(PlannedCell(key, "f00d"))
                        hole = "diverged" if key.name in holes else ""
                        if not hole:
                            _array(layout.cell(key) / "image.npy", image(reference, key))
                        cell = CellResult(key, "f00d", hole=hole, checkpoint=CHECKPOINTS.get(method, ""))
                        _json(layout.result(key), result_to_mapping(cell))
    study = StudyRecord("secretstudy", "", "mrirecon study", {}, {}, tuple(planned))
    _json(layout.study, to_mapping(study))
    return folder


def _json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def _array(path: Path, values: Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
