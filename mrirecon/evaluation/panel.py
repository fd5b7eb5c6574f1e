"""A picture of one case: reference and estimates in one window, their errors below on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.evaluation.cells import Cell, CellStore
from mrirecon.evaluation.problems import Case, Problem
from mrirecon.evaluation.table import ordered
from mrirecon.io.raster.panel import Tile, write_panel

PER_ROW = 6
_OBJECT_LEVEL, _WINDOW_TOP = 0.1, 0.95  # scalp and vessels are far brighter than the organ that is looked at


def shown_cases(cases: Sequence[Case]) -> frozenset[str]:
    """The middle case of every subject and setting."""
    groups: dict[tuple[str, str], list[str]] = {}
    for case in cases:
        groups.setdefault((case.subject, case.setting), []).append(case.name)
    return frozenset(names[len(names) // 2] for names in groups.values())


def write_case_panel(
    path: Path, case: Case, cells: Sequence[Cell], store: CellStore, *, error_range: float = 0.1
) -> None:
    """Write the panel of a case from its cells and their pictures; methods without a picture are left out.

    Parameters
    ----------
    error_range
        The absolute error shown white, as a share of the data range.
    """
    problem = case.make()
    low, high = display_window(problem)
    reference = grey(problem.reference)
    tiles = [(Tile((reference - low) / (high - low), ("reference",)), Tile(np.zeros_like(reference), ()))]
    for method in ordered(c.method for c in cells if c.case == case.name):
        cell = next(c for c in cells if c.case == case.name and c.method == method)
        picture = store.picture(case.name, method)
        if picture is None or cell.hole:
            continue
        values = grey(picture)
        error = np.abs(values - reference) / (error_range * (problem.white - problem.black))
        lpips = "" if cell.lpips is None else f", LPIPS {cell.lpips:.3f}"
        caption = (method, f"{cell.psnr_db:.2f} dB, SSIM {cell.ssim:.3f}{lpips}")
        tiles.append((Tile((values - low) / (high - low), caption), Tile(error, ())))
    rows: list[list[Tile]] = []
    for start in range(0, len(tiles), PER_ROW):
        part = tiles[start : start + PER_ROW]
        rows += [[image for image, _ in part], [error for _, error in part]]
    title = f"{case.name}    below: |error|, white is {100 * error_range:g} % of the data range"
    write_panel(path, rows, title=title)


def display_window(problem: Problem) -> tuple[float, float]:
    """Values shown black and white: of photographs all, of MRI up to the 95th percentile of the object."""
    if problem.black < 0:
        return problem.black, problem.white
    inside = problem.reference[problem.reference > _OBJECT_LEVEL * problem.white]
    return problem.black, float(torch.quantile(inside, _WINDOW_TOP))


def grey(image: Tensor) -> NDArray[np.float32]:
    """(channel, y, x) as one plane: the mean of the channels."""
    plane: NDArray[np.float32] = image.float().mean(0).numpy()
    return plane
