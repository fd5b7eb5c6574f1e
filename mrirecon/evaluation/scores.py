"""Figures of an estimate against the reference of its problem, with the definitions that give them their meaning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from mrirecon.evaluation.problems import Problem
from mrirecon.metrics.measures import PsnrMeasure, SsimMeasure
from mrirecon.metrics.passport import MetricDefinition, RangeRule
from mrirecon.metrics.perceptual import SMALLEST
from mrirecon.metrics.preparation import prepare
from mrirecon.metrics.values import region_value, slice_value, volume_value

PerceptualDistance = Callable[[Tensor, Tensor, tuple[float, float]], float]
"""``distance(image, reference, (black, white))`` of images (channel, y, x)."""
PHOTOGRAPH_RANGE = 2.0


@dataclass(frozen=True)
class Scores:
    """Peak signal-to-noise ratio in dB, structural similarity, and perceptual distance where it can be had.

    `definitions` are those of PSNR and SSIM, in this order.
    """

    psnr_db: float
    ssim: float
    lpips: float | None
    definitions: tuple[MetricDefinition, MetricDefinition]


def score(problem: Problem, picture: Tensor, perceptual: PerceptualDistance | None = None) -> Scores:
    """Compare what `Problem.compared` made of an estimate with the reference.

    PSNR and SSIM as `definitions_of` says. PSNR averages over the whole picture, or over the support alone; SSIM and
    LPIPS see whole pictures, black outside the support. LPIPS is left out below 64 x 64 pixels.
    """
    image, reference = (t.detach().cpu().float() for t in (picture, problem.reference))
    a, b = reference.numpy(), image.numpy()
    definitions = ratio, similarity = definitions_of(problem)
    pair = prepare(a, b, ratio)
    if ratio.scope == "region":
        inside = np.broadcast_to(problem.support.cpu().numpy(), a.shape)
        psnr_db = region_value(pair, inside, ratio.measure)
    elif ratio.scope == "slices":
        psnr_db = slice_value(pair, 0, ratio.measure, None)
    else:
        psnr_db = volume_value(pair, ratio.measure)
    pair = prepare(a, b, similarity)
    ssim = float(np.mean([slice_value(pair, channel, similarity.measure, None) for channel in range(len(a))]))
    distance = None
    if perceptual is not None and min(image.shape[-2:]) >= SMALLEST and image.shape[0] in (1, 3):
        distance = perceptual(image, reference, (problem.black, problem.white))
    return Scores(psnr_db, ssim, distance, definitions)


def definitions_of(problem: Problem) -> tuple[MetricDefinition, MetricDefinition]:
    """PSNR and SSIM of a problem: those of MRI if its white is the maximum of its reference and black is 0.

    Otherwise those of pictures with the data range that it states. The reference is what the problem says it is.
    """
    span = problem.white - problem.black
    if len(problem.reference) == 1 and problem.black == 0 and span == float(problem.reference.max()) > 0:
        return mri_definitions(inside_only=problem.inside_only)
    ratio, similarity = picture_definitions(span)
    return (replace(ratio, scope="region") if problem.inside_only else ratio), similarity


def mri_definitions(*, inside_only: bool = False) -> tuple[MetricDefinition, MetricDefinition]:
    """PSNR and SSIM of one slice's magnitude, range = its reference's maximum; PSNR of the object if `inside_only`."""
    ratio = MetricDefinition(PsnrMeasure(), scope="slices", data_range="slice-maximum")
    similarity = replace(ratio, measure=SsimMeasure())
    return (replace(ratio, scope="region") if inside_only else ratio), similarity


def picture_definitions(data_range: RangeRule | float = PHOTOGRAPH_RANGE) -> tuple[MetricDefinition, MetricDefinition]:
    """PSNR over all pixels and colours together, and SSIM as the mean over the colours; the range is a number."""
    ratio = MetricDefinition(PsnrMeasure(), scope="volume", data_range=data_range)
    return ratio, replace(ratio, measure=SsimMeasure(), scope="slices")
