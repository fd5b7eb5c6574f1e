"""From a raw file to an image series: plan, calibrate, stream planes, assemble."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon import __version__
from mrirecon.config.build import build_reconstructor
from mrirecon.config.schema import Adjoint, ReconstructionConfig, Undersampling
from mrirecon.errors import ConfigError
from mrirecon.io.dicom import NOMINAL_WARNING
from mrirecon.io.provenance import sha256_of
from mrirecon.jobs.assemble import final_geometry, to_recon_plane
from mrirecon.jobs.calibrate import Calibration, calibrate
from mrirecon.jobs.maps import MapSource, map_source
from mrirecon.jobs.plan import Plan, make_plan
from mrirecon.jobs.planes import PlaneStack, slice_stack, volume_stack
from mrirecon.jobs.reporting import Reporter
from mrirecon.jobs.workspace import Workspace, job_key, workspace
from mrirecon.linalg.fft import fft, ifft
from mrirecon.memory import release_freed_memory
from mrirecon.mri.coils import root_sum_of_squares
from mrirecon.mri.mask_card import MaskCard, PhaseEncodingAxis
from mrirecon.mri.masks import sampling_mask
from mrirecon.mri.partial_fourier import homodyne, partial_fourier, pocs
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri_of_sets
from mrirecon.operators.noise import GaussianNoise, Noiseless
from mrirecon.reconstruction.base import Reconstruction, Reconstructor
from mrirecon.records import to_mapping
from mrirecon.scan import Derivation, ImageSeries, Scan
from mrirecon.scan.orientation import reordered, standard_view


@dataclass(frozen=True)
class Outcome:
    """A reconstructed series and the record of how it came about.

    Parameters
    ----------
    series
        The images.
    config
        The complete configuration.
    plan, calibration
        As used.
    card
        Identity card of a retrospective mask.
    iterations, residual, converged
        The largest over the planes; whether all of them converged.
    data_residual
        ||A x - y|| / ||y|| of each plane reconstructed in this run.
    seconds
        Wall time of the stages.
    notes
        What was done and what could not be, one sentence each.
    """

    series: ImageSeries
    config: ReconstructionConfig
    plan: Plan
    calibration: Calibration
    card: MaskCard | None
    iterations: int
    residual: float
    converged: bool
    data_residual: tuple[float, ...]
    seconds: dict[str, float]
    notes: tuple[str, ...] = field(default=())


def reconstruct(
    scan: Scan,
    config: ReconstructionConfig,
    *,
    out: Path,
    reporter: Reporter,
    slices: range | None = None,
    device: str = "cpu",
    memory_limit: int | None = None,
) -> Outcome:
    """Reconstruct one scan.

    Parameters
    ----------
    scan
        From `mrirecon.io.base.open_scan`.
    config
        Everything that changes the images.
    out
        The output folder this is for; intermediate results live in ``OUT.partial`` beside it, from which the same job
        resumes after an interruption.
    reporter
        Receives the plan, progress and warnings.
    slices
        Slices to reconstruct, a contiguous range; of a 3D scan, slices of the result.
    device
        Where to compute; no silent fallback.
    memory_limit
        Bytes; raises when the scan cannot be done within it.

    Raises
    ------
    MrireconError
        Bad input, impossible options, no memory or disk; nothing is left behind.
    """
    chosen = _chosen_slices(scan, slices)
    plan = make_plan(scan, config, n_slices=len(chosen), memory_limit=memory_limit)
    reporter.say(plan.describe())
    started = time.perf_counter()
    sha256 = sha256_of(scan.source)
    key = job_key(
        {"input": sha256, "config": to_mapping(config), "version": __version__, "slices": [chosen.start, chosen.stop]}
    )
    with workspace(out, key) as space:
        if space.resumed:
            reporter.say("an interrupted run of this job was found; finished planes are kept")
        stack = _stack(scan, config, chosen, space, reporter)
        card, acquired = None, stack.mask
        if config.undersampling is not None:
            stack, card = _undersampled(stack, config.undersampling, config.seed)
        calibration = calibrate(scan, stack, config.preparation, reporter)
        uses_maps = not (isinstance(config.method, Adjoint) and config.method.combine == "rss")
        maps = map_source(config.maps, stack, calibration, chosen.start) if uses_maps else None
        prepared = time.perf_counter()
        worker = _Worker(
            stack, calibration, maps, build_reconstructor(config.method), config, torch.device(device), acquired
        )
        planes, results = _stream(worker, plan, space, reporter)
        reconstructed = time.perf_counter()
        image, geometry = final_geometry(scan, stack, planes, chosen, config.preparation.remove_oversampling)
    protocol = scan.protocol
    view = standard_view(geometry)
    reorder = config.view == "standard" and not geometry.nominal and not view.is_identity
    if reorder:
        image, geometry, protocol = reordered(image, geometry, protocol, view)
    notes = (*scan.notes, *calibration.notes, *worker.notes(), *((view.describe(),) if reorder else ()))
    converged = all(r.converged for r in results)
    if not converged:
        unfinished = sum(not r.converged for r in results)
        notes += (
            f"{unfinished} of {len(results)} planes ended at the iteration limit; the stopping criterion stood at "
            f"{max(r.residual for r in results):.1e} at most.",
        )
    series = ImageSeries(
        image=image,
        geometry=geometry,
        protocol=protocol,
        subject=scan.subject,
        derivation=_derivation(scan, config, calibration, card, sha256, chosen),
        description=_description(config, card),
        warnings=_warnings(scan),
    )
    seconds = {
        "prepare": prepared - started,
        "reconstruct": reconstructed - prepared,
        "assemble": time.perf_counter() - reconstructed,
    }
    return Outcome(
        series,
        config,
        plan,
        calibration,
        card,
        max((r.iterations for r in results), default=0),
        max((r.residual for r in results), default=0.0),
        converged,
        tuple(worker.data_residuals),
        seconds,
        notes,
    )


def _chosen_slices(scan: Scan, slices: range | None) -> range:
    total = scan.encoding.recon_matrix[0] if scan.is_3d else scan.n_slices
    chosen = slices if slices is not None else range(total)
    if len(chosen) == 0 or chosen.step != 1 or chosen.start < 0 or chosen.stop > total:
        raise ConfigError(f"slices {chosen.start}:{chosen.stop} do not exist; this scan has slices 0:{total}")
    return chosen


def _stack(scan: Scan, config: ReconstructionConfig, chosen: range, space: Workspace, reporter: Reporter) -> PlaneStack:
    crop = config.preparation.remove_oversampling
    if scan.is_3d:
        return volume_stack(scan, remove_oversampling=crop, workspace=space.folder, reporter=reporter)
    return slice_stack(scan, remove_oversampling=crop, slices=chosen)


def _undersampled(stack: PlaneStack, choice: Undersampling, seed: int) -> tuple[PlaneStack, MaskCard]:
    axis: PhaseEncodingAxis = stack.phase_encoding_axis
    if choice.kind == "poisson-disc":
        axis = "yx"
    elif axis == "yx":  # lines over a plane of two phase encodings run along its rows
        axis = "x"
    drawn = sampling_mask(
        choice.kind,
        stack.shape,
        acceleration=choice.acceleration,
        centre_lines=choice.centre_lines,
        phase_encoding_axis=axis,
        seed=seed,
        acquired=stack.mask.expand(stack.shape),
    )
    return stack.restricted(drawn.mask), drawn.card


class _Worker:
    """Everything that one plane needs; counts what was seen on the way."""

    def __init__(
        self,
        stack: PlaneStack,
        calibration: Calibration,
        maps: MapSource | None,
        method: Reconstructor,
        config: ReconstructionConfig,
        device: torch.device,
        acquired: Tensor,
    ) -> None:
        self.stack, self.calibration, self.maps, self.method = stack, calibration, maps, method
        self.config, self.device = config, device
        self.data_residuals: list[float] = []
        self.acquired = acquired.expand(stack.shape)
        self.partial = bool(partial_fourier(self.acquired))

    def notes(self) -> tuple[str, ...]:
        if not self.partial:
            return ()
        return (f"K-space is asymmetric (partial Fourier): {self.config.preparation.partial_fourier}.",)

    def reconstruct(self, index: int, raw: Tensor) -> tuple[NDArray[np.float32], Reconstruction]:
        """The magnitude of plane `index`, scaling undone, on the grid of the reconstruction."""
        kspace = self.calibration.apply(raw)
        if self.maps is None:
            images = ifft(kspace, (-2, -1))
            result = Reconstruction(images)
        else:
            maps = self.maps(index, kspace).to(self.device)
            y = kspace.to(self.device)
            operator = cartesian_mri_of_sets(self.stack.mask.to(self.device), maps)
            sigma = self.calibration.noise_sigma
            model = MeasurementModel(operator, GaussianNoise(sigma) if sigma else Noiseless())
            result = self.method(y, model)
            # Where no coil sees anything a prior alone would paint the image.
            result = replace(result, image=result.image * operator.sensitivities.support)
            self.data_residuals.append(_data_residual(operator.forward(result.image), y))
        image = self._filled(result.image.cpu())
        image = to_recon_plane(
            image, self.stack.encoding, is_3d=self.stack.is_3d, crop=self.config.preparation.remove_oversampling
        )
        magnitude = root_sum_of_squares(image)[0] * self.calibration.scale
        return magnitude.numpy().astype(np.float32), result

    def _filled(self, image: Tensor) -> Tensor:
        """The image with the missing side of an asymmetric k-space filled in."""
        choice = self.config.preparation.partial_fourier
        if not self.partial or choice == "zero-fill":
            return image
        kspace = fft(image, (-2, -1))
        completed = homodyne(kspace, self.acquired) if choice == "homodyne" else pocs(kspace, self.acquired)
        return ifft(completed, (-2, -1))


def _data_residual(prediction: Tensor, y: Tensor) -> float:
    size = torch.linalg.vector_norm(y)
    return float(torch.linalg.vector_norm(prediction - y) / size) if size > 0 else 0.0


def _stream(
    worker: _Worker, plan: Plan, space: Workspace, reporter: Reporter
) -> tuple[list[NDArray[np.float32]], list[Reconstruction]]:
    """All planes in order; finished ones come from the workspace, others are read in chunks."""
    images: dict[int, NDArray[np.float32]] = {}
    results: list[Reconstruction] = []
    missing = []
    for index in range(worker.stack.n_planes):
        done = space.result(index)
        if done is None:
            missing.append(index)
        else:
            images[index] = done
    raw_planes = _in_chunks(worker.stack, missing, plan.chunk)
    for index, raw in reporter.track(raw_planes, total=len(missing), label="reconstruction"):
        images[index], result = worker.reconstruct(index, raw)
        space.keep(index, images[index])
        release_freed_memory()
        results.append(Reconstruction(torch.empty(0), result.iterations, result.residual, result.converged))
    return [images[i] for i in range(worker.stack.n_planes)], results


def _in_chunks(stack: PlaneStack, indices: list[int], chunk: int) -> Iterator[tuple[int, Tensor]]:
    """Planes in order, read `chunk` at a time."""
    for start in range(0, len(indices), chunk):
        together = [(index, stack.read(index)) for index in indices[start : start + chunk]]
        while together:
            yield together.pop(0)


def _derivation(
    scan: Scan,
    config: ReconstructionConfig,
    calibration: Calibration,
    card: MaskCard | None,
    sha256: str,
    chosen: range,
) -> Derivation:
    parameters: dict[str, Any] = {
        "config": to_mapping(config),
        "mask_card": card.to_dict() if card else None,
        "whitening": calibration.whitening,
        "scale": calibration.scale,
        "slices": [chosen.start, chosen.stop],
        "format": scan.format,
    }
    method = config.method.kind
    maps = (
        "" if method == "adjoint" and getattr(config.method, "combine", "") == "rss" else f", {config.maps.kind} maps"
    )
    rate = f", retrospective {card.kind} R={card.nominal_acceleration:g}" if card else ""
    summary = f"mrirecon {__version__} {method}{maps}{rate}, whitening {calibration.whitening}"
    kind = "linear" if method in ("adjoint", "sense") else "iterative"
    return Derivation(method, summary, parameters, sha256, kind, scan.simulated)  # type: ignore[arg-type]


def _description(config: ReconstructionConfig, card: MaskCard | None) -> str:
    return f"mrirecon {config.method.kind}" + (f" R{card.nominal_acceleration:g} {card.kind}" if card else "")


def _warnings(scan: Scan) -> tuple[str, ...]:
    warnings: tuple[str, ...] = ()
    if scan.simulated:
        warnings += ("The k-space was simulated from images.",)
    if scan.geometry.nominal:
        warnings += (NOMINAL_WARNING,)
    return warnings
