"""Cells, tuning figures and masks on disk: complete, or not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import CellKey, CellResult, MaskRecord, result_to_mapping
from mrirecon.io.atomic import atomic_file, atomic_folder
from mrirecon.jobs.study.context import Unit
from mrirecon.jobs.study.prepared import write_array
from mrirecon.records import to_mapping


def write_result(
    layout: Layout, result: CellResult, image: NDArray[np.float32], deviation: NDArray[np.float32] | None
) -> None:
    """A finished cell, in the place of whatever was there."""
    with atomic_folder(layout.cell(result.key), overwrite=True) as folder:
        np.save(folder / "image.npy", image)
        if deviation is not None:
            np.save(folder / "deviation.npy", deviation)
        _write_text(folder / "result.json", result_to_mapping(result))


def write_hole(layout: Layout, key: CellKey, fingerprint: str, reason: str, *, retry: bool = False) -> None:
    """A cell that has nothing to show, and why."""
    result = CellResult(key, fingerprint, hole=reason, retry=retry)
    with atomic_folder(layout.cell(key), overwrite=True) as folder:
        _write_text(folder / "result.json", result_to_mapping(result))


def write_tuning(layout: Layout, unit: Unit, value: float | None, note: str) -> None:
    """What a candidate reached on a tuning case; None where it has no image."""
    content = {"fingerprint": unit.fingerprint, "value": None if value is None else str(value), "note": note}
    write_json(layout.tuning(unit.key), content)


def read_tuning(layout: Layout, unit: Unit) -> tuple[float | None] | None:
    """The value of `write_tuning` in a tuple; None if it is not there, or of something else."""
    try:
        content: Any = json.loads(layout.tuning(unit.key).read_text(encoding="utf-8"))
        if content["fingerprint"] != unit.fingerprint:
            return None
        return (None if content["value"] is None else float(content["value"]),)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_mask(layout: Layout, key: CellKey, record: MaskRecord, mask: NDArray[np.bool_]) -> None:
    """A mask (ky, kx) and its record, unless they are there."""
    path = layout.mask(key)
    text = _text(to_mapping(record))
    if path.is_file() and path.with_suffix(".npy").is_file() and path.read_text(encoding="utf-8") == text:
        return
    write_array(path.with_suffix(".npy"), mask)
    write_text(path, text)


def write_json(path: Path, content: Any) -> None:
    """A JSON file, complete or absent."""
    write_text(path, _text(content))


def write_text(path: Path, text: str) -> None:
    """A text file, complete or absent."""
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _write_text(path: Path, content: Any) -> None:
    path.write_text(_text(content), encoding="utf-8")


def _text(content: Any) -> str:
    return json.dumps(content, indent=1) + "\n"
