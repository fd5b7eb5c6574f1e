"""Calibration of the standard deviation maps of a checkpoint: samples on two sets of slices, one factor, one plot."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zlib import crc32

import torch

from mrirecon.data.volumes import data_root
from mrirecon.errors import ConfigError
from mrirecon.evaluation.cells import Cell, CellStore, fingerprint
from mrirecon.evaluation.method_choices import UnfoldedSampling
from mrirecon.evaluation.methods import Hole, LoadNetwork, build_method
from mrirecon.evaluation.plots import write_uncertainty_plot
from mrirecon.evaluation.problems import Case, limited
from mrirecon.evaluation.scores import score
from mrirecon.evaluation.uncertainty import SpreadAndError, spread_and_error, uncertainty_report
from mrirecon.io.atomic import atomic_file
from mrirecon.jobs.compare import CompareOptions, Problems, cases_of
from mrirecon.jobs.method_networks import network_loader
from mrirecon.jobs.reporting import Reporter
from mrirecon.networks.base import Precision
from mrirecon.records import from_mapping, load_yaml, to_mapping


@dataclass(frozen=True)
class UncertaintyConfig:
    """A calibration.

    Parameters
    ----------
    name
        Title of the plot.
    calibration, validation
        Where the factor comes from, and where it is tried: different people.
    method
        The sampler; at least two samples, over several steps.
    level
        Nominal coverage.
    precision
        Of the network.
    seed
        Of the sampler.
    """

    name: str
    calibration: Problems
    validation: Problems
    method: UnfoldedSampling
    level: float = 0.9
    precision: Precision = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method.samples < 2 or self.method.sampling.steps < 2:
            raise ConfigError(
                f"uncertainty needs at least two samples over at least two steps, got {self.method.samples} and "
                f"{self.method.sampling.steps}"
            )
        if self.calibration.split == self.validation.split and set(self.calibration.specs) & set(self.validation.specs):
            raise ConfigError("`calibration` and `validation` must not share a collection and split")


def load_uncertainty_config(path: str | Path) -> UncertaintyConfig:
    """A calibration from a YAML file; `ConfigError` names file and dotted key."""
    try:
        return from_mapping(UncertaintyConfig, load_yaml(path))
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def calibrate_uncertainty(
    config: UncertaintyConfig, checkpoint: str, out: Path, options: CompareOptions, reporter: Reporter
) -> dict[str, Any]:
    """Sample, compare spread with error, and write ``uncertainty.json`` and ``uncertainty.png`` into `out`.

    Parameters
    ----------
    checkpoint
        Of the model, in place of the configuration's.
    options
        `methods` and `lpips` are not used.

    Returns
    -------
        What the JSON file holds: the report (see `uncertainty_report`), the model and how it was sampled.

    Raises
    ------
    ConfigError
        If there is no such checkpoint.
    """
    root = data_root(options.data)
    choice = replace(config.method, checkpoint=checkpoint)
    load = network_loader(config.precision, options.device)
    network = load(checkpoint)
    if isinstance(network, Hole):
        raise ConfigError(f"{network.reason}; train one or name another with --checkpoint")
    store = CellStore(out / "cells")
    sets: list[list[SpreadAndError]] = []
    for problems in (config.calibration, config.validation):
        cases = limited(cases_of(problems, options.specs, root), options.limit)
        label = f"{config.name}, {problems.split}"
        sets.append(
            [
                _sampled(case, choice, load, store, root, config, options.device)
                for case in reporter.track(cases, total=len(cases), label=label)
            ]
        )
    report = {
        "checkpoint_sha256": network.sha256,
        "sampling": to_mapping(config.method.sampling),
        "samples": config.method.samples,
        **uncertainty_report(sets[0], sets[1], level=config.level),
    }
    with atomic_file(out / "uncertainty.json", overwrite=True) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    write_uncertainty_plot(out / "uncertainty.png", report, title=config.name)
    return report


def _sampled(
    case: Case,
    choice: UnfoldedSampling,
    load: LoadNetwork,
    store: CellStore,
    root: Path,
    config: UncertaintyConfig,
    device: str,
) -> SpreadAndError:
    """Spread and error of one case, from disk if it was sampled before."""
    method = build_method(choice, setting=case.setting, family=case.family, load=load, root=root)
    if isinstance(method, Hole):
        raise ConfigError(f"{case.name}: {method.reason}")
    digest = fingerprint(case.identity, to_mapping(choice), method.identity, config.precision, config.seed)
    known = store.get(case.name, "spread", digest)
    values = None if known is None else store.picture(case.name, "spread")
    if values is not None:
        return SpreadAndError(case.subject, case.setting, values[0], values[1])
    problem = case.make().to(device)
    generator = torch.Generator().manual_seed(crc32(f"{config.seed}/{case.name}".encode()))
    result = method.reconstructor(problem.data, problem.model, generator=generator)
    found = spread_and_error(problem, result, subject=case.subject, setting=case.setting)
    reached = score(problem, problem.compared(result.image).cpu())
    cell = Cell(case.name, case.subject, case.setting, "spread", digest, reached.psnr_db, reached.ssim)
    store.put(cell, torch.stack([found.error, found.std]))
    return found
