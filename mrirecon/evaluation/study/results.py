"""A study as it lies on disk, finished or not: the one way in for reports, statistics and reader studies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ConfigError, FormatError, MrireconError
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import (
    CellKey,
    CellResult,
    InputRecord,
    MaskRecord,
    result_from_mapping,
)
from mrirecon.metrics.score import Score
from mrirecon.records import from_mapping

T = TypeVar("T")


@dataclass(frozen=True)
class PlannedCell:
    """A cell of the plan; an empty fingerprint means that its input was not read yet."""

    key: CellKey
    fingerprint: str = ""


@dataclass(frozen=True)
class StudyRecord:
    """What ``study.json`` holds.

    Parameters
    ----------
    name, description
        From the configuration.
    command
        That ran the study, without folders.
    versions
        Of the program and of the packages that decide the numbers.
    config
        The complete configuration.
    cells
        Everything that was planned, in the order of the tables.
    """

    name: str
    description: str
    command: str
    versions: dict[str, str]
    config: Mapping[str, Any]
    cells: tuple[PlannedCell, ...]


@dataclass(frozen=True, eq=False)
class StudyResults:
    """Everything about a study; images are read when asked for.

    Parameters
    ----------
    folder
        Where it lies.
    name, description, command, versions, config
        See `StudyRecord`.
    inputs
        By name, those that could be read.
    cells
        Finished and failed ones, in the order of the plan.
    missing
        Planned and not run, or outdated.
    """

    folder: Path
    name: str
    description: str
    command: str
    versions: dict[str, str]
    config: Mapping[str, Any]
    inputs: dict[str, InputRecord]
    cells: tuple[CellResult, ...]
    missing: tuple[CellKey, ...]
    _masks: dict[str, MaskRecord] = field(default_factory=dict, repr=False)

    def mask_record(self, key: CellKey) -> MaskRecord:
        """The record of the mask of a cell."""
        path = Layout(self.folder).mask(key)
        if path.as_posix() not in self._masks:
            self._masks[path.as_posix()] = _read(path, MaskRecord)
        return self._masks[path.as_posix()]

    def mask(self, key: CellKey) -> NDArray[np.bool_]:
        """Sampled points (ky, kx) of the mask of a cell."""
        return _array(Layout(self.folder).mask(key).with_suffix(".npy")).astype(np.bool_)

    def image(self, key: CellKey) -> NDArray[np.float32]:
        """Magnitude (z, y, x) in the units of the reference; `FormatError` if the cell has none."""
        return _array(Layout(self.folder).cell(key) / "image.npy").astype(np.float32)

    def deviation(self, key: CellKey) -> NDArray[np.float32] | None:
        """Standard deviation (z, y, x) of the magnitude, where the method gives one."""
        path = Layout(self.folder).cell(key) / "deviation.npy"
        return _array(path).astype(np.float32) if path.is_file() else None

    def reference(self, name: str) -> NDArray[np.float32] | None:
        """What the images of an input are compared with (z, y, x); None where the scanner undersampled."""
        path = Layout(self.folder).reference(name)
        return _array(path).astype(np.float32) if path.is_file() else None

    def rows(self) -> list[dict[str, Any]]:
        """One plain row per score, those of single slices included; `slice` counts as in the scan, None for volumes."""
        return [
            self._row(cell, score)
            for cell in self.cells
            for score in (*cell.scores, *cell.slice_scores)
        ]  # fmt: skip

    @property
    def holes(self) -> tuple[CellResult, ...]:
        """Cells that have been run and have nothing to show."""
        return tuple(cell for cell in self.cells if cell.hole)

    @property
    def complete(self) -> bool:
        """Whether every planned cell has an image."""
        return not self.missing and not self.holes

    def _row(self, cell: CellResult, score: Score) -> dict[str, Any]:
        key = cell.key
        found = self.inputs.get(key.input)
        place = score.slice
        if place is not None and found is not None:
            place = found.slices[place]
        return {
            "input": key.input,
            "subject": found.subject if found else key.input,
            "kind": found.kind if found else "",
            "mask": key.mask,
            "acceleration": key.acceleration,
            "effective_acceleration": cell.facts.get("effective_acceleration"),
            "seed": key.seed,
            "method": key.method,
            "metric": score.definition.name,
            "definition": score.definition.identifier,
            "reference": score.definition.reference,
            "region": score.region,
            "slice": place,
            "value": score.value,
            "note": score.note,
        }


def open_study(folder: Path) -> StudyResults:
    """The study in a folder, whatever its state.

    Raises
    ------
    FormatError
        If the folder is missing or holds no study, or a file of it is damaged.
    """
    layout = Layout(Path(folder))
    record = study_record(layout)
    inputs = read_inputs(layout)
    cells, missing = [], []
    for planned in record.cells:
        known = inputs.get(planned.key.input)
        cell = read_cell(layout, planned, subject=known.subject if known else "")
        if cell is None:
            missing.append(planned.key)
        else:
            cells.append(cell)
    return StudyResults(
        layout.folder,
        record.name,
        record.description,
        record.command,
        record.versions,
        record.config,
        inputs,
        tuple(cells),
        tuple(missing),
    )


def study_record(layout: Layout) -> StudyRecord:
    """What ``study.json`` says."""
    if not layout.folder.is_dir():
        raise FormatError(layout.folder, "is no folder; give the folder that `mrirecon study` wrote with --out")
    if not layout.study.is_file():
        raise FormatError(
            layout.folder, f"holds no {layout.study.name}, so it is no study; give the folder that `study --out` named"
        )
    return _read(layout.study, StudyRecord)


def read_input(layout: Layout, name: str) -> InputRecord:
    """The record of an input; `FormatError` if it was not prepared."""
    return _read(layout.input(name), InputRecord)


def read_inputs(layout: Layout) -> dict[str, InputRecord]:
    """The inputs that could be read, by name."""
    records = [_read(path, InputRecord) for path in sorted(layout.inputs.glob("*.json"))]
    return {record.name: record for record in records}


def read_cell(layout: Layout, planned: PlannedCell, *, subject: str = "") -> CellResult | None:
    """The cell on disk; None if it is absent, damaged, or was made from something else than the plan says now."""
    try:
        content = json.loads(layout.result(planned.key).read_text(encoding="utf-8"))
        cell = result_from_mapping(content, subject=subject)
    except (OSError, ValueError, MrireconError):
        return None
    if cell.key != planned.key:
        return None
    return cell if cell.fingerprint == planned.fingerprint or not planned.fingerprint else None


def _read(path: Path, cls: type[T]) -> T:
    try:
        return from_mapping(cls, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, ConfigError) as error:
        raise FormatError(path, f"cannot be read ({error}); run the study again, it writes what is missing") from error


def _array(path: Path) -> NDArray[Any]:
    try:
        values: NDArray[Any] = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FormatError(path, f"cannot be read ({error}); run the study again, it writes what is missing") from error
    return values
