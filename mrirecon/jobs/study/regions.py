"""Regions of an input: from a label map on its grid, or from fastMRI+ boxes."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from mrirecon.config.study_schema import ScanInput
from mrirecon.data.spec import file_sha256
from mrirecon.errors import FormatError, ShapeError
from mrirecon.evaluation.study.records import InputRecord
from mrirecon.jobs.study.sources import Source
from mrirecon.metrics.fastmri_plus import read_fastmri_plus, regions_of_boxes
from mrirecon.metrics.regions import Region, regions_of_labels

Shape = tuple[int, int, int]


def regions_of(
    source: Source, record: InputRecord, shape: Shape, *, root: Path
) -> tuple[tuple[Region, ...], dict[str, str]]:
    """Regions on the chosen slices, and the checksums of the files they came from.

    Parameters
    ----------
    shape
        Of all images of the scan (z, y, x), of which `record.slices` were chosen.

    Raises
    ------
    MrireconError
        If a file is missing or damaged, or is on another grid.
    """
    choice = cast(ScanInput, source.choice)
    beside = source.beside(root)
    found: list[Region] = []
    if choice.labels is not None:
        labels = labels_on_grid(beside["labels"], record, shape)
        names = choice.labels.names
        found += regions_of_labels(labels, None if names is None else {int(k): v for k, v in names.items()})
    if choice.boxes is not None:
        boxes = read_fastmri_plus(beside["boxes"]).of_file(source.paths[0].stem)
        chosen = list(record.slices)
        kept = [region for region in regions_of_boxes(boxes, shape) if region.mask[chosen].any()]
        found += [Region(region.name, region.mask[chosen]) for region in kept]
    return tuple(found), {key: file_sha256(path) for key, path in beside.items()}


def labels_on_grid(path: Path, record: InputRecord, shape: Shape) -> NDArray[np.integer]:
    """The label map (chosen slice, y, x): the nearest label of every voxel where both geometries are known.

    Raises
    ------
    FormatError
        If the file is missing, no label map, or of another shape where no geometry tells how they fit.
    """
    if not path.is_file():
        raise FormatError(path, "the label map is missing; check `labels.path`")
    if path.suffix == ".npy":
        labels, affine = np.load(path, allow_pickle=False), None
    else:
        from mrirecon.io.nifti.reader import read_nifti  # NiBabel is slow to load, and most studies have no label map

        values, geometry = read_nifti(path)
        labels, affine = np.rint(values).astype(np.int64), None if geometry.nominal else geometry.affine
        if np.abs(values - labels).max() > 1e-3:
            raise FormatError(path, "holds values that are no whole numbers; a label map must not be interpolated")
    if affine is not None and record.affine_lps is not None:
        return _nearest(labels, affine, record)
    if labels.shape != shape:
        raise ShapeError(
            f"the label map {path.name} has shape {labels.shape}, the images of {record.name} {shape}; draw labels on "
            "the images that `mrirecon recon --view acquired` writes, or give both a geometry"
        )
    return np.asarray(labels[list(record.slices)])


def _nearest(labels: NDArray[np.int64], affine: NDArray[np.float64], record: InputRecord) -> NDArray[np.int64]:
    """Labels taken to the grid of the images through millimetres."""
    grid = np.array(record.affine_lps)
    steps = [index - record.slices[0] for index in record.slices]
    k, j, i = np.meshgrid(steps, *(np.arange(n) for n in record.matrix), indexing="ij")
    points = np.stack([i, j, k, np.ones_like(i)]).reshape(4, -1)
    places = np.rint(np.linalg.inv(affine) @ (grid @ points))[:3].astype(np.int64)
    inside = ((places >= 0) & (places < np.array(labels.shape)[:, None])).all(axis=0)
    found = np.zeros(points.shape[1], dtype=np.int64)
    found[inside] = labels[tuple(places[:, inside])]
    return found.reshape(k.shape)
