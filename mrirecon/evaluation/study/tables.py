"""A study as tidy tables: one row per score, for R, pandas or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mrirecon.evaluation.study.results import StudyResults
from mrirecon.io.atomic import atomic_file
from mrirecon.metrics.passport import MetricDefinition, describe
from mrirecon.records import to_mapping

COLUMNS = (
    "input", "subject", "kind", "mask", "acceleration", "effective_acceleration", "seed", "method", "metric",
    "definition", "reference", "region", "slice", "value", "note",
)  # fmt: skip
_TEXT = ("input", "subject", "kind", "mask", "method", "metric", "definition", "reference", "region", "note")
_WHOLE = ("seed", "slice")


def write_tables(study: StudyResults) -> tuple[str, ...]:
    """Write ``scores.csv``, ``scores.parquet``, ``definitions.json``, ``cells.csv``; what could not be written and why.

    ``scores.csv`` has numbers in full precision and is the same to the last byte however the study was computed;
    times, which are not, are in ``cells.csv`` with the state of every cell.
    """
    rows = study.rows()
    _write(study.folder / "scores.csv", _csv(COLUMNS, rows))
    _write(study.folder / "definitions.json", _definitions(study))
    _write(study.folder / "cells.csv", _cells(study))
    problem = _write_parquet(study.folder / "scores.parquet", rows)
    return (problem,) if problem else ()


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _plain(row[key]) for key in columns})
    return text.getvalue()


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else repr(value)
    return value


def _definitions(study: StudyResults) -> str:
    every = {score.definition for cell in study.cells for score in (*cell.scores, *cell.slice_scores)}
    found: dict[str, MetricDefinition] = {definition.identifier: definition for definition in every}
    content = {
        name: {"meaning": describe(definition), "definition": to_mapping(definition)}
        for name, definition in sorted(found.items())
    }
    return json.dumps(content, indent=1) + "\n"


def _cells(study: StudyResults) -> str:
    columns = ("cell", "state", "reason", "seconds", "cpu_seconds", "parameters", "checkpoint", "weights_sha256")
    rows = [
        {
            "cell": cell.key.name,
            "state": "hole" if cell.hole else "done",
            "reason": cell.hole,
            "seconds": cell.seconds,
            "cpu_seconds": cell.cpu_seconds,
            "parameters": " ".join(f"{k}={v:g}" for k, v in cell.parameters.items()),
            "checkpoint": cell.checkpoint,
            "weights_sha256": cell.weights_sha256,
        }
        for cell in study.cells
    ]
    empty = dict.fromkeys(columns, "")
    rows += [{**empty, "cell": key.name, "state": "missing"} for key in study.missing]
    return _csv(columns, rows)


def _write_parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    """Why there is no file; empty where there is one."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        path.unlink(missing_ok=True)
        return 'scores.parquet is left out: pyarrow is not installed (pip install "mrirecon[tables]")'
    kinds = {
        name: pyarrow.string() if name in _TEXT else pyarrow.int64() if name in _WHOLE else pyarrow.float64()
        for name in COLUMNS
    }
    table = pyarrow.table(
        {name: pyarrow.array([row[name] for row in rows], type=kind, from_pandas=False) for name, kind in kinds.items()}
    )
    with atomic_file(path, overwrite=True) as temporary:
        pyarrow.parquet.write_table(table, temporary)
    return ""


def _write(path: Path, text: str) -> None:
    with atomic_file(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
