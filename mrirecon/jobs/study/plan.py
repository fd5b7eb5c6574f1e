"""What a study consists of: every cell with the fingerprint of what decides it, masks, and tuning cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from mrirecon.config.study_schema import MaskGrid, ScanInput, SimulatedInput, StudyConfig
from mrirecon.errors import ConfigError, MrireconError
from mrirecon.evaluation.cells import fingerprint
from mrirecon.evaluation.method_choices import DnCNNPeer, Learned, MethodChoice, candidates
from mrirecon.evaluation.methods import checkpoint_of
from mrirecon.evaluation.study.records import ACQUIRED, CellKey, MaskRecord
from mrirecon.evaluation.study.results import PlannedCell
from mrirecon.jobs.study.context import Unit
from mrirecon.jobs.study.prepared import Prepared
from mrirecon.jobs.study.sources import Source
from mrirecon.mri.mask_card import PhaseEncodingAxis, mask_sha256
from mrirecon.mri.masks import sampling_mask
from mrirecon.records import to_mapping
from mrirecon.training.card import read_card
from mrirecon.training.checkpoint import find_checkpoint

ENGINE = 1
"""Raised when cells of earlier versions of the program are not to be reused."""


@dataclass(frozen=True, eq=False)
class DrawnMask:
    """A mask (rows or 1, columns or 1) and its record, or why it cannot be drawn."""

    mask: Tensor | None
    record: MaskRecord
    hole: str = ""


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that is to be done.

    Parameters
    ----------
    config
        Of the study.
    shown, tuning
        Inputs by name, in order.
    prepared
        Those that could be read.
    lpips
        Checksum of the LPIPS backbone, empty without.
    """

    config: StudyConfig
    shown: tuple[Source, ...]
    tuning: tuple[Source, ...]
    prepared: Mapping[str, Prepared]
    lpips: str = ""
    _masks: dict[CellKey, DrawnMask] = field(default_factory=dict, repr=False)
    _weights: dict[str, str] = field(default_factory=dict, repr=False)

    @cached_property
    def cells(self) -> tuple[PlannedCell, ...]:
        """All cells of the shown inputs: input by input, mask by mask, method by method."""
        return tuple(
            PlannedCell(replace(key, method=name), self.cell_fingerprint(source, key, name))
            for source in self.shown
            for key in self.mask_keys(source)
            for name in self.config.methods
        )

    def mask_keys(self, source: Source) -> Iterator[CellKey]:
        """The masks of an input, as keys without a method."""
        found = self.prepared.get(source.name)
        if found is not None and not found.record.fully_sampled:
            acceleration = round(_acceleration(found.acquired, found.grid, found.axis), 2)
            yield CellKey(source.name, ACQUIRED, acceleration, 0, "")
            return
        if found is None and isinstance(source.choice, ScanInput) and source.choice.sampled == "undersampled":
            yield CellKey(source.name, ACQUIRED, 1.0, 0, "")
            return
        masks = self.config.masks
        for kind in masks.kinds:
            for acceleration in masks.accelerations:
                for seed in masks.seeds:
                    yield CellKey(source.name, kind, acceleration, seed, "")

    def mask(self, key: CellKey) -> DrawnMask:
        """The mask of a cell whose input could be read."""
        key = replace(key, method="")
        if key not in self._masks:
            self._masks[key] = drawn_mask(self.prepared[key.input], self.config.masks, key, self.config.seed)
        return self._masks[key]

    def tuning_units(self, name: str, key: CellKey) -> tuple[tuple[Unit, ...], ...]:
        """For every candidate of a method what is run on the tuning inputs under the mask of a setting."""
        choice = self.config.methods[name]
        setting = self.tuned_as(key)
        return tuple(
            tuple(
                Unit("tuning", each, self._digest(source, each, option), name, number)
                for source in self._tuning_inputs(choice)
                for each in (replace(setting, input=source.name, method=f"{name}-{number}"),)
            )
            for number, option in enumerate(candidates(choice))
        )

    def tuned_as(self, key: CellKey) -> CellKey:
        """The setting whose tuning cases choose the parameters of a cell; for acquired masks the most alike."""
        masks = self.config.masks
        if key.mask != ACQUIRED:
            return replace(key, seed=masks.seeds[0])
        nearest = min(masks.accelerations, key=lambda value: abs(value - key.acceleration))
        return replace(key, mask=masks.kinds[0], acceleration=nearest, seed=masks.seeds[0])

    def cell_fingerprint(self, source: Source, key: CellKey, name: str) -> str:
        """Of everything that decides a cell; empty while its input was not read."""
        if source.name not in self.prepared:
            return ""
        choice = self.config.methods[name]
        searched: list[str] = []
        if len(candidates(choice)) > 1:
            searched = [unit.fingerprint for units in self.tuning_units(name, key) for unit in units]
            searched.append("" if self.config.tuning is None else self.config.tuning.metric)
        return fingerprint(self._digest(source, key, choice), searched)

    def weights(self, choice: MethodChoice, key: CellKey) -> str:
        """Checksum of the weights of a method, as its card says; empty without, or where they are absent."""
        if isinstance(choice, DnCNNPeer) or not isinstance(choice, Learned):
            return ""
        name = checkpoint_of(choice.checkpoint, key.setting, key.mask)
        if name is None:
            return ""
        if name not in self._weights:
            try:
                self._weights[name] = read_card(find_checkpoint(name).with_suffix(".json")).weights_sha256
            except MrireconError:
                self._weights[name] = ""
        return self._weights[name]

    def _tuning_inputs(self, choice: MethodChoice) -> Sequence[Source]:
        """Complete tuning inputs that could be read; at most `tune_on` of them, evenly spaced."""
        complete = [s for s in self.tuning if s.name in self.prepared and self.prepared[s.name].record.fully_sampled]
        limit = getattr(choice, "tune_on", 0) or len(complete)
        return complete[:: max(1, -(-len(complete) // limit))] if complete else ()

    def _digest(self, source: Source, key: CellKey, choice: MethodChoice) -> str:
        prepared, config = self.prepared[source.name], self.config
        drawn = self.mask(key)
        return fingerprint(
            ENGINE,
            identity_of(source, prepared),
            config.reference,
            drawn.hole if drawn.mask is None else mask_sha256(drawn.mask),
            to_mapping(choice),
            self.weights(choice, key),
            to_mapping(config.metrics),
            self.lpips,
            config.precision,
            config.threads,
            config.seed,
        )


def identity_of(source: Source, prepared: Prepared) -> dict[str, Any]:
    """What decides the data of an input, whatever its files are called."""
    choice = source.choice
    named = ("files", "labels", "boxes", "coil_reference", "subject", "slices")
    options = {f.name: getattr(choice, f.name) for f in fields(choice) if f.name not in named}
    if isinstance(choice, ScanInput) and choice.labels is not None:
        options["label_names"] = choice.labels.names
    return {
        **options,
        "sha256": prepared.record.sha256,
        "slices": list(prepared.record.slices),
        "beside": prepared.beside or {},
        "number": source.number,
        "subject": source.subject if isinstance(choice, SimulatedInput) else "",  # its phase and noise depend on it
    }


def drawn_mask(prepared: Prepared, masks: MaskGrid, key: CellKey, seed: int) -> DrawnMask:
    """The mask of a key on the grid of an input, restricted to what was acquired."""
    if key.mask == ACQUIRED:
        effective = _acceleration(prepared.acquired, prepared.grid, prepared.axis)
        card = {"shape": list(prepared.grid), "sha256": mask_sha256(prepared.acquired)}
        return DrawnMask(
            prepared.acquired, MaskRecord(key.input, ACQUIRED, key.acceleration, 0, effective, card, prospective=True)
        )
    axis: PhaseEncodingAxis = prepared.axis
    if key.mask == "poisson-disc":
        axis = "yx"
    elif axis == "yx":  # lines over a plane of two phase encodings run along its rows
        axis = "x"
    length = {"y": prepared.grid[0], "x": prepared.grid[1], "yx": min(prepared.grid)}[axis]
    centre = masks.centre_of(key.acceleration)
    try:
        drawn = sampling_mask(
            key.mask,
            prepared.grid,
            acceleration=key.acceleration,
            phase_encoding_axis=axis,
            seed=crc32(f"{seed}/{key.input}/{key.seed}".encode()),
            centre_lines=min(length, max(masks.min_centre_lines, round(centre * length))),
            acquired=None if bool(prepared.acquired.all()) else prepared.acquired.expand(prepared.grid),
        )
    except ConfigError as error:
        record = MaskRecord(key.input, key.mask, key.acceleration, key.seed, key.acceleration)
        return DrawnMask(None, record, f"the mask cannot be drawn: {error}")
    record = MaskRecord(
        key.input, key.mask, key.acceleration, key.seed, drawn.card.effective_acceleration, drawn.card.to_dict()
    )
    return DrawnMask(drawn.mask, record)


def full_mask(drawn: DrawnMask, prepared: Prepared) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Sampled points (ky, kx)."""
    mask = torch.zeros(1, 1, dtype=torch.bool) if drawn.mask is None else drawn.mask
    return mask.expand(prepared.grid).numpy().copy()


def _acceleration(acquired: Tensor, grid: tuple[int, int], axis: PhaseEncodingAxis) -> float:
    full = acquired.expand(grid)
    sampled = {"x": full.any(dim=0), "y": full.any(dim=1), "yx": full}[axis]
    return sampled.numel() / max(1, int(sampled.sum()))
