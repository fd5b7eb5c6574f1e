"""Calibration of the standard deviation maps of a checkpoint: samples on two sets of slices, one factor, one plot."""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from mrirecon.evaluation.uncertainty import (
    SpreadAndError,
    require_other_subjects,
    spread_and_error,
    uncertainty_report,
)
from mrirecon.io.atomic import atomic_file
from mrirecon.jobs.compare import CompareOptions, Problems, cases_of
from mrirecon.jobs.method_networks import network_loader
from mrirecon.jobs.reporting import Reporter
from mrirecon.networks.base import Precision
from mrirecon.records import load_record, to_mapping
from mrirecon.training.card import Card, UncertaintyCard


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
    return load_record(UncertaintyConfig, path)


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
        If there is no such checkpoint, or somebody belongs to both sets; nothing has been sampled then.
    """
    root = data_root(options.data)
    choice = replace(config.method, checkpoint=checkpoint)
    load = network_loader(config.precision, options.device)
    network = load(checkpoint)
    if isinstance(network, Hole):
        raise ConfigError(f"{network.reason}; train one or name another with --checkpoint")
    problems = (config.calibration, config.validation)
    chosen = [limited(cases_of(some, options.specs, root), options.limit) for some in problems]
    require_other_subjects(
        *({_person(case, some) for case in cases} for some, cases in zip(problems, chosen, strict=True))
    )
    sets: list[list[SpreadAndError]] = []
    for folder, some, cases in zip(("cells-calibration", "cells"), problems, chosen, strict=True):
        store, label = CellStore(out / folder), f"{config.name}, {some.split}"
        sets.append(
            [
                replace(_sampled(case, choice, load, store, root, config, options.device), subject=_person(case, some))
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


def uncertainty_card(report: Mapping[str, Any], config: UncertaintyConfig, card: Card, command: str) -> UncertaintyCard:
    """The part of a report that belongs into the card of the checkpoint.

    Parameters
    ----------
    report
        Of `calibrate_uncertainty`.
    card
        Of the checkpoint.
    command
        What made the report.

    Raises
    ------
    ConfigError
        If the report is of other weights.
    """
    if report["checkpoint_sha256"] != card.weights_sha256:
        raise ConfigError(
            f"the calibration is of weights with SHA-256 {report['checkpoint_sha256']}, the card of {card.name!r} is "
            f"of {card.weights_sha256}; calibrate the checkpoint whose card is to be written"
        )
    trained_on = {(data.name, data.split) for data in card.data}
    return UncertaintyCard(
        level=report["level"],
        factor=report["factor"],
        coverage_before=report["coverage_before"],
        coverage_after=report["coverage_after"],
        slices=report["n_validation_slices"],
        subjects=tuple(report["validation_subjects"]),
        calibration_slices=report["n_calibration_slices"],
        calibration_subjects=tuple(report["calibration_subjects"]),
        trained_on_calibration=any((spec, config.calibration.split) in trained_on for spec in config.calibration.specs),
        steps=config.method.sampling.steps,
        samples=config.method.samples,
        sampler=config.method.method,
        command=command,
    )


def _person(case: Case, problems: Problems) -> str:
    """Of whom a case is: the splits of a collection are different people, whose volumes may bear the same name."""
    return f"{case.subject} ({problems.split})"


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
    stated = tuple(definition.identifier for definition in reached.definitions)
    cell = Cell(
        case.name, case.subject, case.setting, "spread", digest, reached.psnr_db, reached.ssim, definitions=stated
    )
    store.put(cell, torch.stack([found.error, found.std]))
    return found
