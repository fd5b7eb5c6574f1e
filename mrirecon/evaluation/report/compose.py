"""A study as one page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mrirecon.evaluation.readers.results import ReaderResults
from mrirecon.evaluation.report.data import ReportData
from mrirecon.evaluation.report.gallery import READERS, Titled
from mrirecon.evaluation.report.markup import Markup
from mrirecon.evaluation.report.page import page
from mrirecon.evaluation.report.plots_style import Plot
from mrirecon.evaluation.report.section_pictures import Budget, masks_section, pictures_section
from mrirecon.evaluation.report.section_prospective import prospective_section
from mrirecon.evaluation.report.section_quality import comparison_section, margin_section, quality_section
from mrirecon.evaluation.report.section_readers import readers_section
from mrirecon.evaluation.report.section_record import holes_section, methods_section, record_section
from mrirecon.evaluation.report.section_summary import header, limits_section, summary_section

LARGEST = 13_000_000
"""Characters of pictures on a page; with the rest it stays below 15 MB, what a mail takes."""


def compose(
    data: ReportData,
    *,
    examples: Sequence[Titled],
    prospective: Sequence[Titled],
    plots: Mapping[str, Plot],
    files: Sequence[str],
    readers: ReaderResults | None,
) -> str:
    """The HTML of a report.

    Parameters
    ----------
    examples, prospective
        Pictures with and without a reference.
    plots
        Figures by name; those of the curves are shown in the page.
    files
        What lies beside the page.
    readers
        What readers found, if they were asked.
    """
    shown = {
        name: plot for name, plot in plots.items() if not name.startswith(tuple(t.name for t in examples) or ("\0",))
    }
    budget = Budget(LARGEST - sum(len(plot.svg) * 4 // 3 for plot in shown.values()))
    with_reference = pictures_section([(t.title, t.example) for t in examples], budget)
    without = prospective_section(data, [(t.title, t.example) for t in prospective], budget)
    sections = [
        summary_section(data),
        limits_section(data),
        quality_section(data, shown),
        comparison_section(data, shown),
        margin_section(data),
        with_reference,
        masks_section(data),
        without,
        Markup("") if readers is None else readers_section(readers, shown.get(READERS)),
        methods_section(data),
        holes_section(data),
        record_section(data, files),
    ]
    version = data.results.versions.get("mrirecon", "")
    footer = f"Written by mrirecon {version}. Research use only, not for diagnosis.".replace("  ", " ").replace(
        " .", "."
    )
    return page(data.results.name, header(data), sections, footer=footer)
