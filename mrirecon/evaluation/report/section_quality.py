"""The chapters of numbers: quality over effective acceleration, comparisons, and how far one can go."""

from __future__ import annotations

from collections.abc import Mapping

from mrirecon.evaluation.report.data import MaskFindings, ReportData
from mrirecon.evaluation.report.directions import explained, label
from mrirecon.evaluation.report.findings import about_subjects
from mrirecon.evaluation.report.images import figure_of
from mrirecon.evaluation.report.markup import Content, Markup, aside, bullets, classed, folded, paragraph, section, tag
from mrirecon.evaluation.report.plots_style import Plot
from mrirecon.evaluation.report.tables import comparison_table, margin_table, score_table
from mrirecon.evaluation.statistics.interval import METHOD_WORDS
from mrirecon.evaluation.statistics.wording import counted, listed, percent


def quality_section(data: ReportData, plots: Mapping[str, Plot]) -> Markup:
    """Figures and tables of every kind of mask."""
    if not data.masks:
        return section(
            "Quality against effective acceleration", "quality", _empty(data)
        )  # an unfinished study, or nothing but prospective scans
    parts: list[Content] = [
        paragraph(
            "Acceleration is the effective one: phase encodings of the grid over those sampled, the calibration lines "
            "included. Each subject counts once, with the mean over its scans and mask seeds."
        ),
        _explained(data),
    ]
    for found in data.masks:
        parts.append(tag("h3", f"Mask: {found.mask}"))
        plot = plots.get(plot_name("quality", found.mask))
        if plot is not None:
            parts.append(figure_of(plot, _quality_caption(data, found)))
        plot = plots.get(plot_name("subjects", found.mask))
        if plot is not None:
            label_ = found.primary.column.label
            parts.append(
                figure_of(
                    plot,
                    f"{label_} of every subject (thin lines), mean (thick) and its interval (band"
                    f"{'' if _has_bands(found) else ', not shown: too few subjects'}).",
                )
            )
        rest = [score_table(f) for f in found.columns if f is not found.primary]
        parts.append(score_table(found.primary))
        if rest:
            parts.append(folded(f"Tables of the other {len(rest)} scores ({found.mask})", rest))
    return section("Quality against effective acceleration", "quality", parts)


def comparison_section(data: ReportData, plots: Mapping[str, Plot]) -> Markup:
    """Paired differences from the baseline, with effect sizes before p-values."""
    comparable = [found for found in data.masks if found.primary.family is not None]
    if not comparable:
        return Markup("")
    chosen = "as the study says" if data.choices.baseline else "the first method of the study, as none was named"
    stated = "as the study says" if data.choices.primary else "the default, as the study names none"
    first = comparable[0]
    parts: list[Content] = [
        paragraph(
            f"All methods are compared with {first.baseline} ({chosen}), within subjects. The primary score is "
            f"{first.primary.column.label} ({stated})."
        )
    ]
    warning = about_subjects(len(data.subjects))
    if warning:
        parts.append(classed("div", "warn", warning))
    for found in comparable:
        parts.append(tag("h3", f"Mask: {found.mask}"))
        plot = plots.get(plot_name("differences", found.mask))
        if plot is not None:
            band = "; band: pointwise 95 % interval" if _has_bands(found) else ""
            margin = "; dashed: the margin" if found.margin and not data.choices.baseline_setting else ""
            parts.append(
                figure_of(
                    plot,
                    f"Difference in {found.primary.column.label} from {found.baseline} at the same acceleration, per "
                    f"subject (thin) and on average (thick{band}){margin}.",
                )
            )
        parts.append(comparison_table(found.primary))
        rest = [comparison_table(f) for f in found.columns if f is not found.primary and f.family is not None]
        if rest:
            parts.append(
                folded(
                    f"Comparisons in the other {len(rest)} scores ({found.mask}; each its own family, exploratory)",
                    rest,
                )
            )
    return section("Comparison of methods", "comparison", parts)


def margin_section(data: ReportData) -> Markup:
    """The largest acceleration within the margin, or why none is given."""
    if not data.masks:
        return Markup("")
    margin = data.choices.margin
    if margin is None:
        return section(
            "How far can it be accelerated?",
            "margin",
            paragraph(
                "No margin was set, so no largest acceleration is named. A loss that does not matter must be chosen by "
                "readers before the data are seen; write it as ",
                tag("code", "report: {primary: ssim, margin: 0.02}"),
                " into the study's configuration. The curves above are a description, not a licence.",
            ),
        )
    parts: list[Content] = [
        paragraph(
            f"Margin: {data.masks[0].primary.column.measure.with_unit(f'{margin:g}')} of "
            f"{data.masks[0].primary.column.label}, one-sided alpha {data.choices.alpha:g}. Accelerations are tested "
            "from the smallest on until the first failure, which keeps the error over all of them."
        )
    ]
    for found in data.masks:
        parts.append(tag("h3", f"Mask: {found.mask}"))
        if not found.margin:
            parts.append(paragraph("Nothing to test: the primary score is not ranked, or there is one method only."))
            continue
        parts += [margin_table(found.margin, data.choices.alpha), *_margin_sentences(found)]
    return section("How far can it be accelerated?", "margin", parts)


def _margin_sentences(found: MaskFindings) -> list[Content]:
    said: list[Content] = [
        one.found.sentence() if one.found else f"{one.method}: not possible: {one.reason}." for one in found.margin
    ]
    follow_up = [one.sample_size for one in found.margin if one.sample_size]
    parts: list[Content] = [aside("The same in sentences", bullets(said))]
    if follow_up:
        parts.append(folded("Subjects that a follow-up would need", bullets(follow_up)))
    return parts


def plot_name(kind: str, mask: str) -> str:
    """Name of the files of a figure."""
    return f"{kind}-{mask}"


def _quality_caption(data: ReportData, found: MaskFindings) -> str:
    n = len(data.subjects)
    start = (
        f"Mean over subjects against effective acceleration, mask {found.mask}; {counted(n, 'subject')}. Markers are "
        "shifted sideways a little so that they do not hide each other."
    )
    if not _has_bands(found):
        return f"{start} There are no intervals: too few subjects."
    return (
        f"{start} Error bars: {percent(data.options.level)} intervals of the mean ({_methods(found)}). They hold the "
        "spread between subjects, which all methods share: they do not tell methods apart, the paired comparison below "
        "does."
    )


def _methods(found: MaskFindings) -> str:
    bands = [b for f in found.primary.curves if f.curve for b in f.curve.bands if b is not None]
    return listed(list(dict.fromkeys(METHOD_WORDS[b.method] for b in bands)))


def _has_bands(found: MaskFindings) -> bool:
    return any(b is not None for f in found.primary.curves if f.curve for b in f.curve.bands)


def _explained(data: ReportData) -> Markup:
    kinds = {label(f.column.definition): f.column.definition for m in data.masks for f in m.columns}
    return folded(
        "What the scores mean",
        bullets([[tag("b", name), f": {explained(d)}."] for name, d in kinds.items()]),
        paragraph("No score of this kind is a reader's judgement, and none was shown to predict a diagnosis here."),
    )


def _empty(data: ReportData) -> Markup:
    if all(not k for k in data.retrospective_keys):
        return paragraph("No scan of this study has a fully sampled reference; see the scans without ground truth.")
    return classed("div", "warn", "No cell with a reference has scores yet: run the study, or see the holes below.")
