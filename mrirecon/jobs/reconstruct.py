"""From a raw file to an image series: plan, calibrate, stream planes, assemble."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon import __version__
from mrirecon.config.build import build_reconstructor
from mrirecon.config.build_unfolded import TrainedMethod, build_unfolded
from mrirecon.config.schema import Adjoint, ReconstructionConfig, Undersampling, Unfolded
from mrirecon.errors import ConfigError
from mrirecon.io.provenance import sha256_of
from mrirecon.jobs import derivation
from mrirecon.jobs.assemble import final_geometry
from mrirecon.jobs.calibrate import Calibration, calibrate
from mrirecon.jobs.certification import certification, require_certificate
from mrirecon.jobs.maps import map_source
from mrirecon.jobs.plan import Plan, make_plan
from mrirecon.jobs.plane_certificate import REPLICAS, CertificateForm, further_reconstructions
from mrirecon.jobs.plane_worker import PlaneRecord, PlaneWorker
from mrirecon.jobs.planes import PlaneStack, slice_stack, volume_stack
from mrirecon.jobs.reporting import Reporter
from mrirecon.jobs.shift_alarm import ShiftScorer, shift_alarm
from mrirecon.jobs.workspace import Workspace, job_key, workspace
from mrirecon.memory import release_freed_memory
from mrirecon.metrics.certificate import CertificateResult
from mrirecon.metrics.shift_report import ShiftReport
from mrirecon.mri.mask_card import MaskCard, PhaseEncodingAxis
from mrirecon.mri.masks import sampling_mask
from mrirecon.records import from_mapping, to_mapping
from mrirecon.scan import ImageSeries, Scan
from mrirecon.scan.orientation import reordered, standard_view


@dataclass(frozen=True)
class Outcome:
    """Reconstructed series and the record of how they came about.

    Parameters
    ----------
    series
        The images: of a method that draws several samples, their mean.
    config
        The complete configuration.
    plan, calibration
        As used.
    card
        Identity card of a retrospective mask.
    trained
        The network of a learned method.
    planes
        How every plane was reached, those of an interrupted run included.
    seconds
        Wall time of the stages.
    certificate
        Whether the image agrees with the data.
    spread
        Standard deviation of the magnitude over the samples, times the conformal factor of the checkpoint if it has
        one, on the grid of `series`.
    samples
        Magnitudes (sample, z, y, x) on the grid of `series`, where they were asked for.
    notes
        What was done and what could not be, one sentence each.
    mask
        Samples of one plane that were used, (rows, columns) of its k-space.
    shift
        Whether the scan looks like the training of the network; None without one, or if it was not asked.
    """

    series: ImageSeries
    config: ReconstructionConfig
    plan: Plan
    calibration: Calibration
    card: MaskCard | None
    trained: TrainedMethod | None
    planes: tuple[PlaneRecord, ...]
    seconds: dict[str, float]
    certificate: CertificateResult
    spread: ImageSeries | None = None
    samples: tuple[NDArray[np.float32], ...] = ()
    notes: tuple[str, ...] = field(default=())
    mask: NDArray[np.bool_] | None = None
    shift: ShiftReport | None = None


def reconstruct(
    scan: Scan,
    config: ReconstructionConfig,
    *,
    out: Path,
    reporter: Reporter,
    slices: range | None = None,
    device: str = "cpu",
    memory_limit: int | None = None,
    keep_samples: bool = False,
    with_shift_alarm: bool = False,
    certificate: CertificateForm = "quick",
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
    keep_samples
        Return the posterior samples too.
    with_shift_alarm
        Ask a network whether the scan looks like its training: a few evaluations more on a few planes.
    certificate
        Form of the data-consistency certificate; ``sharp`` reconstructs every plane many times.

    Raises
    ------
    MrireconError
        Bad input, impossible options, no memory or disk; nothing is left behind.
    """
    n_samples = config.method.samples if isinstance(config.method, Unfolded) else 1
    if keep_samples and n_samples == 1:
        raise ConfigError("there are no posterior samples to keep; draw several with method unfolded and `samples`")
    require_certificate(certificate, config)
    chosen = _chosen_slices(scan, slices)
    trained = (
        build_unfolded(config.method, image="complex", device=device) if isinstance(config.method, Unfolded) else None
    )
    plan = make_plan(
        scan,
        config,
        n_slices=len(chosen),
        memory_limit=memory_limit,
        trained=trained,
        keep_samples=keep_samples,
        certificate=certificate,
    )
    reporter.say(plan.describe())
    started = time.perf_counter()
    sha256 = sha256_of(scan.source)
    key = job_key(
        {
            "input": sha256,
            "config": to_mapping(config),
            "network": trained.record() if trained else None,
            "version": __version__,
            "slices": [chosen.start, chosen.stop],
            "shift_alarm": with_shift_alarm,
            "certificate": certificate,
        }
    )
    with workspace(out, key) as space:
        if space.resumed:
            reporter.say("an interrupted run of this job was found; finished planes are kept")
        stack = _stack(scan, config, chosen, space, reporter)
        card, acquired = None, stack.mask
        if config.undersampling is not None:
            stack, card = _undersampled(stack, config.undersampling, config.seed)
        calibration = calibrate(scan, stack, config.preparation, reporter)
        if trained is not None:
            calibration = calibration.with_binary_scale()
        if certificate == "sharp":
            reporter.say(_cost(calibration))
        uses_maps = not (isinstance(config.method, Adjoint) and config.method.combine == "rss")
        worker = PlaneWorker(
            stack=stack,
            calibration=calibration,
            maps=map_source(config.maps, stack, calibration, chosen.start) if uses_maps else None,
            method=trained.method if trained else build_reconstructor(config.method),
            config=config,
            device=torch.device(device),
            acquired=acquired,
            sigma=_noise_level(calibration, learned=trained is not None),
            first_plane=0 if scan.is_3d else chosen.start,
            n_samples=n_samples,
            keep_samples=keep_samples,
            spread_factor=trained.spread_factor if trained else 1.0,
            shift=ShiftScorer.of(trained, stack.n_planes) if with_shift_alarm else None,
            certificate=certificate,
        )
        prepared = time.perf_counter()
        planes, records = _stream(worker, plan, space, reporter)
        reconstructed = time.perf_counter()
        crop = config.preparation.remove_oversampling
        volumes, geometry = [], scan.geometry
        for layer in range(worker.n_layers):
            volume, geometry = final_geometry(scan, stack, [plane[layer] for plane in planes], chosen, crop)
            volumes.append(volume)
        del planes
    protocol = scan.protocol
    view = standard_view(geometry)
    notes = (*scan.notes, *calibration.notes, *worker.notes(), *_limits(records))
    if trained is not None and calibration.noise_sigma is None:
        notes += (_assumed_noise(records),)
    if trained is not None and isinstance(config.method, Unfolded):
        notes += derivation.spread_notes(config.method, trained)
    if config.view == "standard" and not geometry.nominal and not view.is_identity:
        notes += (view.describe(),)
        before = geometry, protocol
        for layer, volume in enumerate(volumes):
            volumes[layer], geometry, protocol = reordered(volume, *before, view)
    shift = None
    if trained is not None and with_shift_alarm:
        shift = shift_alarm(
            [record.shift for record in records if record.shift is not None],
            trained.card,
            mask=stack.mask,
            shape=(stack.shape[-2], stack.shape[-1]),
            mask_kind=None if card is None else card.kind,
            field_strength_t=protocol.field_strength_t,
        )
    made = derivation.derivation(scan, config, calibration, card=card, trained=trained, sha256=sha256, chosen=chosen)
    series = ImageSeries(
        image=volumes[0],
        geometry=geometry,
        protocol=protocol,
        subject=scan.subject,
        derivation=made,
        description=derivation.description(config, card, trained),
        warnings=(
            *derivation.warnings(scan, trained),
            *_doubts(records, trained),
            *(() if shift is None else shift.warnings),
        ),
    )
    seconds = {
        "prepare": prepared - started,
        "reconstruct": reconstructed - prepared,
        "assemble": time.perf_counter() - reconstructed,
    }
    return Outcome(
        series=series,
        config=config,
        plan=plan,
        calibration=calibration,
        card=card,
        trained=trained,
        planes=records,
        seconds=seconds,
        certificate=certification(
            records,
            calibration,
            form=certificate,
            is_3d=scan.is_3d,
            first_plane=worker.first_plane,
            with_maps=uses_maps,
        ),
        spread=replace(series, image=volumes[1], quantity="standard_deviation") if n_samples > 1 else None,
        samples=tuple(volumes[2:]),
        notes=notes,
        mask=stack.mask.expand(stack.shape).numpy(),
        shift=shift,
    )


