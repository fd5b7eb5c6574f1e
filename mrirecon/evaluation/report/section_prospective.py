"""Scans that were undersampled by the scanner: nothing to compare with, so only what needs no reference is shown."""

from __future__ import annotations

from collections.abc import Sequence

from mrirecon.evaluation.report.columns import ScoreColumn, is_prospective
from mrirecon.evaluation.report.data import ReportData
from mrirecon.evaluation.report.directions import arrow, explained
from mrirecon.evaluation.report.examples import Example
from mrirecon.evaluation.report.markup import Content, Markup, bullets, classed, paragraph, section, table, tag
from mrirecon.evaluation.report.section_pictures import Budget, example_block
from mrirecon.evaluation.report.section_summary import prospective_keys
from mrirecon.evaluation.report.tables import NOTHING
from mrirecon.evaluation.statistics.observations import Score as Observation
from mrirecon.evaluation.statistics.wording import decimals_for, number
from mrirecon.metrics.passport import describe


def prospective_section(data: ReportData, examples: Sequence[tuple[str, Example]], budget: Budget) -> Markup:
    """Scores without ground truth, scan by scan, and pictures."""
    keys = prospective_keys(data)
    if not keys:
        return Markup("")
    parts: list[Content] = [
        classed(
            "div",
            "warn",
            tag("b", "No ground truth. "),
            "These scans were undersampled by the scanner. There is no image to compare with, and none was made up. "
            "The figures below say whether an image agrees with what was measured and how sure a method is of itself; "
            "a method that invents detail where nothing was measured can have perfect figures here.",
        )
    ]
    if not data.prospective:
        parts.append(paragraph("No such score has been computed."))
    parts.append(bullets([[tag("b", c.label), f": {explained(c.definition)}."] for c in _once(data.prospective)]))
    parts += [_table(column) for column in data.prospective]
    parts += _facts_tables(data)
    for title, example in examples:
        parts += [tag("h3", title), example_block(example, budget)]
    return section("Scans without ground truth", "prospective", parts)


def _once(columns: Sequence[ScoreColumn]) -> list[ScoreColumn]:
    """One column of every metric, whatever the mask."""
    return list({(c.definition, c.region): c for c in columns}.values())


def _table(column: ScoreColumn) -> Markup:
    """Methods by scans: single values, as scans differ in what was measured."""
    scans = tuple(dict.fromkeys((row.slice, row.setting) for row in column.rows))
    values = {(row.method, row.slice, row.setting): row for row in column.rows}
    rows: list[list[Content]] = [
        [method, *(_value(values.get((method, *scan))) for scan in scans)] for method in column.methods
    ]
    unit = f", {column.measure.unit}" if column.measure.unit else ""
    caption: list[Content] = [
        tag("b", f"{column.label}{unit}"), f", {arrow(column.definition)}. ", tag("small", describe(column.definition))
    ]  # fmt: skip
    header: list[Content] = ["method"]
    header += [[name, tag("br"), tag("small", setting)] for name, setting in scans]
    notes = classed("div", "note", bullets([f"{note}." for note in column.notes])) if column.notes else Markup("")
    return Markup(table(header, rows, caption=caption).html + notes.html)


def _facts_tables(data: ReportData) -> list[Content]:
    """One table per number that the cells of these scans record beside their scores."""
    cells = [c for c in data.results.cells if is_prospective(data.results, c.key)]
    scans = tuple(dict.fromkeys((c.key.input, c.key.setting) for c in cells))
    tables: list[Content] = []
    for name in dict.fromkeys(name for c in cells for name in c.facts if name != "effective_acceleration"):
        values = {(c.key.method, c.key.input, c.key.setting): c.facts[name] for c in cells if name in c.facts}
        rows: list[list[Content]] = []
        for method in dict.fromkeys(key[0] for key in values):
            found = [values.get((method, *scan)) for scan in scans]
            rows.append([method, *(NOTHING if v is None else number(v, decimals_for(v)) for v in found)])
        header: list[Content] = ["method"]
        header += [[scan, tag("br"), tag("small", setting)] for scan, setting in scans]
        tables.append(table(header, rows, caption=tag("b", name.replace("_", " "))))
    return tables


def _value(row: Observation | None) -> Content:
    if row is None:
        return classed("span", "hole", "hole")
    return "–" if row.value is None else number(row.value, decimals_for(row.value))
