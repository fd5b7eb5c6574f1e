"""Calibration of the shift alarm of a checkpoint: what usual scans score, and what it finds of others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch

from mrirecon.config.build_unfolded import build_unfolded
from mrirecon.config.schema import Unfolded
from mrirecon.data.mri_examples import MRISimulation
from mrirecon.data.volumes import data_root
from mrirecon.diffusion.conditional import ConditionalDenoiser
from mrirecon.errors import ConfigError
from mrirecon.evaluation.shift_groups import ShiftGroup, ShiftScan, measured_scans, simulated_scans
from mrirecon.evaluation.shift_profile import ShiftProfile, shift_profile, stacked
from mrirecon.evaluation.statistics.separation import auroc, auroc_interval
from mrirecon.evaluation.undersampling import MRISetting
from mrirecon.io.atomic import atomic_file
from mrirecon.jobs.reporting import Reporter
from mrirecon.metrics.feature_model import FeatureModel, Floats
from mrirecon.networks.base import Precision
from mrirecon.records import load_record, to_mapping
from mrirecon.training.shift_card import ShiftCard, ShiftSeparation, covariates, shift_score


@dataclass(frozen=True)
class ShiftConfig:
    """A calibration.

    Parameters
    ----------
    name
        For the report.
    fitted
        Scans that the distribution of the features is fitted to; the people of the training will do.
    usual
        Scans that the threshold comes from; people that the weights have not seen.
    shifted
        Scans that the alarm should find.
    simulation
        How all of these are made.
    measured_usual, measured_shifted
        Measured data as they are.
    settings, min_centre_lines
        Their masks.
    levels, bands
        Of the profiles.
    false_alarm_rate
        Of usual scans.
    field_strength_t
        Range of the images behind the weights and the calibration; null if it is not known.
    precision, seed
        Of the network, and of all draws.
    """

    name: str
    fitted: ShiftGroup
    usual: tuple[ShiftGroup, ...]
    shifted: tuple[ShiftGroup, ...]
    simulation: MRISimulation
    measured_usual: tuple[ShiftGroup, ...] = ()
    measured_shifted: tuple[ShiftGroup, ...] = ()
    settings: tuple[MRISetting, ...] = (MRISetting(),)
    min_centre_lines: int = 8
    levels: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    bands: tuple[float, ...] = (0.06, 0.15, 0.3, 0.5, 0.8)
    false_alarm_rate: float = 0.05
    field_strength_t: tuple[float, float] | None = None
    precision: Precision = "fp32"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.false_alarm_rate < 0.5:
            raise ConfigError(f"`false_alarm_rate` must lie between 0 and 0.5, got {self.false_alarm_rate}")
        fitted = {(name, self.fitted.split) for name in self.fitted.specs}
        shared = sorted(name for name, split in _parts(self.usual) if (name, split) in fitted)
        if shared or not self.usual:
            raise ConfigError(f"`usual` must name people, and others than `fitted`; both name {shared}")


@dataclass(frozen=True)
class Profiled:
    """The profile of a scan and whose it is."""

    group: str
    subject: str
    profile: ShiftProfile


@dataclass(frozen=True)
class ShiftCalibration:
    """What a calibration found.

    Parameters
    ----------
    card
        For the model card.
    measured
        The same separations for measured data as they are, against the simulated usual scans.
    false_alarms
        Share of each usual subject above the threshold that the other subjects give.
    measured_false_alarms
        Share of measured usual scans above the threshold.
    """

    card: ShiftCard
    measured: tuple[ShiftSeparation, ...]
    false_alarms: dict[str, float] = field(default_factory=dict)
    measured_false_alarms: dict[str, float] = field(default_factory=dict)


def load_shift_config(path: str | Path) -> ShiftConfig:
    """A calibration from a YAML file; `ConfigError` names file and dotted key."""
    return load_record(ShiftConfig, path)


def calibrate_shift(
    config: ShiftConfig,
    checkpoint: str | Path,
    out: Path,
    reporter: Reporter,
    *,
    specs: Path,
    root: str | Path | None,
    command: str,
    device: str = "cpu",
) -> ShiftCalibration:
    """Profile all scans, fit, choose the threshold, and write ``shift.json`` and ``profiles.json`` into `out`.

    Raises
    ------
    ConfigError
        If there is no such checkpoint, or the weights were trained on the people of the threshold.
    """
    folder = data_root(root)
    trained = build_unfolded(Unfolded(Path(checkpoint), precision=config.precision), image="complex", device=device)
    seen = {(data.name, data.split) for data in trained.card.data}
    both = sorted(name for name, split in _parts(config.usual) if (name, split) in seen)
    if both:
        raise ConfigError(f"{trained.card.name} was trained on {both}, which cannot give its threshold")

    def profiled(scans: Iterable[ShiftScan], label: str, total: int) -> list[Profiled]:
        return [
            _profiled(scan, number, trained.conditional, config, device)
            for number, scan in enumerate(reporter.track(scans, total=total, label=label))
        ]

    def simulated(group: ShiftGroup) -> list[Profiled]:
        scans = simulated_scans(group, config.simulation, specs=specs, root=folder, seed=config.seed)
        return profiled(scans, group.name, group.scans * len(group.specs))

    def measured(groups: tuple[ShiftGroup, ...]) -> list[Profiled]:
        found: list[Profiled] = []
        for group in groups:
            scans = measured_scans(
                group,
                config.settings,
                specs=specs,
                root=folder,
                min_centre_lines=config.min_centre_lines,
                seed=config.seed,
            )
            found += profiled(scans, f"{group.name}, measured", group.scans * len(group.specs))
        return found

    sets = {
        "fitted": simulated(config.fitted),
        "usual": [scan for group in config.usual for scan in simulated(group)],
        "shifted": [scan for group in config.shifted for scan in simulated(group)],
        "measured_usual": measured(config.measured_usual),
        "measured_shifted": measured(config.measured_shifted),
    }
    calibration = shift_calibration(config, sets, command=command)
    content: dict[str, Any] = {
        "checkpoint_sha256": trained.card.weights_sha256,
        "config": to_mapping(config),
        **to_mapping(calibration),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, value in (("shift.json", content), ("profiles.json", to_mapping(sets))):
        with atomic_file(out / name, overwrite=True) as temporary:
            temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    return calibration


def shift_calibration(config: ShiftConfig, sets: Mapping[str, list[Profiled]], *, command: str) -> ShiftCalibration:
    """The calibration that five sets of profiles give, named as in `calibrate_shift`."""
    usual, measured_usual = sets["usual"], sets["measured_usual"]
    features, *given = stacked([scan.profile for scan in sets["fitted"]])
    model = FeatureModel.fit(features, covariates(*given))

    def scores(scans: list[Profiled]) -> Floats:
        return shift_score(model, *stacked([scan.profile for scan in scans]))

    level, base = 1 - config.false_alarm_rate, scores(usual)
    threshold = _upper_quantile(base, level)
    subjects = list(dict.fromkeys(scan.subject for scan in usual))
    false_alarms: dict[str, float] = {}
    for subject in subjects:
        own = np.array([scan.subject == subject for scan in usual])
        if own.all():
            break
        false_alarms[subject] = float((base[own] > _upper_quantile(base[~own], level)).mean())

    def separations(scans: list[Profiled]) -> tuple[ShiftSeparation, ...]:
        found = []
        for group in dict.fromkeys(scan.group for scan in scans):
            some = [scan for scan in scans if scan.group == group]
            values = scores(some)
            low, high = auroc_interval(base, values, seed=config.seed)
            n_subjects = len({scan.subject for scan in some})
            detected = float((values > threshold).mean())
            found.append(ShiftSeparation(group, auroc(base, values), low, high, detected, len(some), n_subjects))
        return tuple(found)

    contrasts = [scan.profile.contrast for scan in usual]
    card = ShiftCard(
        levels=config.levels,
        bands=config.bands,
        usual=model,
        threshold=round(threshold, 4),
        false_alarm_rate=config.false_alarm_rate,
        scores=tuple(sorted(round(float(value), 4) for value in base)),
        subjects=tuple(subjects),
        contrast=(round(min(contrasts), 3), round(max(contrasts), 3)),
        field_strength_t=config.field_strength_t,
        separations=separations(sets["shifted"]),
        command=command,
    )
    alarms = {
        group: float(np.mean(scores([scan for scan in measured_usual if scan.group == group]) > threshold))
        for group in dict.fromkeys(scan.group for scan in measured_usual)
    }
    return ShiftCalibration(card, separations(sets["measured_shifted"]), false_alarms, alarms)


def _parts(groups: tuple[ShiftGroup, ...]) -> list[tuple[str, str]]:
    return [(name, group.split) for group in groups for name in group.specs]


def _profiled(
    scan: ShiftScan, number: int, conditional: ConditionalDenoiser, config: ShiftConfig, device: str
) -> Profiled:
    seed = crc32(f"{config.seed}/{scan.group}/{scan.subject}/{number}".encode())
    profile = shift_profile(
        conditional,
        scan.y.to(device),
        scan.operator.to(device),
        sigma=scan.sigma,
        levels=config.levels,
        bands=config.bands,
        generator=torch.Generator().manual_seed(seed),
    )
    return Profiled(scan.group, scan.subject, profile)


def _upper_quantile(values: Floats, level: float) -> float:
    """The smallest value that a new one from the same distribution stays below with at least this probability."""
    rank = min(len(values), int(np.ceil((len(values) + 1) * level)))
    return float(np.sort(values)[rank - 1])
