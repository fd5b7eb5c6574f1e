"""Quality against effective acceleration: a line per subject, their mean, and a band from resampling subjects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from math import isfinite

import numpy as np

from mrirecon.errors import ConfigError
from mrirecon.evaluation.statistics.bootstrap import Array, ConfidenceDistribution, confidence_of_mean, pointwise_limits
from mrirecon.evaluation.statistics.interval import Interval, IntervalOptions, few_subjects
from mrirecon.evaluation.statistics.observations import Column, Measure, Missing, Score, SubjectTable, subject_table
from mrirecon.evaluation.statistics.wording import counted, decimals_for, number, with_remarks


@dataclass(frozen=True)
class SubjectCurve:
    """Scores, or differences from a reference, over effective accelerations; the same subjects and slices everywhere.

    Parameters
    ----------
    measure, method
        What is shown.
    reference, reference_setting
        What was subtracted; the setting is empty where the reference moves with the method. Both empty for scores.
    settings, acceleration
        Names and effective R, ascending in R.
    subjects
        Those with a slice that has a score everywhere.
    values
        Per subject, one value per setting.
    n_slices
        Of all subjects together.
    mean
        Over subjects, per setting.
    bands
        Pointwise intervals of the mean, None where `remarks` says why.
    missing
        Scores whose absence led to slices or subjects being left out.
    remarks
        What a reader must know.
    """

    measure: Measure
    method: str
    reference: str
    reference_setting: str
    settings: tuple[str, ...]
    acceleration: tuple[float, ...]
    subjects: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    n_slices: int
    mean: tuple[float, ...]
    bands: tuple[Interval | None, ...]
    missing: tuple[Missing, ...]
    remarks: tuple[str, ...]

    def array(self) -> Array:
        """The values, (subject, setting)."""
        return np.array(self.values, dtype=np.float64)

    def sentence(self) -> str:
        """The mean and its interval at every acceleration."""
        against = f" minus {self.reference}" if self.reference else ""
        against += f" at {self.reference_setting}" if self.reference_setting else ""
        found = []
        for r, mean, band in zip(self.acceleration, self.mean, self.bands, strict=True):
            decimals = decimals_for(mean, *(() if band is None else (band.low, band.high)))
            limits = "" if band is None else f" ({band.words(decimals)})"
            found.append(f"{self.measure.with_unit(number(mean, decimals))}{limits} at R = {r:.3g}")
        text = (
            f"Mean {self.measure.name} of {self.method}{against} over {counted(len(self.subjects), 'subject')} and "
            f"{counted(self.n_slices, 'slice')}: {'; '.join(found)}."
        )
        return with_remarks(text, self.remarks)


def quality_curve(
    scores: Iterable[Score],
    measure: Measure,
    *,
    method: str,
    acceleration: Mapping[str, float],
    options: IntervalOptions = IntervalOptions(),
) -> SubjectCurve:
    """Scores of a method over effective acceleration.

    The band holds differences between subjects, which are common to all methods; to compare methods use
    `difference_curve`.

    Parameters
    ----------
    acceleration
        Effective R of the settings to show: points of k-space inside the support over those acquired, the calibration
        region included.

    Raises
    ------
    NothingPairedError
        If a setting has no score, or no subject has one at all settings.
    ConfigError
        If no setting is given or an R is not positive.
    """
    order = _ordered(acceleration)
    table = subject_table(scores, [(method, setting) for setting in order])
    table.require_subjects()
    return _curve(table, table.array(), measure, (method, "", ""), acceleration, options)


def difference_curve(
    scores: Iterable[Score],
    measure: Measure,
    *,
    method: str,
    reference: str,
    acceleration: Mapping[str, float],
    reference_setting: str | None = None,
    options: IntervalOptions = IntervalOptions(),
) -> SubjectCurve:
    """Scores of a method minus those of a reference, paired by subject, over effective acceleration.

    Parameters
    ----------
    reference_setting
        Where the reference is fixed, as in "today's protocol"; None to compare at the same setting.

    Raises
    ------
    NothingPairedError
        If a setting has no score, or no subject has one at all settings from both.
    ConfigError
        If the method would be compared with itself only.
    """
    order = _ordered(acceleration)
    own: list[Column] = [(method, setting) for setting in order]
    other: list[Column] = [(reference, reference_setting or setting) for setting in order]
    if own == other:
        raise ConfigError(f"{method!r} cannot be compared with itself at the same settings; give `reference_setting`")
    table = subject_table(scores, list(dict.fromkeys(own + other)))
    table.require_subjects()
    place = {column: i for i, column in enumerate(table.columns)}
    values = table.array()
    differences = values[:, [place[c] for c in own]] - values[:, [place[c] for c in other]]
    return _curve(table, differences, measure, (method, reference, reference_setting or ""), acceleration, options)


def _ordered(acceleration: Mapping[str, float]) -> list[str]:
    if not acceleration:
        raise ConfigError("`acceleration` names no setting; give the effective R of each setting to show")
    for setting, r in acceleration.items():
        if not (isfinite(r) and r > 0):
            raise ConfigError(f"effective acceleration of the setting {setting!r} must be positive, got {r}")
    order = sorted(acceleration, key=acceleration.__getitem__)
    for first, second in pairwise(order):
        if acceleration[first] == acceleration[second]:
            raise ConfigError(
                f"the settings {first!r} and {second!r} have the same R of {acceleration[first]}; show one kind "
                "of mask at a time"
            )
    return order


def _curve(
    table: SubjectTable,
    values: Array,
    measure: Measure,
    names: tuple[str, str, str],
    acceleration: Mapping[str, float],
    options: IntervalOptions,
) -> SubjectCurve:
    order = _ordered(acceleration)
    makers: list[Callable[[], ConfidenceDistribution]] = [
        partial(confidence_of_mean, column, options) for column in values.T
    ]
    bands, refused = pointwise_limits(makers)
    if not names[1]:
        bands = tuple(None if b is None else b.within(measure.lowest, measure.highest) for b in bands)
    short = few_subjects(len(table.subjects), next((b for b in bands if b is not None), None))
    return SubjectCurve(
        measure=measure,
        method=names[0],
        reference=names[1],
        reference_setting=names[2],
        settings=tuple(order),
        acceleration=tuple(float(acceleration[setting]) for setting in order),
        subjects=table.subjects,
        values=tuple(tuple(float(v) for v in row) for row in values),
        n_slices=sum(table.n_slices),
        mean=tuple(float(v) for v in values.mean(axis=0)),
        bands=bands,
        missing=table.missing,
        remarks=(*refused, *short, *table.remarks()),
    )
