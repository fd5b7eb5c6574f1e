"""What a study may say about its report; everything has a default that the report states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from mrirecon.errors import ConfigError
from mrirecon.evaluation.report.columns import ScoreColumn
from mrirecon.records import from_mapping


@dataclass(frozen=True)
class ReportChoices:
    """The key ``report`` of a study's configuration.

    Parameters
    ----------
    primary
        Metric that the comparisons and the examples start from, such as ``ssim``; empty: SSIM if it was computed, else
        the first. To be chosen before the data are seen.
    baseline
        Method that all others are compared with; empty: the first of the study.
    baseline_setting
        Where the baseline is fixed, as "equispaced R2" for today's protocol; empty: at the same acceleration.
    margin
        Largest loss of the primary metric that does not matter, in its unit: then the largest acceleration within the
        margin is tested. None: no such claim is made.
    alpha
        One-sided error of that test.
    accelerations
        Nominal accelerations that are shown as pictures; empty: the smallest, the middle and the largest.

    Raises
    ------
    ConfigError
        If a number is impossible.
    """

    primary: str = ""
    baseline: str = ""
    baseline_setting: str = ""
    margin: float | None = None
    alpha: float = 0.025
    accelerations: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.margin is not None and not (isfinite(self.margin) and self.margin > 0):
            raise ConfigError(f"`report.margin` must be positive, in the unit of the metric, got {self.margin}")
        if not 0 < self.alpha < 0.5:
            raise ConfigError(f"`report.alpha` is one-sided and lies between 0 and 0.5, got {self.alpha}")

    def checked_baseline(self, methods: Sequence[str]) -> str:
        """The baseline, the first method where none is named; `ConfigError` if the study has no method of that name."""
        if self.baseline and self.baseline not in methods:
            raise ConfigError(f"`report.baseline` is {self.baseline!r}; the study has: {', '.join(methods)}")
        return self.baseline or next(iter(methods), "")


def report_choices(config: Mapping[str, Any]) -> ReportChoices:
    """From the configuration of a study; defaults where it says nothing."""
    return from_mapping(ReportChoices, config.get("report") or {}, where="report")


def primary_column(columns: tuple[ScoreColumn, ...], wanted: str) -> ScoreColumn | None:
    """The column of the primary metric among those of one kind of mask; None without columns.

    Raises
    ------
    ConfigError
        If the metric that is asked for was not computed.
    """
    if not columns:
        return None
    name = wanted or "ssim"
    for column in columns:
        if column.region == "whole" and name in (column.definition.name, column.definition.identifier):
            return column
    if wanted:
        known = ", ".join(dict.fromkeys(c.definition.name for c in columns))
        raise ConfigError(f"`report.primary` is {wanted!r}, which the study did not compute; there are: {known}")
    return columns[0]
