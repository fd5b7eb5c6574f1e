"""A reconstructed series as MRD images: one per slice, with the position, directions and counters that belong to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import ShapeError
from mrirecon.io.intensity import Intensity
from mrirecon.io.ismrmrd.wire import FLOAT32, IMAGE_HEAD, INT16, MAGNITUDE
from mrirecon.scan import ImageSeries
from mrirecon.serving.mrd.attributes import Attributes, attribute_xml
from mrirecon.serving.mrd.measurement import Volume

Pixels = Literal["int16", "float32"]
_COPIED = ("measurement_uid", "patient_table_position", "acquisition_time_stamp", "physiology_time_stamp")
_COUNTED = ("slice", "contrast", "phase", "repetition", "set")
_VECTORS = ("position", "read_dir", "phase_dir", "slice_dir")


@dataclass(frozen=True, eq=False)
class OutgoingImage:
    """One image message: header, meta attributes, pixels."""

    head: bytes
    attributes: str
    pixels: bytes


def outgoing_images(
    series: ImageSeries,
    volume: Volume,
    *,
    intensity: Intensity,
    pixels: Pixels,
    attributes: Attributes,
    series_index: int,
    first_index: int = 1,
) -> Iterator[OutgoingImage]:
    """The slices of a series in spatial order.

    Position is that of voxel (ny // 2, nx // 2) in LPS millimetres, read and phase directions are those of growing
    column and row index: the conventions of the line headers. Where those say nothing that could be believed, their
    values are copied as they are. Counters, time stamps and table position come from the first line of the slice.

    Parameters
    ----------
    series
        Images (z, y, x) and their grid.
    volume
        The lines they came from.
    intensity
        How values become integers.
    pixels
        "int16" sends stored values, 0 to 32767; "float32" the values themselves.
    attributes
        Of the series; the directions are added.
    series_index, first_index
        Number of the series, and of its first image.

    Raises
    ------
    ShapeError
        If there are not as many images as slices.
    """
    n_slices, n_y, n_x = series.image.shape
    is_3d = volume.scan.is_3d
    if not is_3d and n_slices != len(volume.heads):
        raise ShapeError(f"expected one image for each of {len(volume.heads)} slices, got {n_slices}")
    geometry = series.geometry
    through = geometry.affine[:3, 0] / geometry.voxel_size_mm[0]
    where = dict(zip(_VECTORS[1:], (geometry.row_direction, geometry.column_direction, through), strict=True))
    for k in range(n_slices):
        source = volume.heads[0 if is_3d else k]
        head = np.zeros(1, IMAGE_HEAD)
        _copy(head, source)
        if is_3d:
            head["slice"] = k
        _, step_y, step_x = geometry.voxel_size_mm
        head["field_of_view"] = (n_x * step_x, n_y * step_y, geometry.slice_thickness_mm)
        head["matrix_size"] = (n_x, n_y, 1)
        placed = {"position": geometry.position((k, n_y // 2, n_x // 2)), **where}
        for name in _VECTORS:
            head[name] = source[name] if geometry.nominal else placed[name]
        head["data_type"] = INT16 if pixels == "int16" else FLOAT32
        head["image_type"] = MAGNITUDE
        head["image_index"] = first_index + k
        head["image_series_index"] = series_index
        directions = {
            name: [f"{float(v):.18f}" for v in head[vector][0]]
            for name, vector in (("ImageRowDir", "read_dir"), ("ImageColumnDir", "phase_dir"))
            if head[vector].any()
        }
        text = attribute_xml({**attributes, **directions})
        head["attribute_string_len"] = len(text.encode())
        yield OutgoingImage(head.tobytes(), text, _stored(series.image[k], intensity, pixels))


def _copy(head: NDArray[np.void], source: np.void) -> None:
    head["version"] = 1
    head["channels"] = 1
    for name in _COPIED:
        head[name] = source[name]
    for name in _COUNTED:
        head[name] = source["idx"][name]


def _stored(image: NDArray[np.float32], intensity: Intensity, pixels: Pixels) -> bytes:
    if pixels == "float32":
        return image.astype("<f4").tobytes()
    return intensity.store(image).astype("<i2").tobytes()
