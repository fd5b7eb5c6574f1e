"""Write an image series as NIfTI-1: the only place where LPS becomes RAS and the axes are transposed."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

import mrirecon
from mrirecon.errors import OutputError
from mrirecon.io.atomic import atomic_file
from mrirecon.io.grid import export_affine
from mrirecon.io.intensity import series_intensity
from mrirecon.scan.series import ImageSeries

_SCANNER, _ALIGNED = 1, 2


def write_nifti(series: ImageSeries, path: str | Path, *, factor: float = 1.0, overwrite: bool = False) -> None:
    """Write `series` as float32 with equal sform and qform.

    ``A_ras = diag(-1, -1, 1, 1) A_lps`` with columns reordered to x, y, z. The form code is 1 (scanner) for a known
    position and 2 for a nominal one.

    Parameters
    ----------
    series
        Volume and grid.
    path
        Ends in ``.nii`` or ``.nii.gz``. The compressed file carries no date, so that equal images make equal files.
    factor
        Multiplies the values; give `DicomReport.factor` so that both exports show the same numbers.
    overwrite
        Replace an existing file.

    Raises
    ------
    OutputError
        If the name has another suffix, the file exists, or it cannot be written.
    GeometryError
        If the axes are not orthogonal.
    """
    target = Path(path)
    if not target.name.endswith((".nii", ".nii.gz")):
        raise OutputError(f"{target.name}: a NIfTI file name must end in .nii or .nii.gz")
    image = _nifti_image(series, factor)
    with atomic_file(target, overwrite=overwrite) as temporary, temporary.open("xb") as file:
        if target.suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as compressed:
                image.to_stream(compressed)
        else:
            image.to_stream(file)


def _nifti_image(series: ImageSeries, factor: float) -> nibabel.Nifti1Image:
    z, y, x = series.image.shape
    lps = export_affine(series.geometry, (z, y, x))
    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps[:, [2, 1, 0, 3]]
    values = series.image if factor == 1.0 else (series.image.astype(np.float64) * factor).astype(np.float32)
    image = nibabel.Nifti1Image(values.transpose(2, 1, 0), ras)
    code = _ALIGNED if series.geometry.nominal else _SCANNER
    image.set_sform(ras, code)
    image.set_qform(ras, code)
    header = image.header
    header.set_data_dtype(np.float32)
    header.set_xyzt_units("mm", "sec")
    header["descrip"] = _description(series).encode("ascii", "replace")
    intensity = series_intensity(series)
    header["cal_min"] = intensity.low / intensity.factor * factor
    header["cal_max"] = intensity.high / intensity.factor * factor
    return image


def _description(series: ImageSeries) -> str:
    words = [f"mrirecon {mrirecon.__version__}"]
    words += ["std"] if series.quantity == "standard_deviation" else []
    words += ["GEOM-NOMINAL"] if series.geometry.nominal else []
    words += ["simulated"] if series.derivation.simulated else []
    return "; ".join([*words, "research use only"])[:79]
