"""Tables of scores and of comparisons. Every table holds one column of scores: one definition, one region, one mask."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from mrirecon.evaluation.report.columns import ScoreColumn, Setting
from mrirecon.evaluation.report.data import ColumnFindings
from mrirecon.evaluation.report.directions import arrow
from mrirecon.evaluation.report.findings import MarginFinding, MethodCurve
from mrirecon.evaluation.report.markup import Content, Markup, aside, bullets, classed, joined, table, tag
from mrirecon.evaluation.statistics.bootstrap import FEWEST_SUBJECTS
from mrirecon.evaluation.statistics.paired import SIGNIFICANCE, PairedComparison
from mrirecon.evaluation.statistics.wording import counted, decimals_for, number, p_value
from mrirecon.metrics.passport import describe

NOTHING = "–"


def score_table(findings: ColumnFindings) -> Markup:
    """Mean over subjects and its interval, methods by accelerations, and below what was left out."""
    column = findings.column
    total = len(column.subjects)
    bands = any(b is not None for f in findings.curves if f.curve for b in f.curve.bands)
    unit = f", {column.measure.unit}" if column.measure.unit else ""
    header: list[Content] = ["method"]
    header += [[setting.name, tag("br"), tag("small", f"effective {setting.words()}")] for setting in column.settings]
    rows = [[found.method, *(_mean(found, setting, total) for setting in column.settings)] for found in findings.curves]
    shown = "mean over subjects (95 % interval)" if bands else "mean over subjects, no intervals"
    caption: list[Content] = [
        tag("b", f"{column.label}{unit}"),
        f", {arrow(column.definition)}; {shown}, {counted(total, 'subject')}. ",
        tag("small", describe(column.definition)),
    ]
    return Markup(table(header, rows, caption=caption).html + _remarks(findings.curves, column).html)


def _mean(found: MethodCurve, setting: Setting, total: int) -> Content:
    curve = found.curve
    if curve is None or setting.name not in curve.settings:
        return classed("span", "hole", "no scores" if curve is None else "too few")
    place = curve.settings.index(setting.name)
    mean, band = curve.mean[place], curve.bands[place]
    decimals = decimals_for(mean)
    few = len(curve.subjects) < total
    return [
        number(mean, decimals),
        [" ", tag("small", f"({number(band.low, decimals)} to {number(band.high, decimals)})")] if band else None,
        [" ", classed("span", "hole", f"n = {len(curve.subjects)}")] if few else None,
    ]


def _remarks(curves: tuple[MethodCurve, ...], column: ScoreColumn) -> Markup:
    """What is missing and why, methods with the same remark together."""
    said: dict[str, list[str]] = {}
    for found in curves:
        remarks = [found.reason] if found.curve is None else list(found.curve.remarks)
        if found.left_out:
            names = ", ".join(s.name for s in found.left_out)
            remarks.append(f"fewer than half of its subjects have a score at {names}: not shown there")
        for remark in remarks:
            said.setdefault(remark, []).append(found.method)
    lines = [
        f"{'All methods' if len(methods) == len(curves) else ', '.join(methods)}: {remark}."
        for remark, methods in said.items()
    ]
    lines += [f"Note in the scores: {note}." for note in column.notes]
    return classed("div", "note", bullets(lines)) if lines else Markup("")


def comparison_table(findings: ColumnFindings) -> Markup:
    """Differences with intervals, effect sizes, subjects, and last the p-values, of one family of tests.

    Where fewer than `FEWEST_SUBJECTS` subjects enter, only the difference and the subjects are given.
    """
    family = findings.family
    if family is None:
        return Markup("")
    measure = findings.column.measure
    rates = {s.name: s for s in findings.column.settings}
    enough = any(c.n_subjects >= FEWEST_SUBJECTS for c in family.comparisons)
    unit = f", {measure.unit}" if measure.unit else ""
    header: list[Content] = ["acceleration", "method minus baseline"]
    header += [f"mean difference{unit}{' (95 % interval)' if enough else ''}", "subjects in favour"]
    header += ["d_z (95 % interval)", "rank-biserial", "p", "adjusted p"] if enough else []
    rows: list[list[Content]] = []
    for c in family.comparisons:
        figures = _figures(c)
        start: list[Content] = [f"{c.setting}, effective {rates[c.setting].words()}", f"{c.first} minus {c.second}"]
        rows.append([*start, *(figures if enough else figures[:2])])
    for h in family.holes:
        hole = classed("span", "hole", "not comparable")
        rows.append([h.setting, f"{h.first} minus {h.second}", hole, *[NOTHING] * (len(header) - 3)])
    sizes = {c.family_size for c in family.comparisons if c.family_size}
    corrected = "no intervals, effect sizes or tests: too few subjects"
    if enough:
        tested = f"p-values corrected over {counted(max(sizes), 'comparison')} (Holm)" if sizes else "no test possible"
        corrected = f"{tested}; intervals are not adjusted"
    caption: list[Content] = [
        tag("b", findings.column.label),
        f", {arrow(findings.column.definition)}; paired by subject; {corrected}.",
    ]
    powerless = unreachable(findings) if enough else ""
    sentences = [c.sentence() for c in family.comparisons if c.n_subjects >= FEWEST_SUBJECTS]
    sentences += [f"{h.first} against {h.second} at {h.setting}: {h.reason}." for h in family.holes]
    parts: list[Content] = [
        table(header, rows, caption=caption, words=2),
        classed("p", "note", powerless) if powerless else None,
        aside("The same in sentences", bullets(sentences)) if sentences else None,
    ]
    return Markup(joined(parts))


def _figures(found: PairedComparison) -> list[Content]:
    measure = found.measure
    ends = () if found.interval is None else (found.interval.low, found.interval.high)
    decimals = decimals_for(found.mean_difference, *ends)
    better = sum(1 for d in found.differences if measure.sign * d > 0)
    interval = f" ({number(ends[0], decimals)} to {number(ends[1], decimals)})" if ends else ""
    difference: list[Content] = [
        _signed(found.mean_difference, decimals),
        tag("small", interval) if interval else None,
    ]
    start: list[Content] = [difference, f"{better} of {found.n_subjects}"]
    if found.n_subjects < FEWEST_SUBJECTS:
        return [*start, *[NOTHING] * 4]
    effect, ranks = found.effect, found.ranks
    size: Content = NOTHING
    if effect is not None:
        limits = tag("small", f"({number(effect.low, 2)} to {number(effect.high, 2)})")
        size = [number(effect.corrected, 2), " ", limits]
    order = NOTHING if ranks is None else number(ranks.rank_biserial, 2)
    return [*start, size, order, shown_p(found.p), shown_p(found.p_adjusted)]


def margin_table(findings: Sequence[MarginFinding], alpha: float) -> Markup:
    """How far each method stays within the margin."""
    rows: list[list[Content]] = []
    for one in findings:
        found = one.found
        if found is None:
            rows.append([one.method, classed("span", "hole", "not possible"), NOTHING, NOTHING])
            continue
        rates = found.curve.acceleration
        limits = ""
        if found.low is not None and found.high is not None:
            ends = found.low.words(rates), found.high.words(rates)
            limits = f" (both limits {ends[0]})" if ends[0] == ends[1] else f" ({ends[0]} to {ends[1]})"
        untested = all(j.verdict == "not tested" for j in found.judgements)
        largest = "none" if found.largest is None else f"{found.largest:.3g}"
        rows.append(
            [
                one.method,
                classed("span", "hole", "too few subjects") if untested else largest,
                [found.crossing.words(rates), tag("small", limits) if limits else None],
                str(len(found.curve.subjects)),
            ]
        )
    header: list[Content] = [
        "method",
        "largest tested R shown to be within the margin",
        f"R at which the mean loss reaches the margin ({100 * (1 - 2 * alpha):g} % interval)",
        "subjects",
    ]
    return table(header, rows)


def unreachable(findings: ColumnFindings) -> str:
    """A sentence where so few subjects meet so many tests that no corrected p-value can be small; else empty."""
    family = findings.family
    tested = [c for c in family.comparisons if c.ranks is not None] if family else []
    if not tested:
        return ""
    smallest = min(c.ranks.smallest_p for c in tested if c.ranks is not None) * len(tested)
    if smallest <= SIGNIFICANCE:
        return ""
    return (
        f"With so few subjects and {counted(len(tested), 'comparison')} no corrected p-value can fall below "
        f"{min(1.0, smallest):.2g}, whatever the data: read the differences and their intervals, not the p-values."
    )


def _signed(value: float, decimals: int) -> str:
    text = number(value, decimals)
    return f"+{text}" if isfinite(value) and value > 0 and text.strip("0.") else text.replace("-", "−")


def shown_p(p: float | None) -> str:
    """``0.023``, ``< 0.001``, or a dash."""
    return NOTHING if p is None else p_value(p).removeprefix("p ").removeprefix("= ")
