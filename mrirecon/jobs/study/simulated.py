"""Image volumes as inputs of a study: multi-coil k-space with noise is made from them, slice by slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.config.study_schema import SimulatedInput
from mrirecon.errors import ConfigError
from mrirecon.evaluation.mri_problems import chosen_slices, slice_stacks_with_geometry
from mrirecon.evaluation.study.records import InputRecord
from mrirecon.evaluation.undersampling import simulated_kspace
from mrirecon.jobs.data_check import find_spec
from mrirecon.jobs.study.prepared import Prepared, affine_of
from mrirecon.jobs.study.sources import Source


@dataclass(frozen=True, eq=False)
class SimulatedPlanes:
    """Slices to be simulated; see `prepared.Planes`."""

    choice: SimulatedInput
    subject: str
    slices: tuple[int, ...]
    magnitudes: NDArray[np.float32]

    def kspace(self, place: int) -> Tensor:
        return simulated_kspace(
            torch.from_numpy(self.magnitudes[place]),
            n_coils=self.choice.coils,
            coils=self.choice.family,
            sigma=self.choice.noise,
            seed=crc32(f"{self.choice.seed}/{self.subject}/{self.slices[place]}".encode()),
        )

    def maps(self, place: int, kspace: Tensor) -> Tensor | None:
        return None

    def finished(self, image: Tensor) -> Tensor:
        return image


def open_simulated(source: Source, prepared: Prepared, reference: NDArray[np.float32]) -> SimulatedPlanes:
    """The planes of an input that was prepared before; its reference is what they are made from."""
    choice = cast(SimulatedInput, source.choice)
    return SimulatedPlanes(choice, prepared.record.subject, prepared.record.slices, reference)


def prepare_simulated(
    source: Source, *, root: Path, specs: Path | None, reference: str, identity: str
) -> tuple[Prepared, NDArray[np.float32]]:
    """Read a volume once and choose its slices; the reference is the noise-free magnitude.

    Raises
    ------
    MrireconError
        If files are missing or damaged.
    """
    choice = cast(SimulatedInput, source.choice)
    spec = find_spec(choice.spec, specs=specs)
    stacks = slice_stacks_with_geometry(spec, choice.split, root)
    if source.number >= len(stacks):
        raise ConfigError(f"{spec.name} [{choice.split}] has {len(stacks)} volumes, number {source.number} is wanted")
    volume, geometry = stacks[source.number]
    slices = chosen_slices(volume, choice.slices)
    magnitudes = np.stack([magnitude.numpy() for _, magnitude in slices]).astype(np.float32)
    grid = (magnitudes.shape[1], magnitudes.shape[2])
    record = InputRecord(
        name=source.name,
        subject=source.subject,
        source=source.label,
        sha256=source.sha256(),
        kind="simulated",
        fully_sampled=True,
        slices=tuple(index for index, _ in slices),
        matrix=grid,
        coils=choice.coils,
        voxel_size_mm=geometry.voxel_size_mm,
        affine_lps=None if geometry.nominal else affine_of(geometry.affine, (0, 1, 2), slices[0][0]),
        protocol={"phase_encoding_axis": choice.phase_encoding, "dimensionality": "2D"},
        limits=(
            "The k-space was simulated from magnitude images; it is not a measurement: phase, coils "
            f"({choice.coils}, {choice.family}) and noise (sigma {choice.noise:g}) were drawn.",
            "The images went through a scanner's own reconstruction first (coil combination, filters, interpolation or "
            "zero-filling), so they are smoother than measured data and scores come out too good.",
            "The reference is free of noise; slices are scaled one by one to a 99th percentile of 1.",
        ),
        reference=reference,
    )
    prepared = Prepared(
        record=record,
        identity=identity,
        grid=grid,
        axis=choice.phase_encoding,
        acquired=torch.ones(1, 1, dtype=torch.bool),
        sigma=choice.noise,
    )
    return prepared, magnitudes
