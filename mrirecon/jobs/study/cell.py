"""One cell: all slices of an input under one mask by one method, put together and scored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.evaluation.methods import Hole, Method
from mrirecon.evaluation.problems import Problem
from mrirecon.evaluation.study.prospective import slices_without_reference
from mrirecon.evaluation.study.scoring import SliceResidual, slice_residual
from mrirecon.evaluation.timed import timed, warmed
from mrirecon.evaluation.undersampling import maps_of, normalised_problem
from mrirecon.jobs.study.prepared import Planes, Prepared
from mrirecon.metrics.score import Score
from mrirecon.operators.base import ForwardOperator
from mrirecon.operators.mri import cartesian_mri
from mrirecon.reconstruction.base import Reconstruction
from mrirecon.reconstruction.uncertainty import standard_deviation

CACHE_BYTES = 1 << 29
"""Of problems kept for the next method; beyond it they are made again."""


@dataclass(frozen=True, eq=False)
class Volume:
    """What a method made of an input.

    Parameters
    ----------
    image
        Magnitude (z, y, x) in the units of the reference.
    deviation
        Standard deviation of the magnitude over posterior samples, None without.
    residuals
        Slice by slice.
    seconds, cpu_seconds
        Of the reconstruction alone.
    facts
        Means over the slices.
    warnings
        What casts doubt on it.
    scores
        Of slices, by what needs no reference; only where there is none.
    """

    image: NDArray[np.float32]
    deviation: NDArray[np.float32] | None
    residuals: tuple[SliceResidual, ...]
    seconds: float
    cpu_seconds: float
    facts: dict[str, float]
    warnings: tuple[str, ...]
    scores: tuple[Score, ...] = ()


@dataclass(frozen=True, eq=False)
class ProblemCache:
    """Problems of one input under one mask, so that every method gets the same maps without estimating them again."""

    planes: Planes
    prepared: Prepared
    mask: Tensor
    _kept: OrderedDict[int, Problem] = field(default_factory=OrderedDict, repr=False)

    def problem(self, place: int) -> Problem:
        """The undersampled slice, its operator and noise, divided by a scale found from it alone."""
        if place in self._kept:
            return self._kept[place]
        made = warmed(self._made(place))
        if self._size(made) * (len(self._kept) + 1) <= CACHE_BYTES:
            self._kept[place] = made
        return made

    def _made(self, place: int) -> Problem:
        kept = self.mask & self.prepared.acquired
        kspace = torch.where(kept, self.planes.kspace(place), 0)
        maps = self.planes.maps(place, kspace)
        operator = cartesian_mri(kept, maps_of(kspace, kept) if maps is None else maps)
        return normalised_problem(torch.zeros(self.prepared.grid), kspace, operator, sigma=self.prepared.sigma)

    @staticmethod
    def _size(problem: Problem) -> int:
        return 4 * problem.data.numel() * problem.data.element_size()


def run_volume(method: Method, cache: ProblemCache, *, seed: int, name: str) -> Volume | Hole:
    """Every slice of an input by one method; a hole if any of them has no image.

    Parameters
    ----------
    seed, name
        Of the randomness; every slice draws its own.
    """
    images: list[Tensor] = []
    deviations: list[Tensor] = []
    residuals: list[SliceResidual] = []
    facts: list[dict[str, float]] = []
    unfinished: list[float] = []
    scores: list[Score] = []
    seconds = cpu_seconds = 0.0
    places = cache.prepared.record.slices
    for place, index in enumerate(places):
        problem = cache.problem(place)
        reached = timed(method, problem, seed=seed, name=f"{name}/{index}")
        if isinstance(reached, Hole):
            return Hole(f"slice {index}: {reached.reason}" if len(places) > 1 else reached.reason)
        if not bool(torch.isfinite(torch.view_as_real(reached.image)).all()):
            return Hole(f"slice {index}: the image is not finite")
        seconds, cpu_seconds = seconds + reached.seconds, cpu_seconds + reached.cpu_seconds
        images.append(_magnitude(reached.image, problem, cache.planes))
        deviation = _deviation(reached.result, problem, cache.planes)
        if deviation is not None:
            deviations.append(deviation)
        operator = problem.model.operator
        if isinstance(operator, ForwardOperator):
            image = reached.image * problem.support
            residuals.append(slice_residual(image, problem.data, operator, problem.facts["sigma"]))
        if not cache.prepared.record.fully_sampled:
            scores += slices_without_reference(
                method.reconstructor,
                problem.data,
                problem.model,
                seed=crc32(f"{seed}/{name}/{index}".encode()),
                result=reached.result,
                first_slice=place,
            )
        facts.append(problem.facts)
        if not reached.result.converged:
            unfinished.append(reached.result.residual)
    return Volume(
        image=torch.stack(images).numpy(),
        deviation=torch.stack(deviations).numpy() if len(deviations) == len(images) else None,
        residuals=tuple(residuals),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        facts={key: float(np.mean([f[key] for f in facts])) for key in ("effective_acceleration", "coils", "sigma")},
        warnings=_unfinished(unfinished, len(places)),
        scores=tuple(scores),
    )


def _magnitude(image: Tensor, problem: Problem, planes: Planes) -> Tensor:
    """A complex image (1, rows, columns) as magnitude in the units of the k-space; 0 where no coil sees anything."""
    whole = torch.where(problem.support, image[0], 0) * problem.facts["scale"]
    return planes.finished(whole).abs().float()


def _deviation(result: Reconstruction, problem: Problem, planes: Planes) -> Tensor | None:
    if result.samples is None or result.samples.shape[0] < 2:
        return None
    magnitudes = [_magnitude(sample.detach().cpu(), problem, planes) for sample in result.samples]
    return standard_deviation(torch.stack(magnitudes)).float()


def _unfinished(residuals: Sequence[float], n_slices: int) -> tuple[str, ...]:
    if not residuals:
        return ()
    return (
        f"{len(residuals)} of {n_slices} slices ended at the iteration limit; the stopping criterion stood at "
        f"{max(residuals):.1e} at most.",
    )
