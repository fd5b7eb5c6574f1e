"""What a study keeps on disk of inputs, masks and cells, and how that becomes JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Literal

from mrirecon.errors import ConfigError
from mrirecon.metrics.passport import MetricDefinition
from mrirecon.metrics.score import WHOLE, Score, score_to_mapping
from mrirecon.records import from_mapping, to_mapping

ACQUIRED = "acquired"
"""The mask of an input that was undersampled by the scanner."""

Row = tuple[float, float, float, float]


@dataclass(frozen=True, order=True)
class CellKey:
    """Which reconstruction: one method on one input under one mask.

    Parameters
    ----------
    input
        Name of the input.
    mask
        Kind of the mask, or `ACQUIRED`.
    acceleration
        Nominal; of acquired masks the effective one, rounded to two digits.
    seed
        Of the mask.
    method
        Name of the method.
    """

    input: str
    mask: str
    acceleration: float
    seed: int
    method: str

    @property
    def setting(self) -> str:
        """What the cells of one table column share, as "random R4"."""
        return f"{self.mask} R{self.acceleration:g}"

    @property
    def mask_name(self) -> str:
        """Name of the mask's files below its input, as "random-R4-s0"."""
        return f"{self.mask}-R{self.acceleration:g}-s{self.seed}"

    @property
    def name(self) -> str:
        """Unique, and the relative path of the cell, as "brain/random-R4-s0/tv"."""
        return f"{self.input}/{self.mask_name}/{self.method}"


@dataclass(frozen=True)
class InputRecord:
    """A scan, or a simulated one, and what is known of it.

    Parameters
    ----------
    name, subject
        Unique name; whose image it is: inputs of one subject are not independent.
    source
        Name of the file or of the data specification, never a folder.
    sha256
        Of the file.
    kind
        Whether k-space was measured, or simulated from images.
    fully_sampled
        Whether there is a reference; if not the input was undersampled by the scanner and gets none.
    slices
        Indices of the chosen slices in the scan (3D: planes across the readout).
    matrix
        Rows and columns of one image.
    coils
        Receive channels.
    voxel_size_mm
        Along (z, y, x); None if unknown.
    affine_lps
        Voxel index (column order x, y, z, 1) to millimetres LPS, of the first chosen slice; None: geometry unknown.
    protocol
        What the header says, in the units of the names.
    limits
        Plain sentences that a reader must know: simulated, from magnitude images, zero-padded ...
    reference
        What images are compared with, as `MetricDefinition.reference`; empty where nothing is.
    """

    name: str
    subject: str
    source: str
    sha256: str
    kind: Literal["measured", "simulated"]
    fully_sampled: bool
    slices: tuple[int, ...]
    matrix: tuple[int, int]
    coils: int
    voxel_size_mm: tuple[float, float, float] | None = None
    affine_lps: tuple[Row, Row, Row, Row] | None = None
    protocol: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    reference: str = ""


@dataclass(frozen=True)
class MaskRecord:
    """A sampling mask of one input.

    Parameters
    ----------
    input, mask, acceleration, seed
        As in `CellKey`.
    effective_acceleration
        Phase encodings of the grid over those that are sampled.
    card
        Of `mri.mask_card.MaskCard`, from which the mask can be made again; of acquired masks shape and checksum only.
    prospective
        Whether the scanner undersampled.
    """

    input: str
    mask: str
    acceleration: float
    seed: int
    effective_acceleration: float
    card: Mapping[str, Any] = field(default_factory=dict)
    prospective: bool = False


