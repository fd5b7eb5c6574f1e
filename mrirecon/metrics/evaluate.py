"""Scores of a reconstruction against a reference, each with its passport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ConfigError, ShapeError
from mrirecon.metrics.passport import REGIONAL, MetricDefinition
from mrirecon.metrics.perceptual import Lpips
from mrirecon.metrics.preparation import Pair, Volume, centre_crop, check_volumes, prepare
from mrirecon.metrics.presets import preset
from mrirecon.metrics.regions import Region
from mrirecon.metrics.score import Score
from mrirecon.metrics.values import region_value, slice_value, volume_value

Definitions = str | Sequence[MetricDefinition]
UNDEFINED = "undefined: the reference is empty, flat or constant there, or the data range is not positive"


def evaluate(
    reference: Volume,
    reconstruction: Volume,
    definitions: Definitions,
    *,
    regions: Sequence[Region] = (),
    keys: Mapping[str, str] | None = None,
    network: Lpips | None = None,
) -> list[Score]:
    """One score per definition for the volume, then one per region for each definition that has a value there.

    Parameters
    ----------
    reference, reconstruction
        Shape (z, y, x), real or complex, on one grid; any real or complex dtype; computed in double precision.
    definitions
        The name of a preset (`presets.PRESETS`), or definitions.
    regions
        Masks on the same grid. The definition of a regional score has the scope ``region``.
    keys
        What the scores are of: subject, method ...
    network
        For definitions of LPIPS.

    Returns
    -------
        Where a mean over slices leaves slices out because the metric is undefined there, the note of the score lists
        them; where nothing is left, or a region has no voxel to be scored, the value is NaN and the note says why.

    Raises
    ------
    ShapeError
        If shapes differ, values are not finite, the reference is zero everywhere, an image is too small for a
        window or a crop, or a mask has another shape.
    ConfigError
        If a preset is unknown, or LPIPS is asked for without its network or with another one.
    """
    return evaluate_with_slices(reference, reconstruction, definitions, regions=regions, keys=keys, network=network)[0]


def evaluate_with_slices(
    reference: Volume,
    reconstruction: Volume,
    definitions: Definitions,
    *,
    regions: Sequence[Region] = (),
    keys: Mapping[str, str] | None = None,
    network: Lpips | None = None,
) -> tuple[list[Score], list[Score]]:
    """What `evaluate` and `evaluate_slices` give, every slice scored once.

    Parameters and errors are those of `evaluate`.
    """
    check_volumes(reference, reconstruction)
    for region in regions:
        if region.mask.shape != reference.shape:
            raise ShapeError(
                f"the mask of region {region.name!r} must have the shape of the volume, {reference.shape}, got "
                f"{region.mask.shape}; resample the labels to the grid of the images"
            )
    if len({region.name for region in regions}) < len(regions):
        raise ShapeError(f"regions must have names of their own, got {', '.join(r.name for r in regions)}; merge masks")
    wanted = preset(definitions) if isinstance(definitions, str) else tuple(definitions)
    scores: list[Score] = []
    single: list[Score] = []
    found = dict(keys or {})
    for definition in wanted:
        pair = prepare(reference, reconstruction, definition)
        if definition.scope == "region":
            raise ConfigError(f"{definition.identifier} is a definition for regions; give `regions` and the whole one")
        if definition.scope == "slices":
            of_slices = _of_slices(pair, definition, found, network)
            value, note = _mean_over_slices(of_slices)
            single += of_slices
        else:
            value, note = _of_volume(pair, definition)
        scores.append(Score(value, definition, keys=found, note=note))
        if isinstance(definition.measure, REGIONAL):
            scores += [_of_region(pair, definition, region, found) for region in regions]
    order = {name: i for i, name in enumerate(["whole", *(r.name for r in regions)])}
    return sorted(scores, key=lambda score: order[score.region]), single


def evaluate_slices(
    reference: Volume,
    reconstruction: Volume,
    definitions: Definitions,
    *,
    keys: Mapping[str, str] | None = None,
    network: Lpips | None = None,
) -> list[Score]:
    """The values that the definitions of scope ``slices`` average, one score per slice; others are passed over.

    Parameters and errors are those of `evaluate`. Slices of one subject are not independent: do not count them as so
    many observations.
    """
    check_volumes(reference, reconstruction)
    wanted = preset(definitions) if isinstance(definitions, str) else tuple(definitions)
    scores: list[Score] = []
    for definition in (d for d in wanted if d.scope == "slices"):
        pair = prepare(reference, reconstruction, definition)
        scores += _of_slices(pair, definition, dict(keys or {}), network)
    return scores


def _of_volume(pair: Pair, definition: MetricDefinition) -> tuple[float, str]:
    value = volume_value(pair, definition.measure)
    return value, UNDEFINED if np.isnan(value) else ""


def _of_slices(pair: Pair, definition: MetricDefinition, keys: dict[str, str], network: Lpips | None) -> list[Score]:
    values = [slice_value(pair, index, definition.measure, network) for index in range(len(pair.spans))]
    return [
        Score(value, definition, slice=index, keys=keys, note=UNDEFINED if np.isnan(value) else "")
        for index, value in enumerate(values)
    ]


def _mean_over_slices(scores: Sequence[Score]) -> tuple[float, str]:
    values = np.array([score.value for score in scores])
    undefined = np.isnan(values)
    if undefined.all():
        return nan, UNDEFINED
    note = f"slices {_listed(np.flatnonzero(undefined))} left out: {UNDEFINED}" if undefined.any() else ""
    return float(values[~undefined].mean()), note


def _of_region(pair: Pair, definition: MetricDefinition, region: Region, keys: dict[str, str]) -> Score:
    meaning = replace(definition, scope="region")
    mask = centre_crop(region.mask, definition.crop)
    voxels, kept = int(region.mask.sum()), int(mask.sum())
    value = region_value(pair, mask, definition.measure)
    note = f"{voxels - kept} of {voxels} voxels lie outside the crop" if kept < voxels else ""
    if np.isnan(value):
        note = "the region has no voxel that can be scored" + (f": {note}" if note else f"; {UNDEFINED}")
    return Score(value, meaning, region=region.name, keys=keys, note=note)


def _listed(indices: NDArray[np.intp]) -> str:
    """Indices as "0 to 3, 7"."""
    groups = np.split(indices, np.flatnonzero(np.diff(indices) != 1) + 1)
    return ", ".join(f"{g[0]}" if len(g) == 1 else f"{g[0]} to {g[-1]}" for g in groups)
