"""Small synthetic studies on disk, laid out as the engine lays them out; the same arguments give the same files.

Images are made of ellipses; a "method" leaves aliasing, blur and noise that grow with the acceleration. Scores are
those of the images unless a study is so large that only its size matters.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy import ndimage

from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import (
    ACQUIRED,
    CellKey,
    CellResult,
    InputRecord,
    MaskRecord,
    result_to_mapping,
)
from mrirecon.evaluation.study.results import PlannedCell, StudyRecord
from mrirecon.metrics.consistency import CHI_SQUARE, RELATIVE
from mrirecon.metrics.evaluate import evaluate
from mrirecon.metrics.presets import preset
from mrirecon.metrics.score import Score
from mrirecon.mri.masks import sampling_mask
from mrirecon.records import to_mapping

METHODS = {"zero-filled": 1.0, "sense": 0.6, "tv": 0.45, "unfolded N=8": 0.3}
"""How much of the damage each leaves."""

AXIAL = ((0.9, 0.0, 0.0, -80.0), (0.0, 0.9, 0.0, -90.0), (0.0, 0.0, 4.0, 12.0), (0.0, 0.0, 0.0, 1.0))


@dataclass(frozen=True)
class SyntheticStudy:
    """What to write.

    Parameters
    ----------
    subjects
        Names; one input each.
    prospective
        Names of subjects that the scanner undersampled.
    holes
        Cell name to reason.
    missing
        Names of cells that were not run.
    settings
        More keys of the study's configuration, as they are asked for; nothing is computed differently.
    n_metrics
        Of the preset "study".
    scored
        False: scores are drawn instead of computed and all subjects share the pictures of the first.
    """

    subjects: tuple[str, ...] = ("s1", "s2", "s3", "s4", "s5", "s6")
    methods: Mapping[str, float] = field(default_factory=lambda: dict(METHODS))
    masks: tuple[str, ...] = ("random",)
    accelerations: tuple[float, ...] = (2.0, 4.0, 8.0)
    seeds: tuple[int, ...] = (0,)
    matrix: tuple[int, int] = (64, 56)
    n_slices: int = 2
    prospective: tuple[str, ...] = ()
    holes: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    limits: tuple[str, ...] = ("simulated from magnitude images: the phase is made up", "coil maps are simulated")
    report: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    n_metrics: int = 6
    scored: bool = True
    description: str = "Synthetic ellipses."
    warnings: Mapping[str, str] = field(default_factory=dict)
    affine: tuple[tuple[float, ...], ...] | None = AXIAL


def write_study(folder: Path, study: SyntheticStudy = SyntheticStudy()) -> Path:
    """Write the study and return its folder."""
    layout = Layout(folder)
    planned: list[PlannedCell] = []
    for number, subject in enumerate((*study.subjects, *study.prospective)):
        undersampled = subject in study.prospective
        record = _input(study, subject, undersampled)
        reference = anatomy(0 if not study.scored else number, study.matrix, study.n_slices)
        _write(layout.input(record.name), to_mapping(record))
        if not undersampled:
            _save(layout.reference(record.name), reference)
        kinds = (
            ((ACQUIRED, (3.0,), (0,)),)
            if undersampled
            else [(m, study.accelerations, study.seeds) for m in study.masks]
        )
        for kind, accelerations, seeds in kinds:
            for acceleration in accelerations:
                for seed in seeds:
                    keys = [CellKey(record.name, kind, acceleration, seed, m) for m in study.methods]
                    _mask(layout, keys[0], study.matrix)
                    for key in keys:
                        planned.append(PlannedCell(key, "f00d"))
                        _cell(layout, study, key, record, reference, number)
    record = StudyRecord(
        name="synthetic study",
        description=study.description,
        command="mrirecon study run synthetic.yaml --out DIR",
        versions={"mrirecon": "0.1.0", "numpy": np.__version__, "python": "3.11"},
        config={
            "name": "synthetic study",
            "methods": list(study.methods),
            "report": dict(study.report),
            **study.settings,
        },
        cells=tuple(planned),
    )
    _write(layout.study, to_mapping(record))
    layout.config.write_text(yaml.safe_dump(to_mapping(record.config), sort_keys=False), encoding="utf-8")
    return folder


def anatomy(number: int, matrix: tuple[int, int], n_slices: int) -> NDArray[np.float32]:
    """A head-like volume (z, y, x) whose ventricles, cortex and size differ between subjects."""
    rng = np.random.default_rng(100 + number)
    y, x = np.meshgrid(np.linspace(-1, 1, matrix[0]), np.linspace(-1, 1, matrix[1]), indexing="ij")
    size = rng.uniform(0.9, 1.0)
    volume = []
    for z in range(n_slices):
        r = np.hypot(x / (0.78 * size), y / (0.9 * size))
        angle = np.arctan2(y, x)
        fold = 0.06 * np.sin(14 * angle + number + z) + 0.03 * np.sin(31 * angle)
        plane = 0.9 * ((r < 0.97) & (r > 0.9)) + 0.55 * (r < 0.86) + 0.2 * ((r < 0.86) & (r > 0.7 + fold))
        for side in (-1, 1):
            plane = plane - 0.35 * (np.hypot((x - 0.14 * side) / 0.1, (y + 0.05) / (0.3 + 0.02 * z)) < 1)
        plane = plane + 0.3 * (np.hypot((x - 0.3) / 0.05, (y - 0.25) / 0.05) < 1) * (number % 2)
        texture = ndimage.gaussian_filter(rng.standard_normal(matrix), 1.0)
        volume.append(ndimage.gaussian_filter(plane, 0.6) * (1 + 0.06 * texture))
    return np.maximum(np.stack(volume), 0).astype(np.float32)


def _input(study: SyntheticStudy, subject: str, undersampled: bool) -> InputRecord:
    return InputRecord(
        name=file_name(subject),
        subject=subject,
        source=f"{file_name(subject)}.h5",
        sha256="ab" * 32,
        kind="simulated",
        fully_sampled=not undersampled,
        slices=tuple(range(10, 10 + study.n_slices)),
        matrix=study.matrix,
        coils=8,
        voxel_size_mm=(4.0, 0.9, 0.9),
        affine_lps=study.affine,
        protocol={"field_strength_t": 3.0, "echo_time_ms": 20.0},
        limits=study.limits,
        reference="" if undersampled else "sense",
    )


def file_name(subject: str) -> str:
    """A name of files from whatever somebody called a subject."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in subject)


