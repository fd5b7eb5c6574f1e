"""Images out of the dictionary: DICOM series and NIfTI volumes."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

import mrirecon
from mrirecon.errors import ConfigError, ShapeError
from mrirecon.io.dicom.series import write_dicom
from mrirecon.io.nifti.writer import write_nifti
from mrirecon.io.provenance import sha256_of
from mrirecon.scan import Derivation, ImageSeries
from mrirecon.transforms.header import ALL_PLANES, geometry_of, notes_of, protocol_of, subject_of
from mrirecon.transforms.keys import MASK_CARD, META, RECONSTRUCTION, RECORD, SCALE
from mrirecon.transforms.spatial import IMAGE_GEOMETRY

Kind = Literal["linear", "iterative", "learned"]


class SaveDicomd(MapTransform):  # type: ignore[misc]
    """Write the magnitude of an image as a DICOM series, one folder per scan and key.

    The folder is ``output_dir/<file name>-<pseudonym>[-slice<i>]/<key>``, so items never overwrite each other; the
    intensity scale is undone. The images pass through unchanged.

    Parameters
    ----------
    keys
        Images (slice, 1, y, x) or (1, y, x), complex or not negative.
    output_dir
        Parent folder.
    method
        Short name of the reconstruction, for the description.
    kind
        "linear", "iterative" or "learned".
    overwrite
        Replace earlier output.
    """

    def __init__(
        self,
        keys: KeysCollection = RECONSTRUCTION,
        *,
        output_dir: str | Path,
        method: str,
        kind: Kind = "iterative",
        overwrite: bool = False,
    ) -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir)
        self.method = method
        self.kind: Kind = kind
        self.overwrite = overwrite

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        for key in self.key_iterator(data):
            series = image_series(data, str(key), method=self.method, kind=self.kind)
            write_dicom(series, output_path(data, self.output_dir) / str(key), overwrite=self.overwrite)
        return dict(data)


class SaveNiftid(MapTransform):  # type: ignore[misc]
    """Write the magnitude of an image as ``output_dir/<file name>-<pseudonym>[-slice<i>]/<key>.nii.gz``.

    Otherwise as `SaveDicomd`.
    """

    def __init__(
        self,
        keys: KeysCollection = RECONSTRUCTION,
        *,
        output_dir: str | Path,
        method: str,
        kind: Kind = "iterative",
        overwrite: bool = False,
    ) -> None:
        super().__init__(keys)
        self.output_dir = Path(output_dir)
        self.method = method
        self.kind: Kind = kind
        self.overwrite = overwrite

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        for key in self.key_iterator(data):
            series = image_series(data, str(key), method=self.method, kind=self.kind)
            folder = output_path(data, self.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            write_nifti(series, folder / f"{key}.nii.gz", overwrite=self.overwrite)
        return dict(data)


def output_path(data: Mapping[Hashable, Any], output_dir: Path) -> Path:
    """The folder of one item below `output_dir`."""
    meta = data[META]
    plane = int(meta["plane"])
    suffix = "" if plane == ALL_PLANES else f"-slice{plane:04d}"
    return output_dir / f"{Path(str(meta['path'])).stem}-{subject_of(meta).pseudonym}{suffix}"


def image_series(data: Mapping[Hashable, Any], key: str, *, method: str, kind: Kind = "iterative") -> ImageSeries:
    """An item's image as a series: magnitude, in the units of the source, on its grid in the patient.

    Raises
    ------
    ShapeError
        If the image is not (slice, 1, y, x) or (1, y, x), or real and negative.
    ConfigError
        If the item is a batch.
    """
    meta = data[META]
    if not isinstance(meta["path"], str):
        raise ConfigError("this is a batch of items; take it apart with monai.data.decollate_batch first")
    image: Tensor = torch.as_tensor(data[key])
    volume = image if image.ndim == 4 else image.unsqueeze(0)
    if volume.ndim != 4 or volume.shape[1] != 1:
        raise ShapeError(
            f"`{key}` must have shape (slice, 1, y, x) or (1, y, x), got {tuple(image.shape)}; "
            "combine several map sets by their root-sum-of-squares first"
        )
    magnitude = volume.abs() if volume.is_complex() else volume
    values = (magnitude[:, 0] * float(data.get(SCALE, 1.0))).to(torch.float32).cpu().numpy()
    card = json.loads(data[MASK_CARD]) if MASK_CARD in data else None
    acceleration = f", acceleration {card['effective_acceleration']:.2f}" if card else ""
    source = Path(meta["path"])
    simulated = bool(meta["simulated"])
    parameters = {
        "method": method,
        "mask": card,
        "record": json.loads(data[RECORD]) if RECORD in data else None,
        "key": key,
        "plane": int(meta["plane"]),
        "notes": list(notes_of(meta)),
        "version": mrirecon.__version__,
    }
    return ImageSeries(
        image=np.ascontiguousarray(values),
        geometry=geometry_of(meta, of=IMAGE_GEOMETRY if IMAGE_GEOMETRY in meta else "geometry"),
        protocol=protocol_of(meta),
        subject=subject_of(meta),
        derivation=Derivation(
            method=method,
            summary=f"{method}{acceleration}, mrirecon {mrirecon.__version__}",
            parameters=parameters,
            input_sha256=sha256_of(source) if source.exists() else subject_of(meta).pseudonym,
            kind=kind,
            simulated=simulated,
        ),
        description=f"{method}{acceleration}",
    )
