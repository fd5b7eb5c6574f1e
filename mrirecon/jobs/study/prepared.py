"""What is found once per input and kept: the way from raw samples to prepared k-space, and the reference."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.evaluation.study.layout import Layout
from mrirecon.evaluation.study.records import InputRecord, Row
from mrirecon.io.atomic import atomic_file
from mrirecon.metrics.regions import Region
from mrirecon.mri.mask_card import PhaseEncodingAxis
from mrirecon.records import to_mapping

VERSION = 2
"""Raised when inputs prepared by earlier versions of the program are not to be reused."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """Everything about an input that its cells need beside the samples.

    Parameters
    ----------
    record
        For the report.
    identity
        Of what it was made from; another one makes it outdated.
    grid
        Rows and columns of k-space.
    axis
        Phase encoding of `grid`.
    acquired
        Samples that exist, bool (rows or 1, columns or 1).
    sigma
        Noise of the prepared k-space per real component, 0 where it is unknown.
    coil_matrix
        (virtual coil, coil): whitening and compression; None where k-space is used as it is.
    regions
        Where images are scored on their own, on the grid of the chosen slices.
    beside
        SHA-256 of further files by what they are for.
    """

    record: InputRecord
    identity: str
    grid: tuple[int, int]
    axis: PhaseEncodingAxis
    acquired: Tensor
    sigma: float
    coil_matrix: Tensor | None = None
    regions: tuple[Region, ...] = ()
    beside: dict[str, str] | None = None


class Planes(Protocol):
    """Prepared k-space and finished images of one input, slice by slice; `place` counts the chosen slices."""

    def kspace(self, place: int) -> Tensor:
        """All acquired samples (coil, rows, columns) with noise of `Prepared.sigma`, zero elsewhere."""

    def maps(self, place: int, kspace: Tensor) -> Tensor | None:
        """Measured sensitivities (coil, rows, columns); None where they must be estimated from calibration lines."""

    def finished(self, image: Tensor) -> Tensor:
        """A complex image (..., rows, columns) on the matrix of the record."""


def save_prepared(layout: Layout, prepared: Prepared, reference: NDArray[np.float32] | None) -> None:
    """Write input, reference and record; the record last, so that it stands for all of them."""
    record = prepared.record
    facts = {
        "version": VERSION,
        "identity": prepared.identity,
        "grid": list(prepared.grid),
        "axis": prepared.axis,
        "sigma": prepared.sigma,
        "regions": [region.name for region in prepared.regions],
        "beside": prepared.beside or {},
    }
    arrays: dict[str, NDArray[Any]] = {"facts": np.array(json.dumps(facts)), "acquired": prepared.acquired.numpy()}
    if prepared.coil_matrix is not None:
        arrays["coil_matrix"] = prepared.coil_matrix.numpy()
    for number, region in enumerate(prepared.regions):
        arrays[f"region_{number}"] = np.packbits(region.mask)
    if reference is None:
        layout.reference(record.name).unlink(missing_ok=True)
    else:
        write_array(layout.reference(record.name), reference)
    with atomic_file(_path(layout, record.name), overwrite=True) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    with atomic_file(layout.input(record.name), overwrite=True) as temporary:
        temporary.write_text(json.dumps(to_mapping(record), indent=1) + "\n", encoding="utf-8")


def load_prepared(layout: Layout, record: InputRecord) -> Prepared | None:
    """The input as it was kept; None if it is absent, damaged or of another version."""
    try:
        with np.load(_path(layout, record.name), allow_pickle=False) as file:
            facts = json.loads(str(file["facts"]))
            if facts["version"] != VERSION:
                return None
            shape = (len(record.slices), *record.matrix)
            regions = tuple(
                Region(name, np.unpackbits(file[f"region_{i}"], count=int(np.prod(shape))).reshape(shape).astype(bool))
                for i, name in enumerate(facts["regions"])
            )
            return Prepared(
                record=record,
                identity=facts["identity"],
                grid=(facts["grid"][0], facts["grid"][1]),
                axis=facts["axis"],
                acquired=torch.from_numpy(file["acquired"]),
                sigma=facts["sigma"],
                coil_matrix=torch.from_numpy(file["coil_matrix"]) if "coil_matrix" in file else None,
                regions=regions,
                beside=facts["beside"],
            )
    except (OSError, ValueError, KeyError, EOFError):
        return None


def affine_of(affine: NDArray[np.float64], order: tuple[int, int, int], first: int) -> tuple[Row, Row, Row, Row]:
    """Columns x, y, z and position of the first chosen slice, from those of `Geometry`."""
    slices, rows, columns = (affine[:, axis] for axis in order)
    position = affine[:, 3] + first * slices
    made = np.stack([columns, rows, slices, position], axis=1)
    rows_of: list[Row] = [(float(a), float(b), float(c), float(d)) for a, b, c, d in made]
    return rows_of[0], rows_of[1], rows_of[2], rows_of[3]


def write_array(path: Path, values: NDArray[Any]) -> None:
    """An ``.npy`` file, complete or absent."""
    with atomic_file(path, overwrite=True) as temporary, temporary.open("wb") as file:
        np.save(file, values)


def _path(layout: Layout, name: str) -> Path:
    return layout.inputs / f"{name}.npz"
