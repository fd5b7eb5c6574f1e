"""Which format a file has, judged by its content, and the one door to all raw-data readers."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.source import existing_file
from mrirecon.scan.scan import Scan

Reflected = Literal["header", "odd", "even", "none"]
ThirdAxis = Literal["partition", "slice"]
Format = Literal[
    "fastmri", "calgary-campinas", "skm-tea", "cmrxrecon", "ismrmrd", "twix", "cfl", "npy", "nifti", "dicom"
]

_HDF5 = b"\x89HDF\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
_NUMPY = b"\x93NUMPY"
_MATLAB = b"MATLAB "
_LOOKED_FOR = (
    "looked for fastMRI, M4Raw, Calgary-Campinas, SKM-TEA and MRD (HDF5), CMRxRecon (MATLAB 7.3), Siemens twix (VB, "
    "VD, VE, XA), BART cfl/hdr, NumPy npy, NIfTI and DICOM"
)
_FOLDER_SAMPLE = 50
_SKM_TEA_AXES = 5


def detect_format(path: str | Path) -> Format:
    """The format of a file, or of a folder of DICOM files, from its content; the name only helps with cfl/hdr pairs.

    Parameters
    ----------
    path
        A file, a folder of DICOM files, or a cfl/hdr pair without its suffix.

    Raises
    ------
    FormatError
        If it is missing, empty, or none of the known formats.
    """
    path = Path(path)
    if path.is_dir():
        if any(_is_dicom(_head(entry)) for entry in _files(path)):
            return "dicom"
        raise FormatError(path, "is a folder without DICOM files; name one raw data file inside it")
    if not path.exists() and path.with_name(path.name + ".hdr").exists():
        return "cfl"
    path = existing_file(path)
    head = _head(path)
    if head.startswith(_HDF5) or (head.startswith(_MATLAB) and _is_matlab_73(path)):
        return _hdf5_kind(path)
    if head.startswith(_NUMPY):
        return "npy"
    if _is_dicom(head):
        return "dicom"
    if head.startswith(_GZIP):
        head = _unzipped_head(path)
    if _is_nifti(head):
        return "nifti"
    if path.suffix == ".cfl" or (path.suffix == ".hdr" and b"# Dimensions" in head):
        return "cfl"
    from mrirecon.io.twix.file import is_twix

    if is_twix(path):
        return "twix"
    hint = "; it is a MATLAB file: save the array with numpy.save instead" if head.startswith(_MATLAB) else ""
    raise FormatError(path, f"is of unknown format or its beginning is damaged: {_LOOKED_FOR}{hint}")


def open_scan(
    path: str | Path,
    *,
    contrast: int = 0,
    repetition: int = 0,
    reflected: Reflected = "header",
    third_axis: ThirdAxis = "partition",
) -> Scan:
    """Open raw data of any known format; samples are read later, plane by plane.

    Parameters
    ----------
    path
        A raw data file, or a cfl/hdr pair without its suffix.
    contrast, repetition
        Which echo and repetition, counted from 0.
    reflected
        Twix only: which lines run backwards in an echo-planar scan whose file does not say.
    third_axis
        BART only: whether dimension 2 is phase encoded or counts slices.

    Raises
    ------
    FormatError
        If the file is missing, damaged, of unknown format, or holds images instead of raw data.
    ConfigError
        If it does not hold the contrast or repetition asked for.
    """
    path = Path(path)
    kind = detect_format(path)
    if kind in ("nifti", "dicom"):
        name = "NIfTI" if kind == "nifti" else "DICOM"
        raise FormatError(
            path,
            f"holds images ({name}), not raw data. Coil data, phase and noise are lost in an image and no Fourier "
            "transform brings them back; give the scanner's raw data (twix, MRD) or a fastMRI, cfl or npy file",
        )
    if kind == "twix":
        from mrirecon.io.twix.reader import read_twix

        return read_twix(path, contrast=contrast, repetition=repetition, reflected=reflected)
    if kind == "cfl":
        from mrirecon.io.cfl import read_cfl

        return read_cfl(path, contrast=contrast, repetition=repetition, third_axis=third_axis)
    if kind == "ismrmrd":
        from mrirecon.io.ismrmrd.reader import read_ismrmrd

        return read_ismrmrd(path, contrast=contrast, repetition=repetition)
    if kind == "skm-tea":
        from mrirecon.io.skm_tea import read_skm_tea

        _refuse_series(path, repetition=repetition)
        return read_skm_tea(path, contrast=contrast)
    if kind == "cmrxrecon":
        from mrirecon.io.cmrxrecon import read_cmrxrecon

        _refuse_series(path, contrast=contrast)
        return read_cmrxrecon(path, repetition=repetition)
    _refuse_series(path, contrast=contrast, repetition=repetition)
    if kind == "npy":
        from mrirecon.io.array import read_npy

        return read_npy(path)
    if kind == "calgary-campinas":
        from mrirecon.io.calgary_campinas import read_calgary_campinas

        return read_calgary_campinas(path)
    from mrirecon.io.fastmri import read_fastmri

    return read_fastmri(path)


def _refuse_series(path: Path, **wanted: int) -> None:
    """Formats that hold one volume have contrast 0 and repetition 0 only, others one of both."""
    for name, number in wanted.items():
        if number != 0:
            what = "volume" if len(wanted) > 1 else name
            raise ConfigError(f"{path}: the format holds one {what}, {name} {number} does not exist; leave it at 0")


def _files(folder: Path) -> Iterable[Path]:
    """Some files of a folder and its subfolders, in a fixed order."""
    found = 0
    for entry in sorted(folder.rglob("*")):
        if entry.is_file():
            yield entry
            found += 1
            if found == _FOLDER_SAMPLE:
                return


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _unzipped_head(path: Path) -> bytes:
    try:
        with gzip.open(path, "rb") as file:
            return file.read(1024)
    except (OSError, EOFError, zlib.error):
        return b""


def _is_dicom(head: bytes) -> bool:
    return head[128:132] == b"DICM"


def _is_nifti(head: bytes) -> bool:
    return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")


def _is_matlab_73(path: Path) -> bool:
    from mrirecon.io.hdf5 import is_hdf5

    return is_hdf5(path)


def _hdf5_kind(path: Path) -> Format:
    from mrirecon.io.calgary_campinas import is_calgary_campinas
    from mrirecon.io.cmrxrecon import kspace_name
    from mrirecon.io.hdf5 import dtype_name, has_dataset, open_hdf5

    with open_hdf5(path) as file:
        keys = sorted(str(key) for key in file)
        if has_dataset(file, "kspace"):
            source = file["kspace"]
            if source.dtype.names is not None:
                return "cmrxrecon"
            if source.ndim == _SKM_TEA_AXES and dtype_name(source.dtype).startswith("complex"):
                return "skm-tea"
            return "calgary-campinas" if is_calgary_campinas(source.shape, source.dtype) else "fastmri"
        if has_dataset(file, "dataset/xml"):
            return "ismrmrd"
        if kspace_name(keys) is not None:
            return "cmrxrecon"
    raise FormatError(
        path,
        "is HDF5, but neither fastMRI (like M4Raw, Calgary-Campinas and SKM-TEA: a data set 'kspace') nor CMRxRecon "
        "(one variable such as 'kspace_full') nor MRD (a group 'dataset' with 'xml' and 'data'); it holds "
        f"{keys[:12] or 'nothing'}",
    )
