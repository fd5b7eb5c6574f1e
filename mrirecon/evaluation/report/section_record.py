"""The record: methods with weights and tuning, times, holes, warnings, mask cards, and how to make it again."""

from __future__ import annotations

import json
from collections.abc import Iterable
from statistics import median

import yaml

from mrirecon.evaluation.report.columns import mask_of
from mrirecon.evaluation.report.data import ReportData
from mrirecon.evaluation.report.markup import Content, Markup, bullets, classed, folded, paragraph, section, table, tag
from mrirecon.evaluation.statistics.bootstrap import FEWEST_SUBJECTS
from mrirecon.evaluation.statistics.interval import ENOUGH_TO_RESAMPLE, METHOD_WORDS, IntervalOptions
from mrirecon.evaluation.statistics.wording import counted, listed
from mrirecon.evaluation.study.records import CellKey, CellResult, MaskRecord
from mrirecon.records import to_mapping

NOT_RUN = "not run yet"


def holes_section(data: ReportData) -> Markup:
    """How many cells of each method and setting are there, and why the others are not."""
    settings = tuple(dict.fromkeys(key.setting for key in data.planned))
    done = {cell.key for cell in data.results.cells if not cell.hole}
    rows: list[list[Content]] = []
    for method in data.methods:
        cells: list[Content] = []
        for setting in settings:
            planned = [k for k in data.planned if (k.method, k.setting) == (method, setting)]
            n = sum(1 for k in planned if k in done)
            count = f"{n} / {len(planned)}"
            cells.append(count if n == len(planned) else classed("span", "hole", count))
        rows.append([method, *cells])
    reasons = _reasons(data)
    return section(
        "Completeness and holes",
        "holes",
        table(["cells with a result / planned", *settings], rows),
        table(["reason", "cells", "which"], reasons, words=3)
        if reasons
        else paragraph("Every planned cell has a result."),
        _warnings(data),
    )


def _reasons(data: ReportData) -> list[list[Content]]:
    found: dict[str, list[str]] = {}
    for cell in data.results.holes:
        found.setdefault(cell.hole, []).append(cell.key.name)
    for key in data.results.missing:
        found.setdefault(NOT_RUN, []).append(key.name)
    return [[reason, str(len(names)), listed(names, most=10)] for reason, names in found.items()]


def _warnings(data: ReportData) -> Content:
    found: dict[str, list[str]] = {}
    for cell in data.results.cells:
        for warning in cell.warnings:
            found.setdefault(warning, []).append(cell.key.name)
    if not found:
        return None
    lines = [f"{warning} ({counted(len(names), 'cell')}: {listed(names, most=6)})" for warning, names in found.items()]
    return [tag("h3", "Warnings of the reconstructions"), bullets(lines)]


def methods_section(data: ReportData) -> Markup:
    """One row per method: time, weights, tuned values."""
    rows: list[list[Content]] = []
    for method in data.methods:
        cells = [c for c in data.results.cells if c.key.method == method and not c.hole]
        rows.append([method, *_times(cells), _weights(cells), _parameters(cells)])
    header: list[Content] = ["method", "wall time per scan, s", "CPU time, s", "checkpoint and SHA-256 of its weights"]
    caption = (
        "Times are medians (smallest to largest) over scans, on the machine of the study, and are no benchmark; they "
        "exclude coil maps and scores. Tuned values as smallest to largest over cells."
    )
    return section(
        "Methods, weights and tuning", "methods", table([*header, "tuned parameters"], rows, caption=caption, words=5)
    )


def _times(cells: list[CellResult]) -> list[Content]:
    return [_spread([c.seconds for c in cells]), _spread([c.cpu_seconds for c in cells])]


def _spread(values: list[float]) -> str:
    if not values:
        return "–"
    low, high = f"{min(values):.3g}", f"{max(values):.3g}"
    return low if low == high else f"{median(values):.3g} ({low} to {high})"