def _cost(calibration: Calibration) -> str:
    """What a sharp certificate takes, or that there will be none."""
    if not calibration.residual_noise.known:
        return "no sharp certificate: the noise of this scan is unknown, and without it none can be simulated"
    more = further_reconstructions("sharp")
    return (
        f"sharp certificate: {REPLICAS} simulated repetitions of the scan, {more} reconstructions more of every plane; "
        f"the method, not what comes before and after it, takes about {1 + more} times as long as without it"
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


def _noise_level(calibration: Calibration, *, learned: bool) -> float | None:
    """What the method is told: a network must not take noisy data for exact, so it gets an upper estimate at worst."""
    return calibration.noise_bound if learned and calibration.noise_sigma is None else calibration.noise_sigma


def _assumed_noise(records: tuple[PlaneRecord, ...]) -> str:
    """What the network was told without whitening."""
    told = max(record.sigma or 0.0 for record in records)
    if told == 0:
        return "No noise was found in the data; the network assumes the least noise that it was built for."
    return (
        f"The network was told a noise level of at most {100 * told:.2g} % of the 99th percentile of the plane, per "
        "real component: the root mean square of the edges of k-space, an upper estimate, because the coils were not "
        "whitened."
    )


def _doubts(records: tuple[PlaneRecord, ...], trained: TrainedMethod | None) -> tuple[str, ...]:
    """What the network has not been trained for, judged by the noisiest plane."""
    told = [record.sigma for record in records if record.sigma is not None]
    return trained.doubts(max(told)) if trained is not None and told else ()


def _limits(records: tuple[PlaneRecord, ...]) -> tuple[str, ...]:
    """What there is to say about planes that ended before they converged."""
    unfinished = [record for record in records if not record.converged]
    if not unfinished:
        return ()
    return (
        f"{len(unfinished)} of {len(records)} planes ended at the iteration limit; the stopping criterion stood at "
        f"{max(record.residual for record in unfinished):.1e} at most.",
    )


def _stream(
    worker: PlaneWorker, plan: Plan, space: Workspace, reporter: Reporter
) -> tuple[list[NDArray[np.float32]], tuple[PlaneRecord, ...]]:
    """All planes (layer, rows, columns) in order; finished ones come from the workspace, others are read in chunks."""
    images: dict[int, NDArray[np.float32]] = {}
    records: dict[int, PlaneRecord] = {}
    missing = []
    for index in range(worker.stack.n_planes):
        done = space.result(index)
        if done is None or len(done[0]) < worker.n_layers:
            missing.append(index)
        else:
            images[index], records[index] = done[0], from_mapping(PlaneRecord, done[1], where="plane record")
    raw_planes = _in_chunks(worker.stack, missing, plan.chunk)
    label = "reconstruction and certificate" if worker.certificate == "sharp" else "reconstruction"
    for index, raw in reporter.track(raw_planes, total=len(missing), label=label):
        result = worker.reconstruct(index, raw)
        images[index], records[index] = result.layers, result.record
        space.keep(index, result.layers, asdict(result.record))
        release_freed_memory()
    order = range(worker.stack.n_planes)
    return [images[i] for i in order], tuple(records[i] for i in order)


def _in_chunks(stack: PlaneStack, indices: list[int], chunk: int) -> Iterator[tuple[int, Tensor]]:
    """Planes in order, read `chunk` at a time."""
    for start in range(0, len(indices), chunk):
        together = [(index, stack.read(index)) for index in indices[start : start + chunk]]
        while together:
            yield together.pop(0)
