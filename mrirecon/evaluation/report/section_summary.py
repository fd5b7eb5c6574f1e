"""The first page: what was studied, how much of it is there, and what it cannot say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mrirecon.evaluation.report.columns import is_prospective, masks_of, settings_of, subject_of
from mrirecon.evaluation.report.data import ReportData
from mrirecon.evaluation.report.findings import about_subjects
from mrirecon.evaluation.report.markup import Content, Markup, bullets, classed, paragraph, section, table, tag
from mrirecon.evaluation.statistics.wording import counted, listed
from mrirecon.evaluation.study.records import CellKey, InputRecord

DATA_CRIMES = (
    "Shimron E, Tamir JI, Wang K, Lustig M. Implicit data crimes: machine learning bias arising from misuse of public "
    "data. PNAS 2022;119(13):e2117203119. doi:10.1073/pnas.2117203119"
)


def header(data: ReportData) -> Markup:
    """Title, description and the size of the study in figures."""
    results = data.results
    done = sum(1 for cell in results.cells if not cell.hole)
    figures = [
        (str(len(_subjects(data, data.planned))), "subjects"),
        (str(len(dict.fromkeys(key.input for key in data.planned))), "scans"),
        (str(len(data.methods)), "methods"),
        (str(len({key.setting for key in data.planned})), "settings (mask, R)"),
        (f"{done} of {len(data.planned)}", "cells reconstructed"),
    ]
    facts = [tag("div", tag("b", value), tag("span", name)) for value, name in figures]
    return tag(
        "header",
        tag("h1", results.name),
        classed("p", "lead", results.description) if results.description else None,
        classed("p", "note", "Acceleration study by mrirecon. Research use only, not for diagnosis."),
        classed("div", "facts", facts),
    )


def summary_section(data: ReportData) -> Markup:
    """In words: design, completeness, and warnings that change how everything below is read."""
    results = data.results
    retrospective = data.retrospective_keys
    lines: list[Content] = [[tag("b", "Methods: "), ", ".join(data.methods)]]
    for mask in masks_of(retrospective):
        settings = settings_of(results, [k for k in retrospective if k.mask == mask])
        seeds = sorted({k.seed for k in retrospective if k.mask == mask})
        rates = ", ".join(f"{s.nominal:g} ({s.words().removeprefix('R = ')})" for s in settings)
        lines.append(
            [
                tag("b", f"Mask {mask}: "),
                f"nominal acceleration (effective) {rates or 'not drawn yet'}; {counted(len(seeds), 'seed')}",
            ]
        )
    subjects = _subjects(data, retrospective)
    if subjects:
        names = listed(subjects, most=12)
        lines.append([tag("b", "Subjects with a reference: "), f"{len(subjects)} ({names})"])
    lines += _findings(data)
    parts: list[Content] = [bullets(lines)]
    few = about_subjects(len(subjects)) if subjects else ""
    if few:
        parts.append(classed("div", "warn", tag("b", "Few subjects. "), few))
    if not results.complete:
        parts.append(
            classed(
                "div",
                "warn",
                tag("b", "Incomplete. "),
                f"{counted(len(results.missing), 'cell')} not run, {counted(len(results.holes), 'cell')} without a "
                "result: see ",
                tag("a", "the holes and their reasons", attributes={"href": "#holes"}),
                ".",
            )
        )
    return section("Summary", "summary", parts)


def _findings(data: ReportData) -> list[Content]:
    """The answer to the study's question, where a margin was set and tests were possible."""
    lines: list[Content] = []
    for found in data.masks:
        tested = [
            m.found for m in found.margin if m.found and any(j.verdict != "not tested" for j in m.found.judgements)
        ]
        if not tested or data.choices.margin is None:
            continue
        measure = found.primary.column.measure
        where = f" at {data.choices.baseline_setting}" if data.choices.baseline_setting else " at the same acceleration"
        reached = [f"{m.curve.method} {f'up to R = {m.largest:.3g}' if m.largest else 'at no R'}" for m in tested]
        lines.append(
            [
                tag("b", f"Within {measure.with_unit(f'{data.choices.margin:g}')} {measure.name}"),
                f" of {found.baseline}{where}, mask {found.mask}: {'; '.join(reached)} (effective R; tested, "
                f"one-sided alpha {data.choices.alpha:g}).",
            ]
        )
    return lines


