"""The `study` job: a configuration to a folder of cells, going on where it stopped."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mrirecon.config.study_schema import StudyConfig, load_study_config
from mrirecon.data.spec import file_sha256
from mrirecon.errors import ConfigError, MrireconError, OutputError
from mrirecon.evaluation.cells import fingerprint
from mrirecon.evaluation.method_choices import candidates
from mrirecon.evaluation.methods import Hole
from mrirecon.evaluation.report.directions import HIGHER
from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import CellKey
from mrirecon.evaluation.study.results import (
    PlannedCell,
    StudyRecord,
    StudyResults,
    open_study,
    read_input,
    study_record,
)
from mrirecon.evaluation.study.tables import write_tables
from mrirecon.evaluation.tuning import NOTHING, best_candidate
from mrirecon.io.free_text import without_paths
from mrirecon.io.provenance import software_versions
from mrirecon.jobs.method_networks import lpips_network
from mrirecon.jobs.plan import PROCESS_BYTES
from mrirecon.jobs.reporting import Reporter
from mrirecon.jobs.study.capacity import fitting_workers, worker_bytes
from mrirecon.jobs.study.context import Batch, Context, Outcome, Unit
from mrirecon.jobs.study.executors import Executor, InProcess, Processes, batches_of
from mrirecon.jobs.study.folder import cell_state, forget, make_folder, study_root, sweep
from mrirecon.jobs.study.lock import only_run
from mrirecon.jobs.study.plan import Plan, full_mask
from mrirecon.jobs.study.prepared import VERSION, Prepared, load_prepared
from mrirecon.jobs.study.sources import Source, sources
from mrirecon.jobs.study.store import read_tuning, write_hole, write_json, write_mask, write_text
from mrirecon.records import to_mapping

DISK_PATIENCE = 3
"""Cells in a row that may find the disk full before the study stops."""

_PREPARATION_BYTES = PROCESS_BYTES + (1 << 30)


@dataclass(frozen=True)
class StudyOptions:
    """How a study is run; nothing here changes a figure.

    Parameters
    ----------
    data
        Root of the data; the variable MRIRECON_DATA when None, else the folder of the configuration.
    specs
        Folder of the data specifications; those of the package when None.
    workers
        Processes on this machine, or on the cluster that is started.
    scheduler
        ``local``, ``slurm`` or the address of a Dask scheduler; None for this machine without Dask.
    lpips
        File of the AlexNet features; the variable MRIRECON_LPIPS_BACKBONE when None.
    retry
        Try all holes again, those too that would be the same.
    command
        As it was typed, without folders, for the record.
    """

    data: Path | None = None
    specs: Path | None = None
    workers: int = 1
    scheduler: str | None = None
    lpips: Path | None = None
    retry: bool = False
    command: str = ""


@dataclass(frozen=True, eq=False)
class StudyOutcome:
    """The study as it is now, and what went wrong in this run, by cell or input."""

    results: StudyResults
    problems: dict[str, str] = field(default_factory=dict)


def run_study(config_path: Path, out: Path, options: StudyOptions, reporter: Reporter) -> StudyOutcome:
    """Fill what is missing of a study.

    Parameters
    ----------
    config_path
        YAML of a `StudyConfig`.
    out
        The folder of the study, new or from an earlier run.

    Raises
    ------
    ConfigError
        If the configuration is impossible; nothing is written then.
    OutputError
        If the folder cannot be written, holds something else, or another run works in it.
    """
    config = load_study_config(config_path)
    root = study_root(options.data, config_path)
    tuned = {} if config.tuning is None else config.tuning.inputs
    shown = sources(config.inputs, root=root, specs=options.specs)
    tuning = sources(tuned, root=root, specs=options.specs)
    if options.workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {options.workers}")
    if both := {s.name for s in shown} & {s.name for s in tuning}:
        raise ConfigError(f"`tuning.inputs` and `inputs` both make an input called {min(both)!r}; rename an entry")
    layout = Layout(out.absolute())
    make_folder(layout)
    executor = _executor(config, options, reporter)
    try:
        with only_run(layout.folder, begun=layout.study):
            run = _Run(config, layout, root, options, reporter, executor, shown, tuning)
            return run.all(config_path)
    finally:
        executor.close()


@dataclass(eq=False)
class _Run:
    """One run, step by step."""

    config: StudyConfig
    layout: Layout
    root: Path
    options: StudyOptions
    reporter: Reporter
    executor: Executor
    shown: tuple[Source, ...]
    tuning: tuple[Source, ...]
    problems: dict[str, str] = field(default_factory=dict)
    full: int = 0

    def all(self, config_path: Path) -> StudyOutcome:
        """Inputs, tuning, cells, tables."""
        sweep(self.layout)
        write_text(self.layout.config, config_path.read_text(encoding="utf-8"))
        context = self._context()
        prepared = self._inputs(context)
        plan = Plan(
            self.config, self.shown, self.tuning, prepared, "" if not context.lpips else file_sha256(context.lpips)
        )
        _refuse_shared_subjects(plan)
        self._record(plan)
        self._masks(plan)
        self.executor.limit(self._fitting(prepared.values()))
        pending = self._pending(plan)
        chosen = self._tuned(context, plan, pending)
        self._cells(context, plan, pending, chosen)
        sweep(self.layout)  # what workers left that died
        results = open_study(self.layout.folder)
        for problem in write_tables(results):
            self.reporter.warn(problem)
        return StudyOutcome(results, self.problems)

    def _context(self) -> Context:
        lpips = None
        if self.config.metrics.lpips:
            network = lpips_network(self.options.lpips, self.reporter)
            named = self.options.lpips or os.environ.get("MRIRECON_LPIPS_BACKBONE")
            lpips = Path(named).absolute() if network is not None and named else None
        specs = None if self.options.specs is None else self.options.specs.absolute()
        where = [str(self.layout.folder), str(self.root), str(specs), str(lpips)]
        token = fingerprint(to_mapping(self.config), where)
        return Context(token, self.config, self.layout.folder, self.root, specs, lpips)

    def _inputs(self, context: Context) -> dict[str, Prepared]:
        """What is known of every input that can be had; those that were read before are not read again."""
        found: dict[str, Prepared] = {}
        batches: list[Batch] = []
        for source in (*self.shown, *self.tuning):
            if source.hole:
                self._problem(source.name, source.hole)
                continue
            try:
                stamp = source.stamp(self.root)
            except OSError as error:
                missing = Path(str(error.filename)).name
                self._problem(source.name, f"{missing} cannot be read ({error.strerror})")
                continue
            identity = fingerprint(
                VERSION,
                to_mapping(source.choice),
                stamp,
                self.config.reference,
                self.config.metrics.preset,
                source.number,
            )
            known = self._prepared(source)
            if known is not None and known.identity == identity:
                found[source.name] = known
            else:
                key = CellKey(source.name, "", 0.0, 0, "")
                batches.append(Batch(source, (Unit("input", key, identity),)))
        by_name = {source.name: source for source in (*self.shown, *self.tuning)}
        for outcome in self._outcomes(context, batches, "inputs"):
            name = outcome.unit.key.input
            known = self._prepared(by_name[name])
            if not outcome.hole and known is not None:
                found[name] = known
        return {source.name: found[source.name] for source in (*self.shown, *self.tuning) if source.name in found}

    def _prepared(self, source: Source) -> Prepared | None:
        try:
            return load_prepared(self.layout, read_input(self.layout, source.name))
        except MrireconError:
            return None

    def _record(self, plan: Plan) -> None:
        """Write the plan; warn where cells were computed with other versions."""
        versions = software_versions()
        if self.layout.study.is_file():
            before = study_record(self.layout).versions
            changed = [f"{k} {before[k]} -> {v}" for k, v in versions.items() if before.get(k, v) != v]
            if changed:
                self.reporter.warn(
                    f"earlier cells were computed with other versions ({', '.join(changed)}); they are kept: start in "
                    "an empty folder for one set of versions"
                )
        record = StudyRecord(
            name=self.config.name,
            description=self.config.description,
            command=self.options.command,
            versions=versions,
            config=_scrubbed(to_mapping(self.config)),
            cells=plan.cells,
        )
        write_json(self.layout.study, to_mapping(record))

    def _masks(self, plan: Plan) -> None:
        for source in (*self.shown, *self.tuning):
            if source.name in plan.prepared:
                for key in plan.mask_keys(source):
                    drawn = plan.mask(key)
                    if drawn.mask is not None:
                        write_mask(self.layout, key, drawn.record, full_mask(drawn, plan.prepared[source.name]))

    def _pending(self, plan: Plan) -> dict[CellKey, PlannedCell]:
        """Cells to be run; holes of inputs that cannot be had are written at once."""
        by_name = {source.name: source for source in self.shown}
        pending: dict[CellKey, PlannedCell] = {}
        for planned in plan.cells:
            state = cell_state(self.layout, planned)
            if state == "done" or (state == "hole" and not self.options.retry):
                continue
            name = planned.key.input
            if name in plan.prepared:
                pending[planned.key] = planned
            elif state == "absent":
                reason = by_name[name].hole or self.problems.get(name, "the input could not be read")
                self._hole(planned, reason, retry=True)
        return pending

    def _tuned(
        self, context: Context, plan: Plan, pending: dict[CellKey, PlannedCell]
    ) -> dict[tuple[str, CellKey], int]:
        """Which candidate every method takes in every setting that is still to be run."""
        wanted: dict[tuple[str, CellKey], tuple[tuple[Unit, ...], ...]] = {}
        for key in pending:
            if len(candidates(self.config.methods[key.method])) > 1:
                setting = replace(plan.tuned_as(key), input="", method="")
                if (key.method, setting) not in wanted:
                    wanted[key.method, setting] = plan.tuning_units(key.method, key)
        units = [unit for grid in wanted.values() for row in grid for unit in row]
        missing = [unit for unit in units if read_tuning(self.layout, unit) is None]
        for _ in self._outcomes(context, self._batched(missing, self.tuning), "tuning"):
            pass
        larger = self.config.tuning is not None and self.config.tuning.metric in HIGHER
        chosen: dict[tuple[str, CellKey], int] = {}
        for (name, setting), grid in wanted.items():
            values = [[self._value(unit, larger=larger) for unit in row] for row in grid]
            options = candidates(self.config.methods[name])
            best: Any = best_candidate(options, values) if values[0] else Hole("there is no complete tuning input")
            if isinstance(best, Hole):
                self._refused(name, setting, plan, pending, best.reason)
            else:
                chosen[name, setting] = options.index(best)
        return chosen

    def _value(self, unit: Unit, *, larger: bool) -> float:
        found = read_tuning(self.layout, unit)
        if found is None or found[0] is None or found[0] != found[0]:
            return NOTHING
        return found[0] if larger else -found[0]

    def _refused(
        self, name: str, setting: CellKey, plan: Plan, pending: dict[CellKey, PlannedCell], reason: str
    ) -> None:
        for key, planned in list(pending.items()):
            if key.method == name and replace(plan.tuned_as(key), input="", method="") == setting:
                self._hole(planned, f"not tuned: {reason}", retry=True)
                del pending[key]

    def _cells(
        self,
        context: Context,
        plan: Plan,
        pending: dict[CellKey, PlannedCell],
        chosen: dict[tuple[str, CellKey], int],
    ) -> None:
        units = []
        for key, planned in pending.items():
            setting = replace(plan.tuned_as(key), input="", method="")
            units.append(Unit("cell", key, planned.fingerprint, key.method, chosen.get((key.method, setting), 0)))
            if cell_state(self.layout, planned) != "absent":  # a hole that is tried again must not count as finished
                forget(self.layout, key)
        self.reporter.say(
            f"{self.config.name}: {len(plan.cells)} cells, {len(units)} of them to do with "
            f"{self.executor.workers} worker{'s' if self.executor.workers > 1 else ''}"
        )
        for outcome in self._outcomes(context, self._batched(units, self.shown), "cells"):
            if outcome.hole and not outcome.written and not outcome.disk:
                planned = pending[outcome.unit.key]
                if cell_state(self.layout, planned) != "done":
                    self._hole(planned, outcome.hole, retry=True)

    def _outcomes(self, context: Context, batches: Sequence[Batch], label: str) -> Iterator[Outcome]:
        """Outcomes as they come; gives up where the disk stays full."""
        if not batches or self.full >= DISK_PATIENCE:
            return
        total = sum(len(batch.units) for batch in batches)
        split = batches_of(batches, self.executor.workers)
        with closing(_generator(self.executor.run(context, split))) as running:
            for outcome in self.reporter.track(running, total=total, label=label):
                self.full = self.full + 1 if outcome.disk else 0
                if outcome.hole:
                    self._problem(outcome.unit.name, outcome.hole)
                yield outcome
                if self.full >= DISK_PATIENCE:
                    self.reporter.warn("the disk is full: nothing more is computed; free some space and run it again")
                    return

    def _batched(self, units: Sequence[Unit], inputs: Iterable[Source]) -> list[Batch]:
        """Units of one input under one mask together, in the order of the plan."""
        by_name = {source.name: source for source in inputs}
        groups: dict[tuple[str, str], list[Unit]] = {}
        for unit in units:
            groups.setdefault((unit.key.input, unit.key.mask_name), []).append(unit)
        return [Batch(by_name[name], tuple(group)) for (name, _), group in groups.items()]

    def _fitting(self, prepared: Iterable[Prepared]) -> int:
        wanted = self.executor.workers
        if wanted == 1 or self.options.scheduler is not None:
            return wanted
        each = worker_bytes(self.config, prepared)
        return fitting_workers(wanted, threads=self.config.threads, bytes_each=each, reporter=self.reporter)

    def _hole(self, planned: PlannedCell, reason: str, *, retry: bool) -> None:
        self.problems[planned.key.name] = reason
        try:
            write_hole(self.layout, planned.key, planned.fingerprint, reason, retry=retry)
        except OutputError as error:
            self.problems[planned.key.name] = f"{reason}; {error}"

    def _problem(self, name: str, reason: str) -> None:
        self.problems[name] = reason
        self.reporter.warn(f"{name}: {reason}")


def _executor(config: StudyConfig, options: StudyOptions, reporter: Reporter) -> Executor:
    if options.scheduler is not None:
        from mrirecon.jobs.study.dask_cluster import connect

        return connect(options.scheduler, workers=options.workers, threads=config.threads, reporter=reporter)
    workers = options.workers
    if workers > 1:
        workers = fitting_workers(workers, threads=config.threads, bytes_each=_PREPARATION_BYTES, reporter=reporter)
    return Processes(workers, config.threads) if workers > 1 else InProcess(config.threads)


def _refuse_shared_subjects(plan: Plan) -> None:
    """`ConfigError` if something is tuned on what is shown."""
    shown = {plan.prepared[s.name].record.sha256: s.name for s in plan.shown if s.name in plan.prepared}
    for source in plan.tuning:
        if source.name in plan.prepared and plan.prepared[source.name].record.sha256 in shown:
            name = shown[plan.prepared[source.name].record.sha256]
            raise ConfigError(f"`tuning.inputs`: {source.name} is the same file as the input {name}; tune on others")


def _scrubbed(value: Any) -> Any:
    """A configuration without folders of this machine."""
    if isinstance(value, dict):
        return {key: _scrubbed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_scrubbed(entry) for entry in value]
    return without_paths(value, keep_name=True) if isinstance(value, str) else value


def _generator(outcomes: Iterator[Outcome]) -> Any:
    """The same, which can be closed."""
    yield from outcomes
