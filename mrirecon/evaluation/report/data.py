"""Everything a report needs from a study, computed once."""

from __future__ import annotations

from dataclasses import dataclass

from mrirecon.evaluation.report.choices import ReportChoices, primary_column, report_choices
from mrirecon.evaluation.report.columns import (
    ScoreColumn,
    is_prospective,
    masks_of,
    methods_of,
    planned_keys,
    score_columns,
    subject_of,
)
from mrirecon.evaluation.report.findings import (
    MarginFinding,
    MethodCurve,
    comparisons,
    difference_curves,
    quality_curves,
    within_margin,
)
from mrirecon.evaluation.statistics.interval import IntervalOptions
from mrirecon.evaluation.statistics.multiplicity import Family
from mrirecon.evaluation.study.records import CellKey
from mrirecon.evaluation.study.results import StudyResults


@dataclass(frozen=True)
class ColumnFindings:
    """A column and what the statistics say of it.

    Parameters
    ----------
    column
        The scores.
    curves
        Of every method.
    family
        Comparisons with the baseline, corrected together; None for a metric that is not ranked, or without a baseline.
    """

    column: ScoreColumn
    curves: tuple[MethodCurve, ...]
    family: Family | None


@dataclass(frozen=True)
class MaskFindings:
    """One kind of mask: all metrics, and what only the primary one is asked.

    Parameters
    ----------
    mask
        Kind of the mask.
    columns
        Retrospective ones, in the order of the metrics.
    primary
        The column that the study asks its question of.
    baseline
        Method that the others are compared with; empty where there is only one.
    differences
        From the baseline, of the primary metric.
    margin
        Empty without a margin.
    """

    mask: str
    columns: tuple[ColumnFindings, ...]
    primary: ColumnFindings
    baseline: str
    differences: tuple[MethodCurve, ...]
    margin: tuple[MarginFinding, ...]


@dataclass(frozen=True, eq=False)
class ReportData:
    """A study and its findings.

    Parameters
    ----------
    results
        The study.
    choices
        What it says about its report.
    planned
        All cells, in the order of the study.
    methods
        All methods, likewise.
    masks
        Findings by kind of mask, of inputs with a reference.
    prospective
        Columns of inputs without a reference.
    options
        Of all intervals.
    """

    results: StudyResults
    choices: ReportChoices
    planned: tuple[CellKey, ...]
    methods: tuple[str, ...]
    masks: tuple[MaskFindings, ...]
    prospective: tuple[ScoreColumn, ...]
    options: IntervalOptions

    @property
    def retrospective_keys(self) -> tuple[CellKey, ...]:
        """Planned cells whose input has a reference, or could not be read."""
        return tuple(key for key in self.planned if not is_prospective(self.results, key))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Of the inputs that have a reference."""
        return tuple(dict.fromkeys(subject_of(self.results, key) for key in self.retrospective_keys))


def report_data(results: StudyResults, *, options: IntervalOptions = IntervalOptions()) -> ReportData:
    """Sort the scores and run the statistics.

    Raises
    ------
    ConfigError
        If the study's ``report`` key names a metric or a method that is not there.
    """
    choices = report_choices(results.config)
    planned = planned_keys(results)
    methods = methods_of(planned)
    with_reference = [cell for cell in results.cells if not is_prospective(results, cell.key)]
    columns = score_columns(results, with_reference)
    baseline = choices.checked_baseline(methods)
    return ReportData(
        results=results,
        choices=choices,
        planned=planned,
        methods=methods,
        masks=tuple(
            _mask_findings(mask, columns, choices, baseline, options)
            for mask in masks_of(cell.key for cell in with_reference if cell.scores)
        ),
        prospective=score_columns(results, [c for c in results.cells if is_prospective(results, c.key)]),
        options=options,
    )


def _mask_findings(
    mask: str, everything: tuple[ScoreColumn, ...], choices: ReportChoices, baseline: str, options: IntervalOptions
) -> MaskFindings:
    columns = tuple(c for c in everything if c.mask == mask)
    found = tuple(
        ColumnFindings(
            column, quality_curves(column, options), comparisons(column, baseline, options) if column.ranked else None
        )
        for column in columns
    )
    asked = primary_column(columns, choices.primary)
    primary = next(f for f in found if f.column is asked)
    margin: tuple[MarginFinding, ...] = ()
    if choices.margin is not None and primary.column.ranked:
        margin = within_margin(
            primary.column,
            baseline,
            rows=[row for c in everything if c.means_the_same_as(primary.column) for row in c.rows],
            baseline_setting=choices.baseline_setting,
            margin=choices.margin,
            alpha=choices.alpha,
            options=options,
        )
    return MaskFindings(
        mask=mask,
        columns=found,
        primary=primary,
        baseline=baseline,
        differences=difference_curves(primary.column, baseline, options) if primary.column.ranked else (),
        margin=margin,
    )