def _mask(layout: Layout, key: CellKey, matrix: tuple[int, int]) -> None:
    made = drawn(matrix, "random" if key.mask == ACQUIRED else key.mask, key.acceleration, key.seed)
    card, mask = made
    record = MaskRecord(
        input=key.input,
        mask=key.mask,
        acceleration=key.acceleration,
        seed=key.seed,
        effective_acceleration=card["effective_acceleration"],
        card=card,
        prospective=key.mask == ACQUIRED,
    )
    _write(layout.mask(key), to_mapping(record))
    _save(layout.mask(key).with_suffix(".npy"), mask)


@lru_cache(maxsize=64)
def drawn(
    matrix: tuple[int, int], kind: str, acceleration: float, seed: int
) -> tuple[dict[str, Any], NDArray[np.bool_]]:
    """Card and mask (ky, kx)."""
    mask = sampling_mask(kind, matrix, acceleration=acceleration, phase_encoding_axis="x", seed=seed, centre_lines=6)
    full = mask.mask.expand(matrix).numpy()
    return mask.card.to_dict(), np.ascontiguousarray(full)


def _cell(
    layout: Layout, study: SyntheticStudy, key: CellKey, record: InputRecord, reference: NDArray[np.float32], n: int
) -> None:
    if key.name in study.missing:
        return
    hole = study.holes.get(key.name, "")
    scores: list[Score] = []
    single: list[Score] = []
    if not hole:
        damage = study.methods[key.method]
        _picture(layout, study, key, reference, damage, n)
        if key.mask == ACQUIRED:
            scores = [Score(0.02 + 0.03 * damage, RELATIVE), Score(0.9 + 0.4 * damage, CHI_SQUARE)]
        elif study.scored:
            image = np.load(layout.cell(key) / "image.npy")
            scores = evaluate(reference, image, preset("study")[: study.n_metrics])
        else:
            scores = _drawn_scores(key, damage, n)
    learned = key.method.startswith("unfolded")
    result = CellResult(
        key=key,
        fingerprint="f00d",
        scores=tuple(scores),
        slice_scores=tuple(single),
        seconds=2.0 + 3.0 * len(key.method) / 10,
        cpu_seconds=3.0,
        parameters={"weight": 0.01} if key.method == "tv" else {},
        facts={"effective_acceleration": drawn(study.matrix, *_drawn_key(key))[0]["effective_acceleration"]},
        checkpoint="mri-small" if learned else "",
        weights_sha256="cd" * 32 if learned else "",
        warnings=(study.warnings[key.name],) if key.name in study.warnings else (),
        hole=hole,
    )
    _write(layout.result(key), result_to_mapping(result))


def _drawn_key(key: CellKey) -> tuple[str, float, int]:
    return "random" if key.mask == ACQUIRED else key.mask, key.acceleration, key.seed


def _picture(
    layout: Layout, study: SyntheticStudy, key: CellKey, reference: NDArray[np.float32], damage: float, n: int
) -> None:
    path = layout.cell(key) / "image.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not study.scored and n > 0 and key.mask != ACQUIRED:  # every subject has the pictures of the first
        os.link(layout.cell(CellKey(file_name(study.subjects[0]), *_rest(key))) / "image.npy", path)
        return
    _, mask = drawn(study.matrix, *_drawn_key(key))
    rng = np.random.default_rng([n, int(key.acceleration), key.seed, len(key.method)])
    noise = 0.01 * rng.standard_normal((*reference.shape, 2)) @ np.array([1.0, 1.0j])
    kspace = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(reference + noise, axes=(1, 2))), axes=(1, 2))
    kept = np.where(mask, kspace, (1 - damage * rng.uniform(0.9, 1.1)) * kspace)
    image = np.abs(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kept, axes=(1, 2))), axes=(1, 2)))
    _save(path, image.astype(np.float32))
    if key.method.startswith("unfolded"):
        _save(
            path.with_name("deviation.npy"),
            (0.02 * key.acceleration * ndimage.gaussian_filter(image, 1.0)).astype("f4"),
        )


def _rest(key: CellKey) -> tuple[str, float, int, str]:
    return key.mask, key.acceleration, key.seed, key.method


def _drawn_scores(key: CellKey, damage: float, n: int) -> list[Score]:
    rng = np.random.default_rng([n, int(10 * key.acceleration), int(100 * damage)])
    loss = damage * np.log2(key.acceleration) * 0.1 + 0.01 * np.sin(n) + 0.004 * rng.standard_normal()
    values = {"nmse": 0.1 * loss, "psnr": 38 - 40 * loss, "ssim": 0.98 - loss, "hfen": loss, "vif": 1 - 2 * loss}
    return [Score(float(values.get(d.name, 0.99 - loss)), d) for d in preset("study")]


def _save(path: Path, values: NDArray[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


def _write(path: Path, content: Mapping[str, Any] | Sequence[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
