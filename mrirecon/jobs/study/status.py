"""How far a study is, in words."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from mrirecon.evaluation.study.records import CellKey
from mrirecon.evaluation.study.results import StudyResults, open_study

_SHOWN = 12


def study_status(folder: Path) -> tuple[str, bool]:
    """A few lines for the user, and whether every cell has an image."""
    study = open_study(folder)
    return describe_study(study), study.complete


def describe_study(study: StudyResults) -> str:
    """Counts by method, tuned values, and what is missing with its reason."""
    total = len(study.cells) + len(study.missing)
    done = len(study.cells) - len(study.holes)
    seconds = sum(cell.seconds for cell in study.cells)
    lines = [
        f"{study.name}: {done} of {total} cells done, {len(study.holes)} holes, {len(study.missing)} not run; "
        f"{_duration(seconds)} of reconstruction"
    ]
    for method in dict.fromkeys(key.method for key in _keys(study)):
        cells = [cell for cell in study.cells if cell.key.method == method]
        missing = sum(key.method == method for key in study.missing)
        holes = sum(bool(cell.hole) for cell in cells)
        words = [f"{len(cells) - holes} done"]
        words += [f"{holes} holes"] if holes else []
        words += [f"{missing} not run"] if missing else []
        finished = [cell.seconds for cell in cells if not cell.hole]
        if finished:
            words.append(f"{_duration(sum(finished) / len(finished))} a cell")
        values = {f"{k} {v:g}" for cell in cells for k, v in cell.parameters.items()}
        words += [f"tuned: {', '.join(sorted(values))}"] if values else []
        lines.append(f"  {method}: {', '.join(words)}")
    reasons = Counter(cell.hole for cell in study.holes)
    for reason, count in reasons.most_common(_SHOWN):
        example = next(cell.key.name for cell in study.holes if cell.hole == reason)
        more = f" and {count - 1} more" if count > 1 else ""
        lines.append(f"  hole in {example}{more}: {reason}")
    if len(reasons) > _SHOWN:
        lines.append(f"  and {len(reasons) - _SHOWN} more reasons, see cells.csv")
    return "\n".join(lines)


def _keys(study: StudyResults) -> list[CellKey]:
    return [*(cell.key for cell in study.cells), *study.missing]


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
