"""Which way a metric is better, its unit, and the name a reader knows it by."""

from __future__ import annotations

from math import inf

from mrirecon.evaluation.statistics.observations import Measure
from mrirecon.metrics.measures import HfenMeasure, ResidualMeasure
from mrirecon.metrics.passport import REGIONAL, MetricDefinition
from mrirecon.metrics.score import WHOLE

HIGHER = ("psnr", "ssim", "vif", "haarpsi")
LOWER = ("nmse", "hfen", "lpips", "held-out")
RANGES = {
    "ssim": (-1.0, 1.0),
    "haarpsi": (0.0, 1.0),
    **dict.fromkeys(("nmse", "hfen", "lpips", "vif", "residual", "uncertainty", "repeatability"), (0.0, inf)),
}
"""Of the metrics that have one. The held-out-line error is unbiased and therefore may fall below 0."""

NAMES = {"haarpsi": "HaarPSI", "held-out": "Held-out-line error"}
RESIDUALS = {"none": "Residual norm", "data": "Relative residual", "noise": "Reduced chi-square"}
EXPLANATIONS = {
    "nmse": "squared error over the squared size of the reference",
    "psnr": "squared error on a logarithmic scale, against the data range",
    "ssim": "structural similarity: local mean, contrast and pattern",
    "hfen": "error of edges and fine detail (Laplacian of Gaussian)",
    "vif": "visual information fidelity: how much of the reference's visible detail is left; a perceptual score "
    "without learned weights",
    "haarpsi": "similarity of edges as the eye weighs them, from Haar wavelets",
    "lpips": "distance in the features of a trained network",
    "held-out": "error of acquired lines that the image was not made from, squared, in units of the noise variance (or "
    "over the size of the data); the only one of the scores without reference that sees something new",
    "uncertainty": "standard deviation that the method itself predicts, over the mean of the object: a claim",
    "repeatability": "how much the image varies when the scan, or its noise, is repeated, over the mean of the object; "
    "a method that always paints the same is perfectly repeatable",
    "residual": "how far the image contradicts the measured k-space; it says nothing of what was not measured",
}


def is_ranked(definition: MetricDefinition) -> bool:
    """Whether more or less of it is simply better.

    Residuals are not, an image that follows the noise has a low one; nor is what a method claims of itself.
    """
    return definition.name in HIGHER or definition.name in LOWER


def measure_of(definition: MetricDefinition, region: str = WHOLE) -> Measure:
    """Name, direction, unit and range for statistics; of a metric that is not ranked the direction means nothing."""
    lowest, highest = RANGES.get(definition.name, (-inf, inf))
    return Measure(
        label(definition, region),
        "higher" if definition.name in HIGHER else "lower",
        unit(definition),
        lowest=lowest,
        highest=highest,
    )


def label(definition: MetricDefinition, region: str = WHOLE) -> str:
    """``SSIM``, ``PSNR in lesion``, ``NMSE of complex values``."""
    name = NAMES.get(definition.name, definition.name.upper() if definition.name in LOWER + HIGHER else "")
    name = name or definition.name.replace("-", " ").replace("_", " ").capitalize()
    if isinstance(definition.measure, ResidualMeasure):
        name = RESIDUALS[definition.measure.normalisation]
    elif definition.values == "complex" and isinstance(definition.measure, REGIONAL):
        name += " of complex values"
    return name if region == WHOLE else f"{name} in {region}"


def explained(definition: MetricDefinition) -> str:
    """What it measures, in a phrase."""
    found = EXPLANATIONS.get(definition.name, "see its definition")
    if isinstance(definition.measure, ResidualMeasure) and definition.measure.normalisation == "noise":
        found += "; 1 is a misfit as large as the noise, less means that the image follows the noise"
    return found


def unit(definition: MetricDefinition) -> str:
    """``dB``, the image's own for what is not normalised, else nothing."""
    if definition.name == "psnr":
        return "dB"
    measure = definition.measure
    if isinstance(measure, HfenMeasure) and not measure.normalised:
        return "a.u."
    return "a.u." if isinstance(measure, ResidualMeasure) and measure.normalisation == "none" else ""


def arrow(definition: MetricDefinition) -> str:
    """In words, for a heading."""
    if not is_ranked(definition):
        return "not ranked"
    return "higher is better" if definition.name in HIGHER else "lower is better"
