"""Scores as rows, and the table of subject means that all statistics start from.

The subject is the unit of analysis: slices of one subject share anatomy, coils and motion, so that treating them as
independent makes intervals too short by up to the root of the number of slices [1]_.

References
----------
.. [1] D. G. Altman, J. M. Bland, Statistics notes: units of analysis, BMJ 314, 1997, 10.1136/bmj.314.7098.1874
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics.wording import counted, listed

Column = tuple[str, str]
"""A method at a setting."""


class NothingPairedError(ConfigError):
    """Methods or settings have no subject in common."""


@dataclass(frozen=True)
class Measure:
    """What the scores are: a name to print, which direction is better, and the unit.

    Parameters
    ----------
    name
        For instance ``PSNR``.
    better
        Whether a higher or a lower value is better.
    unit
        For instance ``dB``; empty for a plain number.
    lowest, highest
        Values that a score cannot go beyond; intervals of mean scores end there.
    """

    name: str
    better: Literal["higher", "lower"]
    unit: str = ""
    lowest: float = -inf
    highest: float = inf

    def __post_init__(self) -> None:
        if self.better not in ("higher", "lower"):
            raise ConfigError(f"`better` of the measure {self.name!r} must be 'higher' or 'lower', got {self.better!r}")

    @property
    def sign(self) -> float:
        """+1 where higher is better, -1 where lower is."""
        return 1.0 if self.better == "higher" else -1.0

    def with_unit(self, text: str) -> str:
        """A printed figure and the unit, if there is one."""
        return f"{text} {self.unit}" if self.unit else text


@dataclass(frozen=True)
class Score:
    """One row: what a method reached on one slice of one subject at one setting.

    Parameters
    ----------
    subject, slice, method, setting
        Names. A score of a whole volume has one slice.
    value
        None where the method gave nothing.
    repeat
        Name of a repetition of the same slice and setting: a mask seed, a noise realisation. Averaged within slices.
    """

    subject: str
    slice: str
    method: str
    setting: str
    value: float | None
    repeat: str = ""


@dataclass(frozen=True)
class Missing:
    """A score that others of its row have: the slice is left out of the comparison for all."""

    subject: str
    slice: str
    method: str
    setting: str
    repeat: str
    reason: str


@dataclass(frozen=True)
class SubjectTable:
    """Mean score of every subject in every column, over the slices that all columns have.

    Parameters
    ----------
    columns
        (method, setting), in the order asked for.
    subjects
        Those with at least one slice in common, in the order of the rows.
    values
        One tuple per subject, as long as `columns`.
    n_slices
        Slices that enter, per subject.
    excluded
        Subjects without a slice that all columns have.
    missing
        Every absent score that led to a slice being left out.
    """

    columns: tuple[Column, ...]
    subjects: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    n_slices: tuple[int, ...]
    excluded: tuple[str, ...]
    missing: tuple[Missing, ...]

    def array(self) -> NDArray[np.float64]:
        """The values, (subject, column)."""
        return np.array(self.values, dtype=np.float64).reshape(len(self.subjects), len(self.columns))

    def require_subjects(self) -> None:
        """Raise `NothingPairedError` if no subject is left."""
        if not self.subjects:
            columns = listed([f"{m} at {s}" for m, s in self.columns])
            absent = counted(len(self.missing), "score")
            raise NothingPairedError(
                f"no subject has a slice with a finite score in all of {columns} ({absent} missing); nothing can be "
                "paired"
            )

    def remarks(self) -> tuple[str, ...]:
        """What was left out, in words."""
        found = []
        if self.excluded:
            found.append(f"{counted(len(self.excluded), 'subject')} left out entirely: {listed(self.excluded)}")
        slices = {(m.subject, m.slice, m.repeat) for m in self.missing if m.subject not in self.excluded}
        if slices:
            found.append(f"{counted(len(slices), 'slice')} left out because a method has no score there")
        return tuple(found)


def subject_table(scores: Iterable[Score], columns: Sequence[Column]) -> SubjectTable:
    """Average scores to one value per subject and column, over the slices that every column has.

    Repetitions are averaged within a slice, slices within a subject, so that every slice of a subject and every
    subject weigh the same.

    Parameters
    ----------
    scores
        Rows; other methods and settings than those asked for are ignored.
    columns
        (method, setting) pairs, without repetition.

    Raises
    ------
    NothingPairedError
        If a column has no row at all.
    ConfigError
        If a column is asked for twice, or two rows have the same names.
    """
    wanted = {column: i for i, column in enumerate(columns)}
    if len(wanted) != len(columns):
        raise ConfigError(f"a method at a setting cannot be compared with itself; got the columns {list(columns)}")
    found: dict[str, dict[tuple[str, str], list[float | None]]] = {}
    present = [False] * len(columns)
    others: set[Column] = set()
    for row in scores:
        column = (row.method, row.setting)
        if column not in wanted:
            others.add(column)
            continue
        cells = found.setdefault(row.subject, {}).setdefault((row.slice, row.repeat), [None] * len(columns))
        i = wanted[column]
        if cells[i] is not None:
            raise ConfigError(
                f"two scores for subject {row.subject!r}, slice {row.slice!r}, method {row.method!r}, setting "
                f"{row.setting!r}, repeat {row.repeat!r}; give repetitions different names in `repeat`"
            )
        cells[i] = np.nan if row.value is None else float(row.value)
        present[i] = True
    _check_present(columns, present, others)
    return _averaged(found, tuple(columns))


def _averaged(found: dict[str, dict[tuple[str, str], list[float | None]]], columns: tuple[Column, ...]) -> SubjectTable:
    subjects, values, n_slices, excluded = [], [], [], []
    missing: list[Missing] = []
    for subject, rows in found.items():
        by_slice: dict[str, list[list[float]]] = {}
        for (slice_name, repeat), cells in rows.items():
            complete = [v for v in cells if v is not None and isfinite(v)]
            if len(complete) == len(columns):
                by_slice.setdefault(slice_name, []).append(complete)
                continue
            for (method, setting), value in zip(columns, cells, strict=True):
                if value is None or not isfinite(value):
                    reason = "no score" if value is None or np.isnan(value) else f"not finite ({value})"
                    missing.append(Missing(subject, slice_name, method, setting, repeat, reason))
        if by_slice:
            means = np.mean([np.mean(repeats, axis=0) for repeats in by_slice.values()], axis=0)
            subjects.append(subject)
            values.append(tuple(float(v) for v in means))
            n_slices.append(len(by_slice))
        else:
            excluded.append(subject)
    return SubjectTable(columns, tuple(subjects), tuple(values), tuple(n_slices), tuple(excluded), tuple(missing))


def _check_present(columns: Sequence[Column], present: Sequence[bool], others: set[Column]) -> None:
    known = sorted(others | {c for c, there in zip(columns, present, strict=True) if there})
    for (method, setting), there in zip(columns, present, strict=True):
        if there:
            continue
        names = [f"{m} at {s}" for m, s in known]
        near = difflib.get_close_matches(f"{method} at {setting}", names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {listed(names) or 'none'}"
        raise NothingPairedError(f"no score of the method {method!r} at the setting {setting!r}; {hint}")
