"""Where everything of a study lies below its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mrirecon.evaluation.study.records import CellKey


@dataclass(frozen=True)
class Layout:
    """The files of a study.

    Parameters
    ----------
    folder
        Of the study.
    """

    folder: Path

    @property
    def config(self) -> Path:
        """The configuration as it was given."""
        return self.folder / "study.yaml"

    @property
    def study(self) -> Path:
        """The plan: `results.StudyRecord`."""
        return self.folder / "study.json"

    @property
    def inputs(self) -> Path:
        """Records and references of the inputs."""
        return self.folder / "inputs"

    def input(self, name: str) -> Path:
        """Record of an input: `records.InputRecord`."""
        return self.inputs / f"{name}.json"

    def reference(self, name: str) -> Path:
        """Reference (z, y, x) of an input, absent where there is none."""
        return self.inputs / f"{name}.npy"

    def mask(self, key: CellKey) -> Path:
        """Record of a mask: `records.MaskRecord`; the mask lies beside it."""
        return self.folder / "masks" / key.input / f"{key.mask_name}.json"

    def cell(self, key: CellKey) -> Path:
        """Folder of a cell."""
        return self.folder / "cells" / key.name

    def result(self, key: CellKey) -> Path:
        """Result of a cell: `records.CellResult`; when it is there the cell is finished."""
        return self.cell(key) / "result.json"

    def tuning(self, key: CellKey) -> Path:
        """What one candidate reached on a tuning case."""
        return self.folder / "tuning" / f"{key.name}.json"
