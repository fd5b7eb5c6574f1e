"""Folders of results for the tests of the viewer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from mrirecon.io.dicom.series import write_dicom
from mrirecon.io.nifti.writer import write_nifti
from mrirecon.io.provenance import FileRecord, Provenance, geometry_record, write_provenance
from mrirecon.mri.masks import sampling_mask
from tests.io.phantom_series import Phantom, make_phantom

RAW = FileRecord("scan.h5", "ab" * 32, 1234)
FACTOR = 1e8
WARNING = "made with a neural network <b>not markup"


def write_study(folder: Path, *, factor: float = FACTOR, spread: bool = True, **phantom: object) -> Phantom:
    """What `recon` writes: NIfTI, optionally a standard deviation, and a record with a mask card."""
    made = make_phantom(**phantom)
    folder.mkdir(parents=True, exist_ok=True)
    write_nifti(made.series, folder / "image.nii.gz", factor=factor)
    if spread:
        write_nifti(spread_of(made), folder / "standard_deviation.nii.gz", factor=factor)
    write_provenance(folder / "provenance.json", record(made, factor))
    return made


def write_dicom_study(folder: Path, **phantom: object) -> Phantom:
    """The same as DICOM alone: the spread is stored sixteen times as large."""
    made = make_phantom(**phantom)
    report = write_dicom(made.series, folder / "dicom")
    beside = write_dicom(spread_of(made), folder / "dicom_standard_deviation", factor=16 * report.factor)
    companions = {"standard_deviation": {"series_uid": beside.series_uid, "scale_factor": beside.factor}}
    write_provenance(folder / "provenance.json", replace(record(made, report.factor), companions=companions))
    return made


def spread_of(made: Phantom) -> object:
    """A standard deviation: a tenth of the image in its left half (first columns), none in the right one."""
    spread = 0.1 * made.series.image
    spread[..., spread.shape[-1] // 2 :] = 0
    return replace(made.series, image=spread.astype(np.float32), quantity="standard_deviation")


def record(made: Phantom, factor: float) -> Provenance:
    """A provenance record with an equispaced mask."""
    card = sampling_mask(
        "equispaced", (32, 24), acceleration=4, centre_lines=6, phase_encoding_axis="y", seed=0
    ).card.to_dict()
    return Provenance(
        method="unfolded",
        inputs=(RAW,),
        outputs=(),
        configuration={"method": {"kind": "unfolded", "checkpoint": "mri-small", "steps": 4, "samples": 4}},
        geometry=geometry_record(made.series.geometry),
        software={"mrirecon": "0", "python": "3"},
        scale_factor=factor,
        mask=card,
        warnings=(WARNING,),
        notes=("maps from /home/doe/maps.npy",),
    )
