"""Which scans, slices and accelerations are shown as pictures, and their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError
from mrirecon.evaluation.report.columns import ScoreColumn, Setting, settings_of
from mrirecon.evaluation.report.views import Box, Plane, error_top, window_top, zoom_box
from mrirecon.evaluation.statistics.wording import decimals_for, number
from mrirecon.evaluation.study.records import CellKey, CellResult, InputRecord
from mrirecon.evaluation.study.results import StudyResults

MOST_SETTINGS = 3
"""Accelerations shown as pictures unless the study names them."""


@dataclass(frozen=True, eq=False)
class Shown:
    """One method's picture of a slice.

    Parameters
    ----------
    key
        Of the cell.
    image
        None where `hole` says why.
    deviation
        Standard deviation, where the method gives one.
    hole
        Empty where there is a picture.
    caption
        The score of the volume.
    """

    key: CellKey
    image: Plane | None
    deviation: Plane | None
    hole: str
    caption: str


@dataclass(frozen=True, eq=False)
class Example:
    """One slice of one scan by all methods at one or more accelerations, on common scales.

    Parameters
    ----------
    record
        The scan.
    why
        The rule by which it was chosen, as a sentence.
    place
        Index of the slice in the volume.
    reference
        None where the scanner undersampled.
    white
        The value shown white.
    zoom
        Part that is enlarged.
    largest
        Maximum of the reference volume; 0 without reference.
    error_share
        The error shown brightest, as a share of `largest`.
    beyond
        Share of the voxels whose error is larger.
    deviation_top
        The standard deviation shown brightest; 0 where there is none.
    settings
        Ascending in acceleration, with the effective one of this scan, each with the methods in order.
    """

    record: InputRecord
    why: str
    place: int
    reference: Plane | None
    white: float
    zoom: Box
    largest: float
    error_share: float
    beyond: float
    deviation_top: float
    settings: tuple[tuple[Setting, tuple[Shown, ...]], ...]

    def error_of(self, image: Plane) -> NDArray[np.floating]:
        """Absolute error, 1 where it reaches the brightest shown."""
        if self.reference is None:
            raise ValueError("there is no reference, so there is no error")
        error: NDArray[np.floating] = np.abs(image - self.reference) / (self.error_share * self.largest)
        return error


def shown_settings(settings: Sequence[Setting], wanted: Sequence[float] = ()) -> tuple[Setting, ...]:
    """The wanted nominal accelerations, or the smallest, the middle and the largest."""
    chosen = tuple(s for s in settings if s.nominal in wanted)
    if chosen or len(settings) <= MOST_SETTINGS:
        return chosen or tuple(settings)
    places = np.rint(np.linspace(0, len(settings) - 1, MOST_SETTINGS)).astype(int)
    return tuple(settings[i] for i in places)


def ranked_inputs(column: ScoreColumn, inputs: Sequence[str]) -> tuple[str, ...]:
    """Inputs from the worst mean score over all methods and settings to the best.

    Only inputs for which most cells have a score are compared, so that a missing hard case makes nobody look good.
    """
    values: dict[str, list[float]] = {name: [] for name in inputs}
    for row in column.rows:
        if row.value is not None and np.isfinite(row.value) and row.slice in values:
            values[row.slice].append(column.measure.sign * row.value)
    most = max((len(v) for v in values.values()), default=0)
    means = {name: fmean(found) for name, found in values.items() if found and len(found) == most}
    return tuple(sorted(means, key=lambda name: (means[name], name)))


def typical_and_hardest(column: ScoreColumn, inputs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(input, rule) of the median input and, with at least three, of the worst one."""
    order = ranked_inputs(column, inputs)
    if not order:
        return ()
    score = f"mean {column.label} over all methods and accelerations"
    if len(order) < 3:
        why = (
            "the only scan with scores"
            if len(order) == 1
            else f"of two scans, the one with the lower quality ({score})"
        )
        return ((order[0], f"Chosen by rule: {why}."),)
    middle = order[(len(order) - 1) // 2]
    return (
        (middle, f"Chosen by rule: the scan of median quality ({score}; {len(order)} scans)."),
        (order[0], f"Chosen by rule: the scan of the lowest quality ({score}; {len(order)} scans)."),
    )


def example(
    results: StudyResults,
    name: str,
    *,
    why: str,
    settings: Sequence[Setting],
    methods: Sequence[str],
    column: ScoreColumn | None,
) -> Example | None:
    """The pictures of one input at some settings; None if none of its cells has one.

    The slice is the middle one. A seed of the mask that has the most cells is shown, the smallest of them.
    """
    cells = {cell.key: cell for cell in results.cells if cell.key.input == name}
    planned = {k for k in (*cells, *results.missing) if k.input == name}
    effective = {s.name: s for s in settings_of(results, planned)}
    reference = results.reference(name)
    place = len(results.inputs[name].slices) // 2
    found = []
    for setting in settings:
        keys = [k for k in planned if k.setting == setting.name]
        if keys:
            seed = min(k.seed for k in keys)
            shown = [
                _shown(results, cells, CellKey(name, setting.mask, setting.nominal, seed, method), place, column)
                for method in methods
            ]
            found.append(
                (effective.get(setting.name, setting), tuple(s for s in shown if s is not None and s.key in planned))
            )
    images = [s.image for _, shown in found for s in shown if s.image is not None]
    if not images:
        return None
    shape = images[0].shape
    plane = reference[place] if reference is not None else np.mean([i for i in images if i.shape == shape], axis=0)
    largest = float(reference.max()) if reference is not None else 0.0
    errors = [np.abs(i - plane) for i in images if i.shape == plane.shape] if reference is not None else []
    share = error_top(errors, largest)
    beyond = float(np.mean([(e > share * largest).mean() for e in errors])) if errors else 0.0
    deviations = [s.deviation for _, shown in found for s in shown if s.deviation is not None]
    return Example(
        record=results.inputs[name],
        why=why,
        place=place,
        reference=None if reference is None else plane,
        white=window_top(plane),
        zoom=zoom_box(plane),
        largest=largest,
        error_share=share,
        beyond=beyond,
        deviation_top=max((float(np.quantile(d, 0.99)) for d in deviations), default=0.0),
        settings=tuple(found),
    )


def _shown(
    results: StudyResults, cells: dict[CellKey, CellResult], key: CellKey, place: int, column: ScoreColumn | None
) -> Shown:
    cell = cells.get(key)
    if cell is None or cell.hole:
        return Shown(key, None, None, cell.hole if cell else "not run", "")
    try:
        image, deviation = results.image(key)[place], results.deviation(key)
    except (FormatError, IndexError) as error:
        return Shown(key, None, None, f"no picture: {error}", "")
    caption = ""
    if column is not None:
        scores = [s for s in cell.scores if (s.definition, s.region) == (column.definition, column.region)]
        if scores and scores[0].defined:
            value = scores[0].value
            caption = f"{column.label} {column.measure.with_unit(number(value, decimals_for(value)))}"
    return Shown(key, image, None if deviation is None else deviation[place], "", caption)
