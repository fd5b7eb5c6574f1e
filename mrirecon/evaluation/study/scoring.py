"""Scores of one cell: against the reference where there is one, and against the data it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.evaluation.measured_problems import OBJECT_LEVEL
from mrirecon.metrics.consistency import CHI_SQUARE, RELATIVE
from mrirecon.metrics.evaluate import evaluate_with_slices
from mrirecon.metrics.passport import MetricDefinition
from mrirecon.metrics.perceptual import Lpips
from mrirecon.metrics.presets import lpips_like, preset
from mrirecon.metrics.regions import Region
from mrirecon.metrics.score import Score
from mrirecon.operators.base import ForwardOperator

Reference = Literal["rss", "sense", "mvue"]


@dataclass(frozen=True)
class SliceResidual:
    """How one slice agrees with its data: ||A x - y||, ||y||, sigma (0: unknown) and the number of real components."""

    residual: float
    data: float
    sigma: float
    components: int


def study_definitions(name: str, reference: str, network: Lpips | None = None) -> tuple[MetricDefinition, ...]:
    """The preset with the reference that an input has, and LPIPS under its rules where there is a network.

    Raises
    ------
    ConfigError
        If the preset means another reference.
    """
    found = []
    for definition in preset(name):
        if definition.reference == "unspecified":
            definition = replace(definition, reference=cast(Reference, reference))
        elif definition.reference != reference:
            raise ConfigError(
                f"preset {name} means a reference of kind {definition.reference}, the input has {reference}; choose "
                "the preset `study`, or leave the coil reference out"
            )
        found.append(definition)
    if network is not None:
        ranged = next((d for d in found if d.data_range == "volume-maximum"), found[0])
        found.append(lpips_like(ranged, network))
    return tuple(found)


def object_region(reference: NDArray[np.float32]) -> Region:
    """The region ``object``: where the reference exceeds a tenth of its maximum, as in comparisons."""
    return Region("object", np.asarray(reference > OBJECT_LEVEL * reference.max()))


def reference_scores(
    reference: NDArray[np.float32],
    image: NDArray[np.float32],
    definitions: Sequence[MetricDefinition],
    *,
    regions: Sequence[Region] = (),
    keys: Mapping[str, str] | None = None,
    network: Lpips | None = None,
) -> tuple[list[Score], list[Score]]:
    """Scores of the volume and its regions, and those of the slices; see `metrics.evaluate`."""
    return evaluate_with_slices(reference, image, definitions, regions=regions, keys=keys, network=network)


def slice_residual(image: Tensor, data: Tensor, operator: ForwardOperator, sigma: float) -> SliceResidual:
    """How an image agrees with the samples it was made from; `sigma` per real component, 0 where unknown."""
    with torch.no_grad():
        residual = operator.keep_measured(operator(image) - data)
        measured = operator.keep_measured(data)
        kept = operator.keep_measured(torch.ones_like(data))
    return SliceResidual(_norm(residual), _norm(measured), sigma, 2 * int(kept.count_nonzero()))


def consistency_scores(
    slices: Sequence[SliceResidual], *, keys: Mapping[str, str] | None = None
) -> tuple[list[Score], list[Score]]:
    """Relative residual and reduced chi-square as `metrics.consistency` defines them, of the volume and of each slice.

    Slices are compared in units of their own scale, so that of the volume weighs them by their noise; where the noise
    is unknown there is no chi-square, and the slices count alike.
    """
    found = dict(keys or {})
    single: list[Score] = []
    for place, s in enumerate(slices):
        if s.data > 0:
            single.append(Score(s.residual / s.data, RELATIVE, slice=place, keys=found))
        if s.sigma > 0 and s.components > 0:
            single.append(Score((s.residual / s.sigma) ** 2 / s.components, CHI_SQUARE, slice=place, keys=found))
    weights = [1 / s.sigma if s.sigma > 0 else 1 / s.data if s.data > 0 else 0.0 for s in slices]
    whole: list[Score] = []
    size = sqrt(sum((w * s.data) ** 2 for w, s in zip(weights, slices, strict=True)))
    misfit = sqrt(sum((w * s.residual) ** 2 for w, s in zip(weights, slices, strict=True)))
    if size > 0:
        whole.append(Score(misfit / size, RELATIVE, keys=found))
    components = sum(s.components for s in slices)
    if components and all(s.sigma > 0 for s in slices):
        whole.append(Score(misfit**2 / components, CHI_SQUARE, keys=found))
    return whole, single


def _norm(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(torch.view_as_real(values.resolve_conj()).double()))
