"""What the reader study takes from an acceleration study: which series there are, their grid, their pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import FormatError, GeometryError
from mrirecon.evaluation.readers.choice import ShownSeries
from mrirecon.evaluation.readers.export import ReaderInput
from mrirecon.evaluation.readers.options import REFERENCE
from mrirecon.evaluation.study.records import InputRecord
from mrirecon.evaluation.study.results import StudyResults
from mrirecon.records import from_mapping
from mrirecon.scan import Derivation, Geometry, ImageSeries, Protocol, Subject

Volume = NDArray[np.float32]
_UNKNOWN_VOXEL = (1.0, 1.0, 1.0)


def series_of_study(study: StudyResults) -> tuple[list[ShownSeries], list[ShownSeries]]:
    """Every finished cell, and the reference of every input that has one."""
    finished = []
    for cell in study.cells:
        key = cell.key
        if not cell.hole:
            subject = study.inputs[key.input].subject
            finished.append(ShownSeries(key.input, subject, key.mask, key.acceleration, key.seed, key.method))
    references = [
        ShownSeries(name, record.subject, "", 1.0, 0, REFERENCE)
        for name, record in study.inputs.items()
        if study.reference(name) is not None
    ]
    return finished, references


def shown_image(study: StudyResults, shown: ShownSeries) -> Volume:
    """The volume (z, y, x) of a series."""
    if shown.method != REFERENCE:
        return study.image(shown.cell)
    reference = study.reference(shown.input)
    if reference is None:
        raise FormatError(study.folder, f"the reference of {shown.input} is gone; run the study again")
    return reference


def reader_input(record: InputRecord, reference: Volume | None, *, n_slices: int) -> ReaderInput:
    """Grid, protocol and reference of an input.

    Parameters
    ----------
    n_slices
        Of the reconstructed volumes.
    """
    shape = (n_slices, *record.matrix)
    offsets = _offsets(record.slices)
    template = ImageSeries(
        image=np.zeros(shape, dtype=np.float32),
        geometry=_geometry(record, shape),
        protocol=_protocol(record.protocol),
        subject=Subject(record.name),
        derivation=Derivation("", "", {}, "", "iterative", record.kind == "simulated"),
        description="",
    )
    return ReaderInput(template, reference, offsets)


def _offsets(slices: Sequence[int]) -> tuple[int, ...]:
    """Places of the slices from the first; 0, 1, 2 ... if they do not ascend."""
    if not slices or list(slices) != sorted(set(slices)):
        return tuple(range(len(slices)))
    return tuple(index - slices[0] for index in slices)


def _geometry(record: InputRecord, shape: tuple[int, int, int]) -> Geometry:
    """The study's columns run x, y, z; those of `Geometry` z, y, x."""
    voxel = record.voxel_size_mm or _UNKNOWN_VOXEL
    if record.affine_lps is not None:
        affine = np.array(record.affine_lps, dtype=np.float64)[:, [2, 1, 0, 3]]
        try:
            return Geometry(affine, slice_thickness_mm=voxel[0])
        except GeometryError as error:
            raise GeometryError(f"input {record.name}: {error}") from error
    return Geometry.placeholder(shape=shape, voxel_size_mm=voxel, slice_thickness_mm=voxel[0])


def _protocol(header: Mapping[str, Any]) -> Protocol:
    """The fields that are known under these names; anything else stays out."""
    known = {f.name for f in fields(Protocol)}
    return from_mapping(Protocol, {name: value for name, value in header.items() if name in known})