@dataclass(frozen=True)
class CellResult:
    """What one cell reached, or why there is nothing.

    Parameters
    ----------
    key
        Which.
    fingerprint
        Of everything that decides the image and its scores; another one makes the cell outdated.
    scores
        Of the volume, means over slices, and of regions.
    slice_scores
        Of single slices; those of one subject are not independent.
    seconds, cpu_seconds
        Of the reconstruction of all slices, without maps and scores: wall time, and time on all cores of the process.
    parameters
        Tuned values.
    facts
        Numbers for the record, such as the effective acceleration.
    checkpoint, weights_sha256
        Of the network; empty without one.
    warnings
        What casts doubt on the image, such as slices that ended at the iteration limit.
    hole
        Why there is no image, in one line; empty where there is one.
    retry
        Whether another run tries to fill the hole: a missing file may appear, a diverging method diverges again.
    """

    key: CellKey
    fingerprint: str
    scores: tuple[Score, ...] = ()
    slice_scores: tuple[Score, ...] = ()
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    parameters: dict[str, float] = field(default_factory=dict)
    facts: dict[str, float] = field(default_factory=dict)
    checkpoint: str = ""
    weights_sha256: str = ""
    warnings: tuple[str, ...] = ()
    hole: str = ""
    retry: bool = False

    def __post_init__(self) -> None:
        if self.hole and (self.scores or self.slice_scores):
            raise ConfigError(f"cell {self.key.name} has both scores and a hole ({self.hole}); give one of them")


def result_to_mapping(result: CellResult) -> dict[str, Any]:
    """For JSON: every metric definition once, scores referring to it by number and without the keys of the cell."""
    definitions: dict[MetricDefinition, int] = {}
    for score in (*result.scores, *result.slice_scores):
        definitions.setdefault(score.definition, len(definitions))
    mapping: dict[str, Any] = to_mapping(replace(result, scores=(), slice_scores=()))
    mapping["definitions"] = [to_mapping(d) for d in definitions]
    for name in ("scores", "slice_scores"):
        mapping[name] = [_short(score, definitions[score.definition]) for score in getattr(result, name)]
    return mapping


def result_from_mapping(mapping: Mapping[str, Any], *, subject: str = "") -> CellResult:
    """The inverse of `result_to_mapping`; scores get the keys of the cell, and `subject` if it is known.

    Raises
    ------
    ConfigError
        If the mapping is not one of a cell.
    """
    plain = dict(mapping)
    stored = plain.pop("definitions", [])
    short = {name: plain.pop(name, []) for name in ("scores", "slice_scores")}
    empty = from_mapping(CellResult, plain)
    definitions = tuple(_definition(json.dumps(d, sort_keys=True)) for d in stored)
    keys = score_keys(empty.key, subject)
    try:
        whole, single = (tuple(_long(s, definitions, keys) for s in short[name]) for name in ("scores", "slice_scores"))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the scores of cell {empty.key.name} are damaged ({error!r}); run the study again"
        ) from error
    return replace(empty, scores=whole, slice_scores=single)


def score_keys(key: CellKey, subject: str = "") -> dict[str, str]:
    """What tells the scores of one cell from those of another."""
    return {
        **({"subject": subject} if subject else {}),
        "input": key.input,
        "mask": key.mask,
        "acceleration": f"{key.acceleration:g}",
        "seed": str(key.seed),
        "method": key.method,
    }


@lru_cache(maxsize=256)
def _definition(text: str) -> MetricDefinition:
    """One object per definition, however many cells name it: identifiers are computed once."""
    return from_mapping(MetricDefinition, json.loads(text))


def _short(score: Score, definition: int) -> dict[str, Any]:
    mapping = score_to_mapping(score)
    short = {"value": mapping["value"], "definition": definition}
    if score.region != WHOLE:
        short["region"] = score.region
    if score.slice is not None:
        short["slice"] = score.slice
    if score.note:
        short["note"] = score.note
    return short


def _long(short: Mapping[str, Any], definitions: tuple[MetricDefinition, ...], keys: Mapping[str, str]) -> Score:
    return Score(
        float(short["value"]),
        definitions[short["definition"]],
        region=short.get("region", WHOLE),
        slice=short.get("slice"),
        keys=keys,
        note=short.get("note", ""),
    )
