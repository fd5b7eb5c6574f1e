"""Comparison of methods: configuration to tables, figures and pictures, going on where a run stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from mrirecon.data.volumes import data_root
from mrirecon.errors import ConfigError
from mrirecon.evaluation.cells import Cell, CellStore
from mrirecon.evaluation.comparison import Runner
from mrirecon.evaluation.measured_problems import MeasuredProblems, measured_cases
from mrirecon.evaluation.method_choices import MethodChoice, Source, with_checkpoint
from mrirecon.evaluation.mri_problems import MRIProblems, simulated_cases
from mrirecon.evaluation.panel import shown_cases, write_case_panel
from mrirecon.evaluation.photograph_problems import ImageProblems, photograph_cases
from mrirecon.evaluation.problems import Case, limited
from mrirecon.evaluation.scores import mri_definitions, picture_definitions
from mrirecon.evaluation.table import comparison_tables, write_csv
from mrirecon.evaluation.tuning import Search
from mrirecon.io.atomic import atomic_file
from mrirecon.jobs.method_networks import lpips_network, network_loader, perceptual_distance
from mrirecon.jobs.reporting import Reporter
from mrirecon.metrics.passport import MetricDefinition, describe
from mrirecon.metrics.perceptual import Lpips
from mrirecon.metrics.presets import lpips_like
from mrirecon.networks.base import Precision
from mrirecon.records import load_record

Problems = MRIProblems | ImageProblems

_MRI_HEADER = """\
All methods get the same data and the same ESPIRiT maps, estimated from the calibration lines of the undersampled data;
data are divided by a robust maximum found from them (`intensity_scale`), outside the timing. PSNR and SSIM are
fastMRI's definitions on the magnitude of single slices: data range = maximum of the reference slice, SSIM window
7 x 7; LPIPS: AlexNet, magnitude in the same range. Simulated data: reference = the true magnitude, 0 where every map is
0, whole slice. Measured data: reference = the coil combination of all lines with maps from their centre, itself noisy;
PSNR over the object (above a tenth of the maximum). Mean ± standard error over slices; slices of one subject are not
independent. Grids were searched by mean PSNR on training subjects, for each setting.
"""
_IMAGE_HEADER = """\
Images from -1 to 1, estimates clipped to that, data range 2, no borders left out; blur is periodic. Mean ± standard
error over pictures. Grids were searched by mean PSNR on training pictures, for each setting.
"""
_CROPPED = "Pictures larger than {crop} x {crop} are cut to their middle.\n"


@dataclass(frozen=True)
class CompareConfig:
    """A comparison.

    Parameters
    ----------
    name
        Title of the tables.
    problems
        What is shown.
    tuning
        What grids are searched on, with the same settings; of other people and pictures.
    methods
        By name, in the order of the tables.
    measured
        Measured scans that are shown as well.
    focus
        Method from which the paired distance of the others is shown.
    precision
        Of all networks.
    seed
        Of the samplers.
    search
        How grids are searched.
    """

    name: str
    problems: Problems
    methods: dict[str, MethodChoice]
    tuning: Problems | None = None
    measured: MeasuredProblems | None = None
    focus: str | None = None
    precision: Precision = "fp32"
    seed: int = 0
    search: Search = "grid"

    def __post_init__(self) -> None:
        if not self.methods or any(not n or set(n) & set("/\\") for n in self.methods):
            raise ConfigError(f"`methods` must have names fit for files, got {', '.join(self.methods) or 'none'}")
        if self.focus is not None and self.focus not in self.methods:
            raise ConfigError(f"`focus` must be one of the methods {', '.join(self.methods)}, got {self.focus!r}")
        tuned, shown = self.tuning, self.problems
        if tuned is not None and tuned.split == shown.split and set(tuned.specs) & set(shown.specs):
            raise ConfigError("`tuning` and `problems` must not share a collection and split")


@dataclass(frozen=True)
class CompareOptions:
    """How a comparison is run; nothing here changes a figure but `limit` and `lpips`.

    Parameters
    ----------
    data
        Root of the data; the variable MRIRECON_DATA when None.
    specs
        Folder of the data specifications.
    methods
        Names to run; all when empty.
    limit
        Slices per subject and setting.
    lpips
        File of the AlexNet features; the variable MRIRECON_LPIPS_BACKBONE when None.
    device
        Where methods compute.
    """

    data: Path | None
    specs: Path
    methods: tuple[str, ...] = ()
    limit: int | None = None
    lpips: Path | None = None
    device: str = "cpu"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out: the cells in order, and the tables as Markdown."""

    cells: tuple[Cell, ...]
    tables: str


