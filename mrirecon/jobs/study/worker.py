"""Whoever computes units: opens inputs, loads networks, writes cells; no result depends on what was done before."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from mrirecon.config.study_schema import ScanInput
from mrirecon.errors import ConfigError, ConvergenceError, FormatError, OutputError, ShapeError
from mrirecon.evaluation.cells import fingerprint
from mrirecon.evaluation.method_choices import Learned, MethodChoice, candidates, tuned_parameters
from mrirecon.evaluation.methods import Hole, LoadNetwork, Method, build_method, checkpoint_of
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.prospective import mean_over_slices
from mrirecon.evaluation.study.records import ACQUIRED, CellKey, CellResult, score_keys
from mrirecon.evaluation.study.results import PlannedCell, read_cell, read_input
from mrirecon.evaluation.study.scoring import consistency_scores, object_region, reference_scores, study_definitions
from mrirecon.io.free_text import without_paths
from mrirecon.jobs.method_networks import network_loader
from mrirecon.jobs.study.cell import ProblemCache, Volume, run_volume
from mrirecon.jobs.study.context import Batch, Context, Outcome, Unit
from mrirecon.jobs.study.measured import open_measured, prepare_measured
from mrirecon.jobs.study.plan import drawn_mask
from mrirecon.jobs.study.prepared import Planes, load_prepared, save_prepared
from mrirecon.jobs.study.simulated import open_simulated, prepare_simulated
from mrirecon.jobs.study.sources import Source
from mrirecon.jobs.study.store import read_tuning, write_hole, write_result, write_tuning
from mrirecon.memory import release_freed_memory
from mrirecon.metrics.perceptual import Lpips
from mrirecon.records import to_mapping

FINAL = (ConvergenceError, ConfigError, ShapeError)
"""What happens again with the same input and method: such a hole is not tried again."""

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, eq=False)
class Bench:
    """What one process keeps between units: nothing that changes a result.

    Parameters
    ----------
    context
        The study.
    load
        Gives trained networks, each loaded once.
    lpips
        None leaves it out.
    """

    context: Context
    load: LoadNetwork
    lpips: Lpips | None
    _built: dict[str, Method | Hole] = field(default_factory=dict, repr=False)

    @property
    def layout(self) -> Layout:
        """Where the study lies."""
        return Layout(self.context.folder)

    def method(self, choice: MethodChoice, key: CellKey) -> Method | Hole:
        """The method of a choice without a grid, built once per setting."""
        name = fingerprint(to_mapping(choice), key.setting)
        if name not in self._built:
            self._built[name] = build_method(
                choice, setting=key.setting, family=key.mask, load=self.load, root=self.context.root
            )
        return self._built[name]


@lru_cache(maxsize=1)
def bench_of(context: Context) -> Bench:
    """The bench of this process for a study; another study takes its place."""
    lpips = None if context.lpips is None else Lpips(context.lpips)
    return Bench(context, network_loader(context.config.precision, "cpu"), lpips)


def run_batch(context: Context, batch: Batch) -> Iterator[Outcome]:
    """The units of a batch, one by one; each is on disk before it is reported, and those that are there are skipped.

    Nothing is raised: what goes wrong with a unit is its outcome.
    """
    layout = Layout(context.folder)
    try:
        if not layout.config.is_file():
            raise FormatError(context.folder, "is not seen by this worker; put the study where every worker finds it")
        bench = bench_of(context)
    except Exception as error:  # whatever it is, the study goes on with what other workers can do
        yield from (_failed(layout, unit, error) for unit in batch.units)
        return
    cache: ProblemCache | None = None
    for unit in batch.units:
        try:
            if unit.kind == "input":
                prepare_input(bench, batch.source, unit)
                yield Outcome(unit)
                continue
            if _is_done(layout, unit):
                yield Outcome(unit)
                continue
            if cache is None:
                cache = open_input(bench, batch.source, unit.key)
            hole = _tuning(bench, unit, cache) if unit.kind == "tuning" else _cell(bench, unit, cache)
            yield Outcome(unit, hole)
        except Exception as error:  # a method may fail in any way; the others shall not suffer
            yield _failed(layout, unit, error)
        release_freed_memory()


def prepare_input(bench: Bench, source: Source, unit: Unit) -> None:
    """Read an input and keep what its cells need."""
    context, layout = bench.context, bench.layout
    layout.inputs.mkdir(parents=True, exist_ok=True)
    reference = context.config.reference
    if isinstance(source.choice, ScanInput):
        prepared, images = prepare_measured(
            source, layout, root=context.root, reference=reference, identity=unit.fingerprint
        )
    else:
        prepared, images = prepare_simulated(
            source, root=context.root, specs=context.specs, reference=reference, identity=unit.fingerprint
        )
    if prepared.record.fully_sampled:
        study_definitions(context.config.metrics.preset, prepared.record.reference, bench.lpips)
    save_prepared(layout, prepared, images)


def open_input(bench: Bench, source: Source, key: CellKey) -> ProblemCache:
    """The samples of an input under a mask."""
    layout = bench.layout
    prepared = load_prepared(layout, read_input(layout, source.name))
    if prepared is None:
        raise FormatError(layout.input(source.name), "belongs to no prepared input; run the study again")
    planes: Planes
    if isinstance(source.choice, ScanInput):
        planes = open_measured(source, layout, prepared, root=bench.context.root)
    else:
        planes = open_simulated(source, prepared, np.load(layout.reference(source.name), allow_pickle=False))
    config = bench.context.config
    drawn = drawn_mask(prepared, config.masks, key, config.seed)
    if drawn.mask is None:
        raise ConfigError(drawn.hole)
    return ProblemCache(planes, prepared, drawn.mask)


def _cell(bench: Bench, unit: Unit, cache: ProblemCache) -> str:
    """Fill a cell and write it; why it is a hole, else nothing."""
    config, layout, key = bench.context.config, bench.layout, unit.key
    choice = config.methods[unit.method]
    concrete = candidates(choice)[unit.candidate]
    reached = _reached(bench, concrete, unit, cache)
    if isinstance(reached, Hole):
        write_hole(layout, key, unit.fingerprint, reached.reason)
        return reached.reason
    record = cache.prepared.record
    keys = score_keys(key, record.subject)
    if not record.fully_sampled:
        single = [score.with_keys(keys) for score in reached.scores]
        whole = mean_over_slices(single)
    else:
        whole, single = consistency_scores(reached.residuals, keys=keys)
        definitions = study_definitions(config.metrics.preset, record.reference, bench.lpips)
        reference = np.load(layout.reference(record.name), allow_pickle=False)
        regions = cache.prepared.regions
        if config.metrics.object:
            regions = (object_region(reference), *regions)
        scores, slice_scores = reference_scores(
            reference, reached.image, definitions, regions=regions, keys=keys, network=bench.lpips
        )
        whole, single = scores + whole, slice_scores + single
    checkpoint, sha256 = _weights(bench, concrete, key)
    result = CellResult(
        key=key,
        fingerprint=unit.fingerprint,
        scores=tuple(whole),
        slice_scores=tuple(single),
        seconds=reached.seconds,
        cpu_seconds=reached.cpu_seconds,
        parameters={name: float(value) for name, value in tuned_parameters(choice, concrete).items()},
        facts={**reached.facts, "effective_acceleration": _effective(cache)},
        checkpoint=checkpoint,
        weights_sha256=sha256,
        warnings=(*reached.warnings, *_doubts(key, cache)),
    )
    write_result(layout, result, reached.image, reached.deviation)
    return ""


def _tuning(bench: Bench, unit: Unit, cache: ProblemCache) -> str:
    """What a candidate reaches on a tuning case: the metric, larger is better."""
    config, layout = bench.context.config, bench.layout
    if config.tuning is None:
        raise ConfigError("there is no `tuning`")
    concrete = candidates(config.methods[unit.method])[unit.candidate]
    reached = _reached(bench, concrete, unit, cache)
    if isinstance(reached, Hole):
        write_tuning(layout, unit, None, reached.reason)
        return ""  # a candidate that fails is out of the race; the method is not
    record = cache.prepared.record
    wanted = [
        d
        for d in study_definitions(config.metrics.preset, record.reference, bench.lpips)
        if d.name == config.tuning.metric
    ]
    reference = np.load(layout.reference(record.name), allow_pickle=False)
    scores, _ = reference_scores(reference, reached.image, wanted[:1], network=bench.lpips)
    write_tuning(layout, unit, scores[0].value, scores[0].note)
    return ""


def _reached(bench: Bench, choice: MethodChoice, unit: Unit, cache: ProblemCache) -> Volume | Hole:
    method = bench.method(choice, unit.key)
    if isinstance(method, Hole):
        return method
    name = f"{unit.key.input}/{unit.key.mask_name}"
    return run_volume(method, cache, seed=bench.context.config.seed, name=name)


def _weights(bench: Bench, choice: MethodChoice, key: CellKey) -> tuple[str, str]:
    """Name of the checkpoint without folders, and the checksum of its weights."""
    if not isinstance(choice, Learned):
        return "", ""
    name = checkpoint_of(choice.checkpoint, key.setting, key.mask)
    method = bench.method(choice, key)
    if name is None or isinstance(method, Hole):
        return "", ""
    return Path(name).name, str(method.identity.get("weights_sha256", ""))


def _effective(cache: ProblemCache) -> float:
    """Phase encodings over sampled ones, as the mask card counts them."""
    kept = (cache.mask & cache.prepared.acquired).expand(cache.prepared.grid)
    sampled = {"x": kept.any(dim=0), "y": kept.any(dim=1), "yx": kept}[cache.prepared.axis]
    return sampled.numel() / max(1, int(sampled.sum()))


def _doubts(key: CellKey, cache: ProblemCache) -> tuple[str, ...]:
    if key.mask == "poisson-disc" and cache.prepared.axis != "yx":
        return ("A poisson-disc mask undersamples the readout of this two-dimensional scan, which no scanner does.",)
    if key.mask != ACQUIRED and cache.prepared.sigma == 0:
        return ("The noise of the scan is unknown; methods that need it took the data for exact.",)
    return ()


def _is_done(layout: Layout, unit: Unit) -> bool:
    if unit.kind == "tuning":
        return read_tuning(layout, unit) is not None
    known = read_cell(layout, PlannedCell(unit.key, unit.fingerprint))
    return known is not None and not known.retry


def _failed(layout: Layout, unit: Unit, error: Exception) -> Outcome:
    """The outcome of an error, on disk where that is possible."""
    cause = error.__cause__ if isinstance(error, OutputError) and error.__cause__ is not None else error
    full = isinstance(cause, OSError) and (cause.errno in DISK_FULL or _cut_short(cause))
    reason = describe(error)
    if unit.kind != "cell" or isinstance(error, OutputError):
        return Outcome(unit, reason, written=False, disk=full)
    try:
        write_hole(layout, unit.key, unit.fingerprint, reason, retry=not isinstance(error, FINAL))
    except OutputError:
        return Outcome(unit, reason, written=False, disk=full)
    return Outcome(unit, reason)


def _cut_short(error: OSError) -> bool:
    """NumPy's word for a disk that became full within an array; it carries no number."""
    return error.errno is None and " requested and " in str(error)


def describe(error: Exception) -> str:
    """An error in one line, without the folders of this machine."""
    text = without_paths(" ".join(str(error).split()), keep_name=True)
    if isinstance(error, MemoryError):
        return "the memory does not suffice; use fewer workers, or fewer slices or virtual coils"
    if isinstance(error, (*FINAL, FormatError, OutputError)):
        return text
    return f"{type(error).__name__}: {text}"
