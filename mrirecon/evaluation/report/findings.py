"""What one column of scores says: curves per method, and the comparisons with the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mrirecon.errors import ConfigError
from mrirecon.evaluation.report.columns import ScoreColumn, Setting
from mrirecon.evaluation.statistics.bootstrap import FEWEST_SUBJECTS
from mrirecon.evaluation.statistics.curves import SubjectCurve, difference_curve, quality_curve
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.statistics.largest_acceleration import LargestAcceleration, largest_acceleration
from mrirecon.evaluation.statistics.multiplicity import Family, compare_family
from mrirecon.evaluation.statistics.observations import Score as Observation
from mrirecon.evaluation.statistics.sample_size import sample_size_for_non_inferiority
from mrirecon.evaluation.statistics.wording import counted

FEWEST_SHOWN = 0.5
"""Settings at which fewer of a method's subjects have a score are left out of its curve: the study is not there yet."""


@dataclass(frozen=True)
class MethodCurve:
    """A method's scores over effective acceleration, or why there are none.

    Parameters
    ----------
    method
        Name.
    curve
        None where `reason` says why.
    reason
        Empty where there is a curve.
    left_out
        Settings at which too few subjects have a score.
    """

    method: str
    curve: SubjectCurve | None
    reason: str
    left_out: tuple[Setting, ...] = ()


def quality_curves(column: ScoreColumn, options: IntervalOptions) -> tuple[MethodCurve, ...]:
    """One per method, each over the subjects that have a score at all of its settings."""
    found = []
    for method in column.methods:
        kept, left_out = _complete_enough(column, (method,))
        try:
            curve = quality_curve(
                column.rows, column.measure, method=method, acceleration=column.acceleration(kept), options=options
            )
        except ConfigError as error:
            found.append(MethodCurve(method, None, str(error), left_out))
            continue
        found.append(MethodCurve(method, curve, "", left_out))
    return tuple(found)


def difference_curves(column: ScoreColumn, baseline: str, options: IntervalOptions) -> tuple[MethodCurve, ...]:
    """Every other method minus the baseline at the same acceleration, paired by subject."""
    found = []
    for method in column.methods:
        if method == baseline or baseline not in column.methods:
            continue
        kept, left_out = _complete_enough(column, (method, baseline))
        try:
            curve = difference_curve(
                column.rows,
                column.measure,
                method=method,
                reference=baseline,
                acceleration=column.acceleration(kept),
                options=options,
            )
        except ConfigError as error:
            found.append(MethodCurve(method, None, str(error), left_out))
            continue
        found.append(MethodCurve(method, curve, "", left_out))
    return tuple(found)


def comparisons(column: ScoreColumn, baseline: str, options: IntervalOptions) -> Family | None:
    """Every other method against the baseline at all settings, corrected as one family; None if there is no pair."""
    pairs = [(method, baseline) for method in column.methods if method != baseline]
    if not pairs or baseline not in column.methods:
        return None
    settings = [setting.name for setting in column.settings]
    return compare_family(column.rows, column.measure, pairs=pairs, settings=settings, options=options)


@dataclass(frozen=True)
class MarginFinding:
    """How far one method can go, the follow-up it suggests, or why it could not be said."""

    method: str
    found: LargestAcceleration | None
    sample_size: str
    reason: str


def within_margin(
    column: ScoreColumn,
    baseline: str,
    *,
    rows: Sequence[Observation],
    baseline_setting: str,
    margin: float,
    alpha: float,
    options: IntervalOptions,
) -> tuple[MarginFinding, ...]:
    """The largest acceleration of every method within a margin of the baseline.

    Parameters
    ----------
    rows
        Scores of the same meaning under all masks, as the baseline may be fixed at a setting of another mask.
    """
    findings = []
    for method in column.methods:
        if method == baseline and not baseline_setting:
            continue
        kept, _ = _complete_enough(column, (method,) if baseline_setting else (method, baseline))
        if baseline_setting and (method, baseline_setting) == (baseline, kept[0].name if kept else ""):
            kept = kept[1:]
        try:
            found = largest_acceleration(
                rows,
                column.measure,
                method=method,
                reference=baseline,
                acceleration=column.acceleration(kept),
                margin=margin,
                reference_setting=baseline_setting or None,
                alpha=alpha,
                options=options,
            )
        except ConfigError as error:
            findings.append(MarginFinding(method, None, "", str(error)))
            continue
        findings.append(MarginFinding(method, found, _follow_up(found), ""))
    return tuple(findings)


def _follow_up(found: LargestAcceleration) -> str:
    """Subjects that a study of the first acceleration that did not pass would need; empty where all passed."""
    for place, judgement in enumerate(found.judgements):
        if judgement.verdict in ("non-inferior", "superior"):
            continue
        pilot = [float(v) for v in found.curve.array()[:, place]]
        try:
            size = sample_size_for_non_inferiority(pilot, found.curve.measure, margin=found.margin, alpha=found.alpha)
        except ConfigError:
            return ""
        return f"For {found.curve.method} at R = {found.curve.acceleration[place]:.3g}: {size.sentence()}"
    return ""


def about_subjects(n_subjects: int) -> str:
    """What so few subjects cannot carry; empty with enough of them."""
    if n_subjects == 1:
        return (
            "There is one subject. Its scores say nothing about other people: no interval, effect size or test is "
            "given, and no method can be called better in general."
        )
    if n_subjects < FEWEST_SUBJECTS:
        return (
            f"There are {counted(n_subjects, 'subject')}. Intervals over so few are not meaningful and are not given "
            f"(at least {FEWEST_SUBJECTS} are needed to resample); read the lines of the single subjects instead."
        )
    if n_subjects < 2 * FEWEST_SUBJECTS:
        return (
            f"There are {counted(n_subjects, 'subject')}: intervals are wide and rest on each single one of them. Take "
            "them as a pilot."
        )
    return ""


def _complete_enough(column: ScoreColumn, methods: Sequence[str]) -> tuple[tuple[Setting, ...], tuple[Setting, ...]]:
    """Settings at which at least `FEWEST_SHOWN` of the subjects have scores from all methods, and the others."""
    counts = []
    for setting in column.settings:
        present = [
            {r.subject for r in column.rows if (r.method, r.setting) == (m, setting.name) and r.value is not None}
            for m in methods
        ]
        counts.append(len(set.intersection(*present)))
    least = max(1.0, FEWEST_SHOWN * max(counts, default=0))
    pairs = list(zip(column.settings, counts, strict=True))
    return tuple(s for s, n in pairs if n >= least), tuple(s for s, n in pairs if n < least)
