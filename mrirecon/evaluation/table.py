"""Tables of a comparison: means with standard errors, figures by subject, paired differences; Markdown and CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from math import isnan, nan
from pathlib import Path

import numpy as np

from mrirecon.errors import ConfigError
from mrirecon.evaluation.cells import Cell
from mrirecon.io.atomic import atomic_file

Figure = Callable[[Cell], float | None]
DASH = "-"


def psnr_of(cell: Cell) -> float | None:
    return cell.psnr_db


def lpips_of(cell: Cell) -> float | None:
    return cell.lpips


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """Mean and its standard error, the sample standard deviation over the root of the count; NaN where undefined."""
    if not values:
        return nan, nan
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else nan
    return float(np.mean(values)), error


def paired_difference(
    cells: Sequence[Cell], first: str, second: str, *, setting: str, figure: Figure = psnr_of
) -> tuple[float, float, int]:
    """Mean of `first` minus `second` over the cases of a setting that both have, its standard error, their number."""
    values = {
        name: {c.case: v for c in cells if c.method == name and c.setting == setting and (v := figure(c)) is not None}
        for name in (first, second)
    }
    common = [case for case in values[first] if case in values[second]]
    return *mean_and_error([values[first][case] - values[second][case] for case in common]), len(common)


def comparison_tables(cells: Sequence[Cell], *, focus: str | None = None) -> str:
    """Markdown: one table per setting, with the methods in the order of the cells.

    Parameters
    ----------
    focus
        A method from which the others' paired distance is added: PSNR of `focus` minus that of the method.

    Raises
    ------
    ConfigError
        If figures of one setting have different definitions.
    """
    return "\n".join(_setting_table(cells, setting, focus) for setting in ordered(c.setting for c in cells))


def _setting_table(cells: Sequence[Cell], setting: str, focus: str | None) -> str:
    chosen = [c for c in cells if c.setting == setting]
    subjects = ordered(c.subject for c in chosen)
    header = ["method", "PSNR dB", "SSIM", "LPIPS", "s / image", "CPU s"]
    if focus is not None:
        header.append(f"{focus} minus it, dB")
    if len(subjects) > 1:
        header += [f"PSNR {subject}" for subject in subjects]
    rows, notes = [], []
    for method in ordered(c.method for c in chosen):
        own = [c for c in chosen if c.method == method]
        holes = ordered(c.hole for c in own if c.hole)
        scored = [c for c in own if not c.hole]
        notes += [f"- {method}: {len(own) - len(scored)} of {len(own)} missing: {hole}" for hole in holes]
        parameters = ordered(_tuned(c) for c in scored if c.parameters)
        notes += [f"- {method}: tuned to {parameter}" for parameter in parameters]
        row = [method, *(_shown(values, digits) for values, digits in _figures(scored))]
        if focus is not None:
            mean, error, _ = paired_difference(chosen, focus, method, setting=setting)
            row.append(DASH if method == focus else _with_error(mean, error, 2, sign=True))
        if len(subjects) > 1:
            row += [_shown([c.psnr_db for c in scored if c.subject == s], 2, error=False) for s in subjects]
        rows.append(row)
    stated = f"{', '.join(_definitions(chosen))}\n\n" if _definitions(chosen) else ""
    return (
        f"### {setting}{_facts(chosen)}\n\n{stated}{aligned(header, rows)}\n" + "".join(f"\n{n}" for n in notes) + "\n"
    )


def _definitions(cells: Sequence[Cell]) -> tuple[str, ...]:
    """The one set of definitions of all figures; nothing where no cell states it."""
    found = list(dict.fromkeys(c.definitions for c in cells if c.definitions))
    if len(found) > 1:
        named = " and ".join(", ".join(names) for names in found)
        raise ConfigError(f"figures of different definitions cannot stand in one table, got {named}; make two tables")
    return found[0] if found else ()


def _tuned(cell: Cell) -> str:
    edges = dict.fromkeys(cell.at_edge, " (edge of the grid)")
    return ", ".join(f"{key} {value:g}{edges.get(key, '')}" for key, value in cell.parameters.items())


def _figures(cells: Sequence[Cell]) -> list[tuple[list[float | None], int]]:
    return [
        ([c.psnr_db for c in cells], 2),
        ([c.ssim for c in cells], 4),
        ([c.lpips for c in cells], 4),
        ([c.seconds for c in cells], 2),
        ([c.cpu_seconds for c in cells], 2),
    ]


def _facts(cells: Sequence[Cell]) -> str:
    """How many cases of how many subjects, and the measured acceleration where there is one."""
    cases = {c.case: c.facts for c in cells}
    cases.update({c.case: c.facts for c in cells if c.facts})
    rates = [f["effective_acceleration"] for f in cases.values() if "effective_acceleration" in f]
    text = f" ({len(cases)} images of {len({c.subject for c in cells})} subjects or sets"
    return text + (f"; 1 of {np.mean(rates):.2f} samples)" if rates else ")")


def swap_table(cells: Sequence[Cell], *, swapped: str, specialist: str) -> str:
    """Markdown: methods by settings, PSNR, and what the swapped model loses against the specialised one, paired."""
    settings = ordered(c.setting for c in cells)
    rows = []
    for method in ordered(c.method for c in cells):
        values = [[c.psnr_db for c in cells if c.method == method and c.setting == s] for s in settings]
        rows.append([method, *(_shown(v, 2) for v in values)])
    lost = [paired_difference(cells, specialist, swapped, setting=s) for s in settings]
    rows.append([f"{specialist} minus {swapped}", *(_with_error(mean, error, 2, sign=True) for mean, error, _ in lost)])
    return aligned(["PSNR dB", *settings], rows) + "\n"


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up in plain text; all but the first column to the right."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True))
        ) + " |"  # fmt: skip

    rule = "| " + " | ".join("-" * w if i == 0 else "-" * (w - 1) + ":" for i, w in enumerate(widths)) + " |"
    return "\n".join([line(header), rule, *(line(row) for row in rows)])


def write_csv(path: Path, cells: Sequence[Cell]) -> None:
    """One row per cell; an existing file is replaced."""
    facts = ordered(key for c in cells for key in c.facts)
    names = ["setting", "subject", "case", "method", "psnr_db", "ssim", "lpips", "seconds", "cpu_seconds"]
    with atomic_file(path, overwrite=True) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "hole", "parameters", "definitions", *facts])
        for c in cells:
            parameters = " ".join(f"{key}={value:g}" for key, value in c.parameters.items())
            row = [c.setting, c.subject, c.case, c.method, c.psnr_db, c.ssim, c.lpips, c.seconds, c.cpu_seconds]
            stated = " ".join(c.definitions)
            writer.writerow([*row, c.hole, parameters, stated, *(c.facts.get(key, "") for key in facts)])


def ordered(values: Iterable[str]) -> list[str]:
    """Distinct values in the order of their first occurrence."""
    return list(dict.fromkeys(values))


def _shown(values: Sequence[float | None], digits: int, *, error: bool = True) -> str:
    present = [v for v in values if v is not None]
    mean, spread = mean_and_error(present)
    return _with_error(mean, spread if error else nan, digits)


def _with_error(mean: float, error: float, digits: int, *, sign: bool = False) -> str:
    if isnan(mean):
        return DASH
    text = f"{mean:+.{digits}f}" if sign else f"{mean:.{digits}f}"
    return text if isnan(error) else f"{text} ± {error:.{digits}f}"