def load_compare_config(path: str | Path) -> CompareConfig:
    """A comparison from a YAML file; `ConfigError` names file and dotted key."""
    return load_record(CompareConfig, path)


def with_checkpoints(config: CompareConfig, sources: Mapping[str, Source]) -> CompareConfig:
    """The configuration with other checkpoints for the named methods."""
    methods = dict(config.methods)
    for name, source in sources.items():
        if name not in methods:
            raise ConfigError(f"there is no method {name!r}; the configuration has {', '.join(methods)}")
        methods[name] = with_checkpoint(methods[name], source)
    return replace(config, methods=methods)


def run_comparison(config: CompareConfig, out: Path, options: CompareOptions, reporter: Reporter) -> Comparison:
    """Fill the table and write it.

    `out` gets ``table.md``, ``cells.csv``, ``panels/*.png`` (the middle slice of every subject and setting) and the
    cells themselves, from which a second run goes on. Methods whose checkpoint or file is absent are holes, and the
    table says why.

    Raises
    ------
    ConfigError
        If names do not fit.
    """
    unknown = [name for name in options.methods if name not in config.methods]
    if unknown:
        raise ConfigError(f"unknown methods {', '.join(unknown)}; the configuration has {', '.join(config.methods)}")
    chosen = {n: c for n, c in config.methods.items() if n in options.methods or not options.methods}
    root = data_root(options.data)
    cases = limited(cases_of(config.problems, options.specs, root), options.limit)
    if config.measured is not None:
        cases += limited(measured_cases(config.measured, options.specs, root), options.limit)
    tuning = () if config.tuning is None else limited(cases_of(config.tuning, options.specs, root), options.limit)
    store, lpips = CellStore(out / "cells"), lpips_network(options.lpips, reporter)
    runner = Runner(
        chosen,
        tuning,
        store,
        CellStore(out / "tuning"),
        network_loader(config.precision, options.device),
        root,
        perceptual=perceptual_distance(lpips),
        device=options.device,
        seed=config.seed,
        circumstances={"precision": config.precision},
        search=config.search,
    )
    shown = shown_cases(cases)
    total = len(cases) * len(chosen)
    cells = tuple(reporter.track(runner.run(cases, shown), total=total, label=config.name))
    for case in cases:
        if case.name in shown:
            write_case_panel(out / "panels" / f"{case.name.replace('/', '-')}.png", case, cells, store)
    write_csv(out / "cells.csv", cells)
    focus = config.focus if config.focus in chosen else None
    header = _MRI_HEADER if isinstance(config.problems, MRIProblems) else _IMAGE_HEADER
    if isinstance(config.problems, ImageProblems) and config.problems.crop is not None:
        header += _CROPPED.format(crop=config.problems.crop)
    machine = f"{options.device}, {torch.get_num_threads()} threads, networks in {config.precision}"
    meaning = "".join(f"- {describe(definition)}\n" for definition in stated_definitions(config, lpips))
    tables = (
        f"## {config.name}\n\n{header}Computed on: {machine}.\n\n{meaning}\n{comparison_tables(cells, focus=focus)}"
    )
    with atomic_file(out / "table.md", overwrite=True) as temporary:
        temporary.write_text(tables, encoding="utf-8")
    return Comparison(cells, tables)


def stated_definitions(config: CompareConfig, lpips: Lpips | None) -> tuple[MetricDefinition, ...]:
    """What the figures of a comparison's tables mean; of photographs LPIPS has no definition, it sees their colours."""
    if not isinstance(config.problems, MRIProblems):
        return picture_definitions()
    ratio, similarity = mri_definitions()
    measured = () if config.measured is None else (mri_definitions(inside_only=True)[0],)
    return (ratio, *measured, similarity, *(() if lpips is None else (lpips_like(similarity, lpips),)))


def cases_of(problems: Problems, specs: Path, root: Path) -> tuple[Case, ...]:
    """The cases of MRI or photographs."""
    if isinstance(problems, MRIProblems):
        return simulated_cases(problems, specs, root)
    return photograph_cases(problems, specs, root)
