"""What a score means: the definition that travels with its value, and the refusal to mix definitions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from mrirecon.errors import ConfigError
from mrirecon.metrics.measures import (
    HfenMeasure,
    Measure,
    NmseMeasure,
    PsnrMeasure,
    ResidualMeasure,
    SsimMeasure,
)
from mrirecon.metrics.referenceless import HeldOutMeasure, RepeatabilityMeasure, UncertaintyMeasure
from mrirecon.records import from_mapping, to_mapping

RangeRule = Literal["none", "volume-maximum", "slice-maximum", "slice-joint"]
Scope = Literal["volume", "slices", "region"]
REGIONAL = (NmseMeasure, PsnrMeasure, SsimMeasure, HfenMeasure)
"""The measures that are a sum over pixels, and so have a value in a region."""

WITHOUT_REFERENCE = (UncertaintyMeasure, RepeatabilityMeasure, HeldOutMeasure)
"""Measures that compare an image with nothing but itself or its data."""

_COMPLEX = (NmseMeasure, PsnrMeasure, HfenMeasure, ResidualMeasure, HeldOutMeasure)
_WITHOUT_RANGE = (NmseMeasure, HfenMeasure, ResidualMeasure, *WITHOUT_REFERENCE)
_OF_VOLUMES = (NmseMeasure, PsnrMeasure, HfenMeasure, ResidualMeasure)


@dataclass(frozen=True)
class MetricDefinition:
    """Everything that must agree before two scores may stand in one table.

    Parameters
    ----------
    measure
        The formula and its parameters.
    scope
        ``volume``: one value from all voxels; ``slices``: the mean of one value per slice (axis 0), each slice with
        the same weight; ``region``: one value from all voxels of a region, in whichever slices they lie.
    data_range
        Maximum of the reference volume, or of each reference slice; ``slice-joint``: largest minus smallest value of
        both images of each slice; a number; or ``none``. Taken after crop and scaling.
    values
        ``magnitude``: the modulus of complex images, real ones as they are; ``complex``: differences are complex.
    reference
        What the reference is, which the caller vouches for: root sum of squares of the fully sampled coils, their
        combination with sensitivities (``sense``), the same from estimated maps of minimal variance (``mvue``),
        k-space, or ``none`` for measures that need none.
    crop
        Centre crop (rows, columns) of both images; ``square``: the rows cropped to the number of columns.
    scaling
        ``least-squares``: the image times the one factor per volume (complex for complex values) that brings it
        nearest to the reference.
    clip
        ``range``: the image is clipped to [0, data range] first.

    Raises
    ------
    ConfigError
        If the measure is not defined under these rules.
    """

    measure: Measure
    scope: Scope
    data_range: RangeRule | float = "none"
    values: Literal["magnitude", "complex"] = "magnitude"
    reference: Literal["rss", "sense", "mvue", "k-space", "none", "unspecified"] = "unspecified"
    crop: Literal["none", "square"] | tuple[int, int] = "none"
    scaling: Literal["none", "least-squares"] = "none"
    clip: Literal["none", "range"] = "none"

    def __post_init__(self) -> None:
        name = self.measure.kind
        wants_range = not isinstance(self.measure, _WITHOUT_RANGE)
        if wants_range == (self.data_range == "none"):
            raise ConfigError(f"{name} {'needs a' if wants_range else 'takes no'} `data_range`, got {self.data_range}")
        if isinstance(self.data_range, int | float) and not 0 < self.data_range < float("inf"):
            raise ConfigError(f"`data_range` must be positive, got {self.data_range}")
        if self.values == "complex" and not isinstance(self.measure, _COMPLEX):
            raise ConfigError(f"{name} compares magnitudes; set `values: magnitude`")
        if self.scope == "volume" and not isinstance(self.measure, _OF_VOLUMES):
            raise ConfigError(f"{name} is computed slice by slice; set `scope: slices`")
        if self.scope == "volume" and self.data_range in ("slice-maximum", "slice-joint"):
            raise ConfigError(f"a volume has no `data_range: {self.data_range}`; set `scope: slices`")
        if self.scope == "region" and not isinstance(self.measure, REGIONAL):
            raise ConfigError(f"{name} has no value in a region; score the whole image")
        if (self.reference == "none") != isinstance(self.measure, (UncertaintyMeasure, RepeatabilityMeasure)):
            raise ConfigError(
                f"{name} has `reference: {self.reference}`; `none` belongs to images scored by themselves"
            )
        if self.clip == "range" and (not wants_range or self.values == "complex" or self.data_range == "slice-joint"):
            raise ConfigError("`clip: range` needs magnitudes and a range that does not depend on the image")
        if isinstance(self.crop, tuple) and min(self.crop) < 1:
            raise ConfigError(f"`crop` must be positive (rows, columns), got {self.crop}")

    @property
    def name(self) -> str:
        """The measure's short name, as ``ssim``."""
        return self.measure.kind

    @cached_property
    def identifier(self) -> str:
        """Name and checksum of the definition, the same in every version of Python and on every machine.

        Examples
        --------
        >>> MetricDefinition(NmseMeasure(), scope="volume").identifier
        'nmse-3bde94c0'
        """
        canonical = to_mapping(from_mapping(MetricDefinition, to_mapping(self)))  # a number given as 2 counts as 2.0
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return f"{self.name}-{hashlib.sha256(text.encode('ascii')).hexdigest()[:8]}"


def differences(first: MetricDefinition, second: MetricDefinition) -> dict[str, tuple[Any, Any]]:
    """Dotted key -> (value in `first`, value in `second`), for what is not the same."""
    a, b = (_flat(to_mapping(d)) for d in (first, second))
    keys = dict.fromkeys([*a, *b])
    return {key: (a.get(key), b.get(key)) for key in keys if a.get(key) != b.get(key)}


def describe(definition: MetricDefinition) -> str:
    """One line for a report: name, parameters and rules, with what is absent or off left out."""
    mapping = to_mapping(definition)
    measure = mapping.pop("measure")
    parameters = [f"{k} {_shown(v)}" for k, v in measure.items() if k not in ("kind", "version") and v not in (None, 0)]
    rules = [f"{k.replace('_', ' ')} {_shown(v)}" for k, v in mapping.items() if v not in ("none", "unspecified")]
    versions = [f"version {measure['version']}"] if measure["version"] != 1 else []
    return f"{definition.name.upper()}: {', '.join([*parameters, *rules, *versions])} [{definition.identifier}]"


def _flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        found.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found


def _shown(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
