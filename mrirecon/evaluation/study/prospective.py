"""Scores of scans that were accelerated by the scanner, for which there is no reference and none is invented.

Residual
    Whitened misfit with the measured data: 1 for the true image; below 1 for images that were fitted to the noise.
    It rewards fitting and says nothing of what was not measured.
Uncertainty
    What the method says about its own error.
Repeatability
    How much the image varies when the scan is repeated. A method that always paints the same is perfectly repeatable.
Held-out-line error
    The only one of them that compares the image with something it has not seen. With y_h = A_h x* + n_h on lines that
    were left out, and an image x made from the other lines, n_h is independent of x, so that

        E ||y_h - A_h x||^2 / (2 sigma^2 n) - 1  =  E ||A_h (x* - x)||^2 / (2 sigma^2 n):

    the squared error of the predicted k-space in units of the noise, without bias and therefore sometimes below 0. It
    is the error at an acceleration one part higher than that of the scan (R / 0.9 for tenths), at positions such as
    were acquired: where the mask was drawn at random outside the centre these stand for those that were not. Regular
    patterns get a gap of twice the width. Sensitivity maps must come from the centre, which is never left out, or from
    another scan; else the lines are not wholly unseen.

References
----------
.. [1] Stone, Cross-validatory choice and assessment of statistical predictions, J R Stat Soc B 36 (1974) 111-147.
.. [2] Yaman et al., Self-supervised learning of physics-guided reconstruction neural networks without fully sampled
   reference data, Magn Reson Med 84 (2020) 3172-3191, DOI 10.1002/mrm.28378 (a held-out part of the measured lines).
.. [3] Robson et al., Comprehensive quantification of signal-to-noise ratio and g-factor for image-based and
   k-space-based parallel imaging reconstructions, Magn Reson Med 60 (2008) 895-907, DOI 10.1002/mrm.21728.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.evaluation.study.held_out import NothingHeldOutError, held_out_errors
from mrirecon.evaluation.study.variation import object_mask, relative_deviation, relative_variation
from mrirecon.metrics.measures import ResidualMeasure
from mrirecon.metrics.passport import MetricDefinition
from mrirecon.metrics.referenceless import HeldOutMeasure, RepeatabilityMeasure, UncertaintyMeasure
from mrirecon.metrics.score import Score
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.noise import GaussianNoise
from mrirecon.reconstruction.base import Reconstruction, Reconstructor

Floats = NDArray[np.float64]
UNKNOWN_NOISE = "the noise of these data is unknown"
_IMAGE, _REPEATED, _HELD_OUT = range(3)


def prospective_definitions(*, noise_known: bool = True, repeated: bool = False) -> tuple[MetricDefinition, ...]:
    """Residual, uncertainty, repeatability and held-out-line error, each the mean of one value per slice.

    Parameters
    ----------
    noise_known
        Otherwise residuals are relative to the data, and there are no replicas.
    repeated
        Whether there is a second measurement.
    """
    normalisation = "noise" if noise_known else "data"
    residual = ResidualMeasure(normalisation=normalisation)  # type: ignore[arg-type]
    held_out = HeldOutMeasure(normalisation=normalisation)  # type: ignore[arg-type]
    repeatability = RepeatabilityMeasure(source="repetition", replicas=0) if repeated else RepeatabilityMeasure()
    return (
        MetricDefinition(residual, scope="slices", values="complex", reference="k-space"),
        MetricDefinition(UncertaintyMeasure(), scope="slices", reference="none"),
        *([MetricDefinition(repeatability, scope="slices", reference="none")] if repeated or noise_known else []),
        MetricDefinition(held_out, scope="slices", values="complex", reference="k-space"),
    )


def score_without_reference(
    reconstructor: Reconstructor,
    y: Tensor,
    model: MeasurementModel,
    *,
    seed: int,
    definitions: Sequence[MetricDefinition] | None = None,
    result: Reconstruction | None = None,
    repetition: Tensor | None = None,
    keys: Mapping[str, str] | None = None,
) -> list[Score]:
    """One score per definition for a stack of slices: the mean over them.

    Parameters
    ----------
    reconstructor
        The method.
    y
        Data, shape (slice, coil, ky, kx), or of one slice without its axis; scaled as the method wants it, white noise,
        zero where not sampled.
    model
        Operator and noise in the units of `y`; `GaussianNoise` with a sigma, or with one per slice. With `Noiseless`
        the noise counts as unknown: definitions in its units get NaN, with a note.
    seed
        Of the lines left out, of the noise added, and of methods that draw. The same lines are left out for every
        method.
    definitions
        Of the measures of `metrics.referenceless` and `ResidualMeasure`, with the scope ``slices``. By default
        `prospective_definitions`.
    result
        What the method made of `y`, to save one reconstruction; of methods that draw, with the samples.
    repetition
        A second measurement under the same model (another average, repetition, or half of the averages with twice the
        variance in both), for definitions with that source.
    keys
        What the scores are of.

    Returns
    -------
        In the order of the definitions. Where slices have no value the note says which and why; NaN if none has.

    Raises
    ------
    ConfigError
        If a definition needs a reference or has another scope.
    ShapeError
        If shapes disagree.

    Notes
    -----
    Reconstructions: one without `result`, `replicas` or one for the repeatability, `evaluated` for the lines left out.
    Slice by slice `slices_without_reference` gives the same values, to be joined with `mean_over_slices`, up to what
    methods draw.
    """
    return mean_over_slices(
        slices_without_reference(
            reconstructor,
            y,
            model,
            seed=seed,
            definitions=definitions,
            result=result,
            repetition=repetition,
            keys=keys,
        )
    )


def slices_without_reference(
    reconstructor: Reconstructor,
    y: Tensor,
    model: MeasurementModel,
    *,
    seed: int,
    definitions: Sequence[MetricDefinition] | None = None,
    result: Reconstruction | None = None,
    repetition: Tensor | None = None,
    keys: Mapping[str, str] | None = None,
    first_slice: int = 0,
) -> list[Score]:
    """One score per definition and slice, definitions outermost; `score_without_reference` averages them.

    Parameters and errors are those of `score_without_reference`.

    Parameters
    ----------
    first_slice
        Number of the first slice of `y`.
    """
    known = isinstance(model.noise, GaussianNoise)
    if definitions is None:
        definitions = prospective_definitions(noise_known=known, repeated=repetition is not None)
    model.operator.codomain.check(y, "y")
    with torch.no_grad():
        if result is None:
            result = reconstructor(y, model, generator=_generator(seed, _IMAGE))
        scores = []
        for definition in definitions:
            if definition.scope != "slices":
                raise ConfigError(f"{definition.identifier} must have `scope: slices` to be scored without a reference")
            values, note = _values(definition, reconstructor, y, model, result, repetition, seed)
            scores += [
                Score(
                    float(value),
                    definition,
                    slice=first_slice + place,
                    keys=dict(keys or {}),
                    note=(note or "undefined: the image is 0 in the object") if np.isnan(value) else "",
                )
                for place, value in enumerate(values)
            ]
    return scores


def mean_over_slices(scores: Sequence[Score]) -> list[Score]:
    """One score per definition from those of slices, in the order of their first appearance.

    Slices without a value are left out, and the note says so.
    """
    grouped: dict[str, list[Score]] = {}
    for score in scores:
        grouped.setdefault(score.definition.identifier, []).append(score)
    found = []
    for group in grouped.values():
        values = [s.value for s in group if s.defined]
        left_out = [s for s in group if not s.defined]
        note = ""
        if left_out:
            places = ", ".join(str(s.slice) for s in left_out)
            note = f"slices {places} left out: {left_out[0].note}" if values else left_out[0].note
        mean = sum(values) / len(values) if values else nan
        found.append(Score(mean, group[0].definition, keys=group[0].keys, note=note))
    return found


def _values(
    definition: MetricDefinition,
    reconstructor: Reconstructor,
    y: Tensor,
    model: MeasurementModel,
    result: Reconstruction,
    repetition: Tensor | None,
    seed: int,
) -> tuple[Floats, str]:
    """One value per slice, and why there are none."""
    measure = definition.measure
    nothing = np.full(len(_items(y, model)), nan)
    known = isinstance(model.noise, GaussianNoise)
    if isinstance(measure, ResidualMeasure):
        if measure.normalisation == "noise" and not known:
            return nothing, UNKNOWN_NOISE
        return _residuals(result.image, y, model, measure), ""
    if isinstance(measure, UncertaintyMeasure):
        if result.samples is None or result.samples.shape[0] < 2:
            return nothing, "the method gives no standard deviation"
        inside = object_mask(y, model, threshold=measure.object_threshold)
        return relative_deviation(result.samples, result.image, inside), ""
    if isinstance(measure, RepeatabilityMeasure):
        if measure.source == "repetition" and repetition is None:
            return nothing, "the scan was not repeated"
        if measure.source == "replicas" and not known:
            return nothing, UNKNOWN_NOISE
        inside = object_mask(y, model, threshold=measure.object_threshold)
        generator = _generator(seed, _REPEATED)
        if measure.source == "repetition" and repetition is not None:
            images = [result.image, reconstructor(repetition, model, generator=generator).image]
        else:
            images = [
                reconstructor(
                    model.operator.keep_measured(model.noise.sample(y, model.operator.codomain, generator)),
                    model,
                    generator=generator,
                ).image
                for _ in range(measure.replicas)
            ]
        return relative_variation(torch.stack(images), inside), ""
    if isinstance(measure, HeldOutMeasure):
        if measure.normalisation == "noise" and not known:
            return nothing, UNKNOWN_NOISE
        generator = _generator(seed, _HELD_OUT)
        try:
            return held_out_errors(reconstructor, y, model, measure, generator=generator), ""
        except NothingHeldOutError as error:
            return nothing, str(error)
    raise ConfigError(f"{definition.identifier} needs a reference, and this scan has none")


def _residuals(image: Tensor, y: Tensor, model: MeasurementModel, measure: ResidualMeasure) -> Floats:
    """By `metrics.consistency`, each slice by itself."""
    residual = model.operator.keep_measured(model.operator(image) - y)
    kept = model.operator.keep_measured(torch.ones_like(y))
    measured = model.operator.keep_measured(y)
    space = model.operator.codomain
    size, total = (space.norm(v.to(torch.complex128)).double().reshape(-1) for v in (residual, measured))
    if measure.normalisation == "none":
        values = size
    elif measure.normalisation == "data":
        values = size / total
    else:
        components = 2 * (kept != 0).flatten(-space.ndim).sum(dim=-1).reshape(-1)
        sigma = torch.as_tensor(model.noise.sigma if isinstance(model.noise, GaussianNoise) else nan)
        values = (size / sigma.reshape(-1).to(size)) ** 2 / components
    return values.numpy(force=True)


def _items(y: Tensor, model: MeasurementModel) -> Tensor:
    return y.reshape(-1, *model.operator.codomain.shape)


def _generator(seed: int, purpose: int) -> torch.Generator:
    """Randomness of one purpose, whatever else is scored."""
    state = np.random.SeedSequence((seed, purpose)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
