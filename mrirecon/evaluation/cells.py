"""Figures of one method on one problem, kept on disk so that a comparison goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.io.atomic import atomic_file
from mrirecon.records import from_mapping, to_mapping

VERSION = 1
"""Raised when figures of earlier versions of the program are not to be reused."""


@dataclass(frozen=True)
class Cell:
    """What a method reached on a problem, or why there is nothing.

    Parameters
    ----------
    case, subject, setting
        The problem.
    method
        Name in the comparison.
    fingerprint
        Of everything that decides the figures.
    psnr_db, ssim, lpips
        Figures; None where there is a hole, LPIPS also where it cannot be computed.
    seconds, cpu_seconds
        Wall time of the reconstruction, and time on all cores of this process: it stays when others share the machine.
    hole
        Why there are no figures; empty where there are.
    parameters
        Tuned values.
    at_edge
        Those that are the first or last of their grid.
    facts
        Numbers of the problem, such as the effective acceleration.
    definitions
        Identifiers of the definitions of PSNR and SSIM (`MetricDefinition.identifier`); empty in cells of versions
        that did not state them, whose figures are the same.
    """

    case: str
    subject: str
    setting: str
    method: str
    fingerprint: str
    psnr_db: float | None = None
    ssim: float | None = None
    lpips: float | None = None
    seconds: float | None = None
    cpu_seconds: float | None = None
    hole: str = ""
    parameters: dict[str, float] = field(default_factory=dict)
    at_edge: tuple[str, ...] = ()
    facts: dict[str, float] = field(default_factory=dict)
    definitions: tuple[str, ...] = ()


def fingerprint(*parts: Any) -> str:
    """Sixteen hexadecimal digits that change with any of the JSON-ready parts."""
    text = json.dumps([VERSION, *parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class CellStore:
    """A folder of cells, one JSON file each, and of the pictures that are shown.

    Parameters
    ----------
    folder
        Made when needed.
    """

    folder: Path

    def get(self, case: str, method: str, wanted: str) -> Cell | None:
        """The cell if it is there with this fingerprint; a damaged or outdated file counts as absent."""
        try:
            content: Any = json.loads(self._path(case, method, ".json").read_text(encoding="utf-8"))
            cell = from_mapping(Cell, content)
        except (OSError, ValueError, ConfigError):
            return None
        return cell if cell.fingerprint == wanted else None

    def put(self, cell: Cell, picture: Tensor | None = None) -> None:
        """Write a cell, and the picture (channel, y, x) that belongs to it."""
        if picture is not None:
            path = self._path(cell.case, cell.method, ".npy")
            with atomic_file(path, overwrite=True) as temporary, temporary.open("wb") as file:
                np.save(file, picture.cpu().numpy())
        content: Mapping[str, Any] = to_mapping(cell)
        with atomic_file(self._path(cell.case, cell.method, ".json"), overwrite=True) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def picture(self, case: str, method: str) -> Tensor | None:
        """The picture of a cell, None if there is none."""
        path = self._path(case, method, ".npy")
        return torch.from_numpy(np.load(path)) if path.is_file() else None

    def _path(self, case: str, method: str, suffix: str) -> Path:
        return self.folder / case / f"{method}{suffix}"
