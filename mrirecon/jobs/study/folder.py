"""The folder of a study before and between runs: made, swept, looked through."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

from mrirecon.data.volumes import ROOT_VARIABLE, data_root
from mrirecon.errors import OutputError
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import CellKey
from mrirecon.evaluation.study.results import PlannedCell
from mrirecon.jobs.study.lock import LOCK


def study_root(given: Path | None, config_path: Path) -> Path:
    """The root of the data: as given, else the variable MRIRECON_DATA, else the folder of the configuration."""
    if given is None and ROOT_VARIABLE not in os.environ:
        return config_path.absolute().parent
    return data_root(given).absolute()


def make_folder(layout: Layout) -> None:
    """The folder of the study, or why it cannot be."""
    folder = layout.folder
    if folder.is_file():
        raise OutputError(f"{folder} is a file; --out must name a folder")
    ours = layout.study.is_file() or (folder / LOCK).is_file()
    if folder.is_dir() and not ours and any(folder.iterdir()):
        raise OutputError(f"{folder} holds something that is no study; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder} cannot be made ({error.strerror}); choose another folder") from error


def sweep(layout: Layout) -> None:
    """Remove what interrupted runs left half written."""
    for folder in (layout.inputs, layout.folder / "masks", layout.folder / "cells", layout.folder / "tuning"):
        for path in [*folder.rglob(".*.partial"), *folder.glob(".hybrid-*")]:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def cell_state(layout: Layout, planned: PlannedCell) -> Literal["done", "hole", "retry", "absent"]:
    """Whether a cell is there, without reading its scores; outdated and damaged ones are absent."""
    try:
        content: Any = json.loads(layout.result(planned.key).read_text(encoding="utf-8"))
        if planned.fingerprint and content["fingerprint"] != planned.fingerprint:
            return "absent"
        if not content["hole"]:
            return "done"
        return "retry" if content["retry"] else "hole"
    except (OSError, ValueError, KeyError, TypeError):
        return "absent"


def forget(layout: Layout, key: CellKey) -> None:
    """Let a cell count as not run."""
    layout.result(key).unlink(missing_ok=True)
