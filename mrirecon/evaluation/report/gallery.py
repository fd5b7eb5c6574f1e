"""Which pictures a study shows, and all its figures, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from mrirecon.evaluation.readers.results import ReaderResults
from mrirecon.evaluation.report.columns import settings_of
from mrirecon.evaluation.report.data import MaskFindings, ReportData
from mrirecon.evaluation.report.examples import Example, example, shown_settings, typical_and_hardest
from mrirecon.evaluation.report.plots_curves import plot_differences, plot_quality, plot_subjects
from mrirecon.evaluation.report.plots_examples import plot_example
from mrirecon.evaluation.report.plots_readers import plot_reader_scores
from mrirecon.evaluation.report.plots_style import Look, Plot, looks
from mrirecon.evaluation.report.section_quality import plot_name
from mrirecon.evaluation.report.section_summary import prospective_keys

READERS = "readers"
"""Name of the figure of the readers' scores."""

KINDS = ("quality", "subjects", "differences", "typical", "hardest", "prospective", READERS)
"""What the names of figures begin with."""

MOST_PROSPECTIVE = 3
"""Scans without a reference that are shown as pictures."""


@dataclass(frozen=True)
class Titled:
    """An example, its heading, and a name for its files."""

    title: str
    name: str
    example: Example


def retrospective_examples(data: ReportData) -> tuple[Titled, ...]:
    """The typical and the hardest scan of every kind of mask; of the hardest the middle acceleration only."""
    found = []
    for mask in data.masks:
        column = mask.primary.column
        settings = shown_settings(column.settings, data.choices.accelerations)
        names = [name for name in data.results.inputs if any(row.slice == name for row in column.rows)]
        for place, (name, why) in enumerate(typical_and_hardest(column, names)):
            own = settings if place == 0 else settings[len(settings) // 2 : len(settings) // 2 + 1]
            shown = example(data.results, name, why=why, settings=own, methods=data.methods, column=column)
            if shown is not None:
                kind = "typical" if place == 0 else "hardest"
                found.append(Titled(f"{kind.capitalize()} scan, mask {mask.mask}", f"{kind}-{mask.mask}", shown))
    return tuple(found)


def prospective_examples(data: ReportData) -> tuple[Titled, ...]:
    """The first scans without a reference."""
    found = []
    keys = prospective_keys(data)
    for name in tuple(dict.fromkeys(key.input for key in keys))[:MOST_PROSPECTIVE]:
        own = [key for key in keys if key.input == name]
        why = "The first scans of the study are shown, whatever they look like."
        settings = shown_settings(settings_of(data.results, own))
        shown = example(data.results, name, why=why, settings=settings, methods=data.methods, column=None)
        if shown is not None:
            found.append(Titled(f"Scan {name}", f"prospective-{name}", shown))
    return tuple(found)


def figures(
    data: ReportData, examples: tuple[Titled, ...], readers: ReaderResults | None = None
) -> Iterator[tuple[str, Callable[[], Plot]]]:
    """Name and maker of every figure, so that whoever draws them can count."""
    look = looks(data.methods)
    if readers is not None and readers.scores:
        yield READERS, partial(plot_reader_scores, readers, name=READERS)
    for found in data.masks:
        yield from _curves(data, found, look)
    for titled in examples:
        for setting, shown in titled.example.settings:
            if any(s.image is not None for s in shown):
                name = f"{titled.name}-R{setting.nominal:g}"
                yield name, partial(plot_example, titled.example, setting, shown, name=name, title=titled.title)


def _curves(data: ReportData, found: MaskFindings, look: dict[str, Look]) -> Iterator[tuple[str, Callable[[], Plot]]]:
    whole = [(f.column, f.curves) for f in found.columns if f.column.region == "whole"]
    chosen = whole or [(f.column, f.curves) for f in found.columns]
    name = plot_name("quality", found.mask)
    yield name, partial(plot_quality, chosen, look, name=name, title=f"Quality against acceleration, mask {found.mask}")
    column, curves = found.primary.column, found.primary.curves
    name = plot_name("subjects", found.mask)
    title = f"{column.label} by subject, mask {found.mask}"
    yield name, partial(plot_subjects, column, curves, look, name=name, title=title)
    if found.differences:
        name = plot_name("differences", found.mask)
        margin = data.choices.margin if found.margin and not data.choices.baseline_setting else None
        yield (
            name,
            partial(
                plot_differences,
                column,
                found.differences,
                look,
                baseline=found.baseline,
                name=name,
                title=f"Paired differences in {column.label}, mask {found.mask}",
                margin=margin,
            ),
        )