def _weights(cells: list[CellResult]) -> Content:
    found = dict.fromkeys((c.checkpoint, c.weights_sha256) for c in cells if c.checkpoint or c.weights_sha256)
    if not found:
        return "no learned weights" if cells else "–"
    return [[name, tag("br"), tag("code", checksum or "no checksum"), tag("br")] for name, checksum in found]


def _parameters(cells: list[CellResult]) -> str:
    names = dict.fromkeys(name for c in cells for name in c.parameters)
    shown = []
    for name in names:
        values = [c.parameters[name] for c in cells if name in c.parameters]
        low, high = f"{min(values):.4g}", f"{max(values):.4g}"
        shown.append(f"{name} {low}" if low == high else f"{name} {low} to {high}")
    return "; ".join(shown) or "none"


def record_section(data: ReportData, files: Iterable[str]) -> Markup:
    """Command, versions, statistics, configuration, mask cards and files."""
    results = data.results
    versions = bullets([[tag("b", name), f" {version}"] for name, version in results.versions.items()])
    config = yaml.safe_dump(to_mapping(results.config), sort_keys=False, allow_unicode=True)
    return section(
        "How it was made, and how to make it again",
        "record",
        tag("h3", "Command"),
        tag("pre", results.command or "not recorded"),
        tag("h3", "Versions"),
        versions,
        tag("h3", "Statistics"),
        paragraph(
            f"The subject is the unit: scores are averaged over mask seeds, then over the scans of a subject. "
            f"{_intervals(data.options)} Differences are paired within subjects; effect sizes are Cohen's d_z (with "
            "the correction for small samples, limits from the noncentral t distribution) and the rank-biserial "
            "correlation; tests are two-sided Wilcoxon signed-rank tests, corrected by Holm's method over all methods "
            "and accelerations of one score and mask. Subjects without a score from both sides are left out of a "
            "comparison and counted."
        ),
        folded("Configuration, complete", tag("pre", config)),
        _cards(data),
        tag("h3", "Files"),
        paragraph("Beside this page, in the folder of the study:"),
        bullets([tag("code", name) for name in files]),
    )


def _intervals(options: IntervalOptions) -> str:
    """How they were made."""
    resampled = f"bootstrap over subjects, {options.n_resamples} resamples, seed {options.seed}"
    words = {
        "auto": f"Student's t with fewer than {ENOUGH_TO_RESAMPLE} subjects (it takes them for normally scattered, "
        f"which so few cannot show), from there on studentised {resampled}",
        "t": "Student's t",
    }
    how = words.get(options.method, f"{METHOD_WORDS[options.method].removesuffix(' bootstrap')} {resampled}")
    return (
        f"Intervals of means: {how}; level {100 * options.level:g} %, pointwise, not adjusted, ending where a score "
        f"cannot go further; none with fewer than {FEWEST_SUBJECTS} subjects."
    )


def _cards(data: ReportData) -> Markup:
    groups: dict[str, tuple[MaskRecord, list[str]]] = {}
    seen: set[tuple[str, str]] = set()
    for key in data.planned:
        if (key.input, key.mask_name) in seen:
            continue
        seen.add((key.input, key.mask_name))
        record = mask_of(data.results, key)
        if record is not None:
            card = json.dumps(to_mapping(record.card), sort_keys=True, ensure_ascii=False)
            groups.setdefault(f"{key.mask_name} {card}", (record, []))[1].append(key.input)
    rows = [_card_row(record, inputs) for record, inputs in groups.values()]
    header: list[Content] = ["mask", "effective R", "scans", "SHA-256", "card, from which it is drawn again"]
    return folded(f"Mask cards ({len(groups)} different masks)", table(header, rows, words=5))


def _card_row(record: MaskRecord, inputs: list[str]) -> list[Content]:
    name = CellKey("", record.mask, record.acceleration, record.seed, "").mask_name
    card = json.dumps(to_mapping(record.card), ensure_ascii=False)
    checksum = str(record.card.get("sha256", ""))
    return [
        name,
        f"{record.effective_acceleration:.4g}",
        listed(inputs, most=4),
        tag("code", checksum[:16] or "–"),
        classed("code", "card", card),
    ]
