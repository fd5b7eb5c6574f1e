"""The scores of a study, sorted into columns: what stands in one column means the same thing.

A column is one metric definition, one region and one kind of mask. Means, differences and tables are made of one column
only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from mrirecon.evaluation.report.directions import is_ranked, label, measure_of
from mrirecon.evaluation.statistics.observations import Measure
from mrirecon.evaluation.statistics.observations import Score as Observation
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import CellKey, CellResult, MaskRecord
from mrirecon.evaluation.study.results import StudyResults, study_record
from mrirecon.metrics.passport import MetricDefinition
from mrirecon.metrics.score import Score, require_same_definition


@dataclass(frozen=True)
class Setting:
    """A kind of mask at a nominal acceleration, and what it came to.

    Parameters
    ----------
    name, mask, nominal
        As in `CellKey`.
    effective, lowest, highest
        Mean and range of the effective acceleration over inputs and seeds.
    n_masks
        Masks of this setting.
    """

    name: str
    mask: str
    nominal: float
    effective: float
    lowest: float
    highest: float
    n_masks: int

    def words(self) -> str:
        """``R = 3.2`` or ``R = 3.2 (3.1 to 3.4)``, effective."""
        text = f"R = {self.effective:.3g}"
        ends = f"{self.lowest:.3g}", f"{self.highest:.3g}"
        return text if ends[0] == ends[1] else f"{text} ({ends[0]} to {ends[1]})"


@dataclass(frozen=True)
class ScoreColumn:
    """Scores of one meaning under one kind of mask.

    Parameters
    ----------
    definition, region
        Of all of them.
    mask
        Kind of the mask.
    label
        Name to print, unique in the study.
    measure
        For statistics.
    rows
        One per input, seed, setting and method.
    settings
        Ascending in effective acceleration.
    methods
        In the order of the study; those with a row.
    notes
        What scores say of themselves, each once.
    """

    definition: MetricDefinition
    region: str
    mask: str
    label: str
    measure: Measure
    rows: tuple[Observation, ...]
    settings: tuple[Setting, ...]
    methods: tuple[str, ...]
    notes: tuple[str, ...]

    def settings_of(self, method: str) -> tuple[Setting, ...]:
        """Those at which the method has a finite score of some subject."""
        present = {row.setting for row in self.rows if row.method == method and row.value is not None}
        return tuple(s for s in self.settings if s.name in present)

    def acceleration(self, settings: Sequence[Setting]) -> dict[str, float]:
        """Effective acceleration by name, as the statistics ask for it."""
        return {s.name: s.effective for s in settings}

    def means_the_same_as(self, other: ScoreColumn) -> bool:
        """Whether only the masks differ."""
        return (self.definition, self.region) == (other.definition, other.region)

    @property
    def ranked(self) -> bool:
        """Whether one value is better than another."""
        return is_ranked(self.definition)

    @property
    def subjects(self) -> tuple[str, ...]:
        """Those with a row."""
        return tuple(dict.fromkeys(row.subject for row in self.rows))


def is_prospective(results: StudyResults, key: CellKey) -> bool:
    """Whether the input was undersampled by the scanner and so has no reference."""
    record = results.inputs.get(key.input)
    return record is not None and not record.fully_sampled


def planned_keys(results: StudyResults) -> tuple[CellKey, ...]:
    """Every planned cell, done, failed or missing, in the order of the study."""
    return tuple(cell.key for cell in study_record(Layout(results.folder)).cells)


def masks_of(keys: Iterable[CellKey]) -> tuple[str, ...]:
    """Kinds of masks, in order of first occurrence."""
    return tuple(dict.fromkeys(key.mask for key in keys))


def methods_of(keys: Iterable[CellKey]) -> tuple[str, ...]:
    """Methods, in order of first occurrence."""
    return tuple(dict.fromkeys(key.method for key in keys))


def mask_of(results: StudyResults, key: CellKey) -> MaskRecord | None:
    """The record of a mask, None if it was never made."""
    return results.mask_record(key) if Layout(results.folder).mask(key).is_file() else None


def settings_of(results: StudyResults, keys: Iterable[CellKey]) -> tuple[Setting, ...]:
    """The settings of these cells, ascending in effective acceleration; masks that were never made do not count."""
    found: dict[tuple[str, float], dict[tuple[str, int], float]] = {}
    for key in keys:
        record = mask_of(results, key)
        if record is not None:
            masks = found.setdefault((key.mask, key.acceleration), {})
            masks[key.input, key.seed] = record.effective_acceleration
    settings = [
        Setting(
            name=CellKey("", mask, nominal, 0, "").setting,
            mask=mask,
            nominal=nominal,
            effective=fmean(rates.values()),
            lowest=min(rates.values()),
            highest=max(rates.values()),
            n_masks=len(rates),
        )
        for (mask, nominal), rates in found.items()
    ]
    return tuple(sorted(settings, key=lambda s: (s.effective, s.nominal)))


def score_columns(results: StudyResults, cells: Sequence[CellResult]) -> tuple[ScoreColumn, ...]:
    """All columns of some cells, masks outermost, then metrics in the order of the scores.

    Parameters
    ----------
    cells
        In the order of the study; those without scores are passed over.
    """
    groups: dict[tuple[str, MetricDefinition, str], list[tuple[CellResult, Score]]] = {}
    for mask in masks_of(cell.key for cell in cells):
        for cell in cells:
            if cell.key.mask == mask:
                for score in cell.scores:
                    groups.setdefault((mask, score.definition, score.region), []).append((cell, score))
    labels = _labels({(definition, region) for _, definition, region in groups})
    order = methods_of(cell.key for cell in cells)
    columns = []
    for (mask, definition, region), found in groups.items():
        require_same_definition([score for _, score in found])
        present = {cell.key.method for cell, _ in found}
        measure = measure_of(definition, region)
        name = labels[definition, region]
        columns.append(
            ScoreColumn(
                definition=definition,
                region=region,
                mask=mask,
                label=name,
                measure=replace(measure, name=name),
                rows=tuple(_row(results, cell, score) for cell, score in found),
                settings=settings_of(results, [cell.key for cell, _ in found]),
                methods=tuple(m for m in order if m in present),
                notes=tuple(dict.fromkeys(score.note for _, score in found if score.note)),
            )
        )
    return tuple(columns)


def subject_of(results: StudyResults, key: CellKey) -> str:
    """Whose image it is; the input stands for itself where its record could not be read."""
    record = results.inputs.get(key.input)
    return key.input if record is None else record.subject


def _row(results: StudyResults, cell: CellResult, score: Score) -> Observation:
    return Observation(
        subject=subject_of(results, cell.key),
        slice=cell.key.input,
        method=cell.key.method,
        setting=cell.key.setting,
        value=score.value if score.defined else None,
        repeat=str(cell.key.seed),
    )


def _labels(kinds: Iterable[tuple[MetricDefinition, str]]) -> Mapping[tuple[MetricDefinition, str], str]:
    """Plain names where they are unique, with the checksum of the definition where not."""
    found = list(kinds)
    names = [label(*kind) for kind in found]
    return {
        kind: name if names.count(name) == 1 else f"{name} [{kind[0].identifier.rpartition('-')[2]}]"
        for kind, name in zip(found, names, strict=True)
    }