def limits_section(data: ReportData) -> Markup:
    """What the data allow to conclude, from what is known of each scan."""
    records = _records(data)
    said: dict[str, list[str]] = {}
    for record in records:
        for sentence in record.limits:
            said.setdefault(sentence.strip().rstrip("."), []).append(record.name)
    simulated = [r.name for r in records if r.kind == "simulated"]
    lines: list[Content] = []
    if simulated:
        lines.append(
            [
                tag("b", "Simulated data. "),
                f"The k-space of {_of(simulated, records)} was simulated from images. Noise, coils, phase, motion and "
                "field errors of a scanner are missing or made up, so figures tend to be too good, and rankings may "
                "change on measured data.",
            ]
        )
    lines += [
        [tag("b", f"{sentence[:1].upper()}{sentence[1:]}. "), _of(names, records)] for sentence, names in said.items()
    ]
    crimes: Content = None
    if simulated or said:
        crimes = paragraph(
            "Why this matters: data that were processed before they are undersampled again (magnitude or coil-combined "
            "images, zero-padded k-space, compressed pictures, maps from fully sampled data) make reconstruction "
            "easier than on a scanner, and learned methods profit most. Scores of such data must not be compared with, "
            "or sold as, scores of raw data. ",
            tag("cite", DATA_CRIMES),
            ".",
        )
    if data.retrospective_keys and any(r.fully_sampled for r in records):
        lines.append(
            "Undersampling is retrospective: lines were left out of complete scans. A scan that is really accelerated "
            "differs in timing, contrast, eddy currents and motion."
        )
    if any(r.fully_sampled and r.kind == "measured" for r in records):
        lines.append("The reference is itself a measurement: errors below its noise level cannot be seen in any score.")
    unknown = [r.name for r in records if r.affine_lps is None]
    if unknown:
        lines.append(f"Geometry is unknown for {_of(unknown, records)}: left and right cannot be told.")
    if _lpips_is_missing(data):
        lines.append(
            "LPIPS was asked for and is not here: its network could not be loaded where the study ran. Give the file "
            "of the AlexNet features as --lpips, with a torchvision that fits torch, and run the study again."
        )
    lines.append(
        "Scores are averages over images. A lesion may vanish while they hardly change; what a change means for a "
        "diagnosis only readers can say."
    )
    return section("Limits", "limits", bullets(lines), crimes, _inputs_table(records))


def _lpips_is_missing(data: ReportData) -> bool:
    metrics = data.results.config.get("metrics")
    if not isinstance(metrics, Mapping) or metrics.get("lpips") is not True:
        return False
    scored = [cell for cell in data.results.cells if cell.scores and not is_prospective(data.results, cell.key)]
    return bool(scored) and not any(s.definition.name == "lpips" for cell in scored for s in cell.scores)


def _inputs_table(records: tuple[InputRecord, ...]) -> Markup:
    rows: list[list[Content]] = []
    for r in records:
        size = " x ".join(f"{v:.3g}" for v in r.voxel_size_mm) if r.voxel_size_mm else "unknown"
        reference = r.reference or ("unspecified" if r.fully_sampled else "none: undersampled by the scanner")
        kind = f"{r.kind} k-space"
        matrix = f"{r.matrix[0]} x {r.matrix[1]}"
        checksum = tag("code", r.sha256[:12]) if r.sha256 else "–"
        rows.append(
            [r.name, r.subject, r.source, kind, matrix, str(len(r.slices)), str(r.coils), size, reference, checksum]
        )
    header_cells = ["scan", "subject", "source", "data", "matrix", "slices", "coils", "voxel z x y x x, mm"]
    return Markup(
        tag(
            "details",
            tag("summary", f"The {len(records)} scans"),
            table([*header_cells, "reference", "SHA-256"], rows, words=4),
        ).html
    )


def _records(data: ReportData) -> tuple[InputRecord, ...]:
    names = dict.fromkeys(key.input for key in data.planned)
    return tuple(data.results.inputs[name] for name in names if name in data.results.inputs)


def _of(names: list[str], records: tuple[InputRecord, ...]) -> str:
    return f"all {len(records)} scans" if len(names) == len(records) > 1 else listed(names, most=8)


def _subjects(data: ReportData, keys: Iterable[CellKey]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(subject_of(data.results, key) for key in keys))


def prospective_keys(data: ReportData) -> tuple[CellKey, ...]:
    """Planned cells of inputs without a reference."""
    return tuple(key for key in data.planned if is_prospective(data.results, key))
