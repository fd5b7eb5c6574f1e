"""The card of a checkpoint: what the weights are, where they come from, and what they need to work."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.atomic import atomic_file
from mrirecon.records import from_mapping, to_mapping
from mrirecon.training.shift_card import ShiftCard

SCHEMA = "mrirecon-checkpoint"
VERSION = 1
WeightsDtype = Literal["float32", "bfloat16"]
_NUMBERS = re.compile(r"\[\s+([-+0-9.eE,\s]+?)\s+\]")
RESEARCH_ONLY = "For research only; not a medical device."
STARTED_FROM = "Started from the weights with SHA-256"


@dataclass(frozen=True)
class DataCard:
    """One collection that the weights were trained on.

    Parameters
    ----------
    name, title
        Of its data specification.
    citation
        What to cite.
    licence
        As the source states it.
    release
        Whether weights trained on it may be published.
    split
        Which part was used.
    """

    name: str
    title: str
    citation: tuple[str, ...]
    licence: str
    release: bool
    split: str


@dataclass(frozen=True)
class SelfTest:
    """How loading convinces itself that the model computes what it computed when it was saved.

    Parameters
    ----------
    relative_error
        Largest relative error of the output on the fixed input, in float32.
    mean_magnitude, peak_magnitude
        Of the expected output, for the reader.
    """

    relative_error: float
    mean_magnitude: float
    peak_magnitude: float


@dataclass(frozen=True)
class UncertaintyCard:
    """Whether standard deviations of posterior samples mean what they say, on subjects they were not calibrated on.

    Parameters
    ----------
    level
        Nominal coverage of the interval around the mean.
    factor
        The conformal factor: multiplies standard deviations so that the Gaussian interval of `level` covers it.
    coverage_before, coverage_after
        Share of the pixels of the validation slices that the interval covers, without and with the factor.
    slices, subjects
        Of the validation: how many slices (pictures in all settings), of whom.
    calibration_slices, calibration_subjects
        Likewise, what the factor comes from.
    trained_on_calibration
        Whether the weights were trained on the calibration subjects, which makes the factor too small.
    steps, samples, sampler
        How the samples were drawn; the factor belongs to that.
    command
        What makes these figures.
    """

    level: float
    factor: float
    coverage_before: float
    coverage_after: float
    slices: int
    subjects: tuple[str, ...]
    calibration_slices: int
    calibration_subjects: tuple[str, ...]
    trained_on_calibration: bool
    steps: int
    samples: int
    sampler: str
    command: str

    def __post_init__(self) -> None:
        if not (0 < self.level < 1 and 0 < self.factor < float("inf")):
            raise ConfigError(
                f"a calibration needs 0 < level < 1 and a positive, finite factor, got {self.level} and {self.factor}"
            )
        if not (0 <= self.coverage_before <= 1 and 0 <= self.coverage_after <= 1):
            raise ConfigError(f"coverage is a share, got {self.coverage_before} and {self.coverage_after}")


@dataclass(frozen=True)
class Card:
    """Everything about a checkpoint but the weights.

    Parameters
    ----------
    name
        Of the model.
    model
        Its configuration; `kind` names the row of the table of models.
    normalisation
        In words, what scale the data must have.
    sigma_data
        Standard deviation of clean images per real component that the model assumes; None where it does not apply.
    operator_families
        What operators it was trained on, for example kinds of masks or tasks.
    data
        Collections it was trained on.
    training
        The complete training configuration.
    steps, batches
        Optimiser steps, and batches in all of them.
    hours
        Time in the training loop.
    parameters
        How many numbers are learned.
    created
        ISO 8601 date and time.
    software
        Versions.
    metrics
        Figures by name, for example of the last validation.
    notes
        Limits of use: sentences that reach the reader of every image.
    history
        Where the weights come from, such as other weights: for the reader of the card alone.
    uncertainty
        Calibration of the standard deviations, None where there was none.
    shift
        Calibration of the shift alarm, None where there was none.
    weights_dtype
        How the weights are stored; they compute in float32.
    weights_sha256, self_test
        Filled in by `save_checkpoint`.
    """

    name: str
    model: dict[str, Any]
    normalisation: str
    sigma_data: float | None
    operator_families: tuple[str, ...]
    data: tuple[DataCard, ...]
    training: dict[str, Any]
    steps: int
    batches: int
    hours: float
    parameters: int
    created: str
    software: dict[str, str]
    metrics: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = (RESEARCH_ONLY,)
    history: tuple[str, ...] = ()
    uncertainty: UncertaintyCard | None = None
    shift: ShiftCard | None = None
    weights_dtype: WeightsDtype = "float32"
    weights_sha256: str = ""
    self_test: SelfTest | None = None

    @property
    def kind(self) -> str:
        """Row of the table of models."""
        return str(self.model.get("kind", ""))

    @property
    def releasable(self) -> bool:
        """Whether the licence of every collection allows the weights to be published."""
        return all(entry.release for entry in self.data)


def write_card(path: str | Path, card: Card, *, overwrite: bool = False) -> None:
    """Write a card as indented JSON, lists of numbers on one line.

    Raises
    ------
    ConfigError
        If a value is not finite or not plain.
    """
    content: dict[str, Any] = {"schema": SCHEMA, "schema_version": VERSION, **to_mapping(card)}
    try:
        text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"a card must hold plain, finite values: {error}") from error
    text = _NUMBERS.sub(lambda found: f"[{' '.join(found.group(1).split())}]", text)
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_card(path: str | Path) -> Card:
    """Read a card.

    Raises
    ------
    FormatError
        If it cannot be read, is no card, of another version, or incomplete.
    """
    path = Path(path)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(path, f"the card of a checkpoint cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(path, f"the card of a checkpoint is not JSON: {error}") from error
    if not isinstance(content, Mapping) or content.get("schema") != SCHEMA:
        raise FormatError(path, f"expected a card of schema {SCHEMA!r}", key="schema")
    if content.get("schema_version") != VERSION:
        problem = f"expected card version {VERSION}, got {content.get('schema_version')}; use a matching program"
        raise FormatError(path, problem, key="schema_version")
    try:
        card = from_mapping(Card, {k: v for k, v in content.items() if not k.startswith("schema")})
    except ConfigError as error:
        raise FormatError(path, f"the card is not valid: {error}") from error
    # cards that were written before they had a history hold it among the notes
    origins = tuple(note for note in card.notes if note.startswith(STARTED_FROM))
    notes = tuple(note for note in card.notes if note not in origins)
    return replace(card, notes=notes, history=(*origins, *card.history))
