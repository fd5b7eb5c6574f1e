"""What a folder of results holds for a viewer; only files that are really inside it are looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mrirecon.errors import FormatError, MrireconError
from mrirecon.io.dicom.volume import dicom_volumes
from mrirecon.io.free_text import without_paths
from mrirecon.io.provenance import Provenance, read_provenance
from mrirecon.scan.geometry import Geometry
from mrirecon.serving.viewer.volume import Role, Volume, dicom_volume, nifti_volumes, numpy_volume

_RECORD = "provenance.json"
_ROLES: dict[str, tuple[Role, str]] = {
    "image": ("reconstruction", "Reconstruction"),
    "reconstruction": ("reconstruction", "Reconstruction"),
    "standard_deviation": ("uncertainty", "Standard deviation"),
    "uncertainty": ("uncertainty", "Uncertainty"),
    "reference": ("reference", "Reference"),
    "ground_truth": ("reference", "Reference"),
    "target": ("reference", "Reference"),
    "classical": ("classical", "Classical"),
}
"""File name without suffix, or what follows ``dicom_``, to part and title."""

_NO_VOLUMES = ("certificate", "parametric_map")
"""A page of text, and the standard deviation once more."""

_ORDER: tuple[Role, ...] = ("reconstruction", "reference", "classical", "uncertainty", "difference", "other", "sample")


@dataclass(frozen=True, eq=False)
class Folder:
    """The content of a folder.

    Parameters
    ----------
    name
        Of the folder, without those above it.
    volumes
        In the order of their importance.
    record
        The provenance record, None without one.
    certificate
        Text of ``certificate.txt`` or JSON of ``certificate.json``, None without either.
    problems
        Sentences about what could not be used.
    """

    name: str
    volumes: tuple[Volume, ...]
    record: Provenance | None
    certificate: object
    problems: tuple[str, ...]

    def first(self, *roles: Role) -> Volume | None:
        """The first volume in one of these parts, tried in order."""
        return next((v for role in roles for v in self.volumes if v.role == role), None)


def read_folder(folder: str | Path) -> Folder:
    """Find the volumes of a folder: NIfTI, DICOM series where there is no NIfTI of the same thing, NumPy likewise.

    A folder of DICOM files is one too, and so is a single NIfTI file. Links that lead out of the folder are left out.

    Raises
    ------
    FormatError
        If there is nothing to show; the message names what was looked for.
    """
    root = Path(folder).resolve()
    if root.is_file():
        return Folder(root.name, tuple(nifti_volumes(root, "reconstruction", "Reconstruction")), None, None, ())
    if not root.is_dir():
        raise FormatError(folder, "is no folder; give the one that `mrirecon recon --out` wrote")
    inside = [p for p in sorted(root.iterdir()) if p.resolve().is_relative_to(root) and not p.name.startswith(".")]
    problems: list[str] = []
    record = _record(root, inside, problems)
    volumes = _nifti(inside, problems)
    _add(volumes, _dicom(inside, problems, has_image=bool(volumes)))
    _add(volumes, _numpy(inside, problems, None if record is None else _geometry(record)))
    if not volumes:
        raise FormatError(
            folder,
            "holds no volume to show, expected image.nii.gz, a folder dicom/, DICOM files or image.npy; give a folder "
            f"that `mrirecon recon --out` wrote. {' '.join(problems)}".rstrip(),
        )
    if not any(v.role == "reconstruction" for v in volumes):
        volumes[0] = volumes[0].with_(role="reconstruction")
    volumes = _in_common_units(volumes, record)
    return Folder(root.name, tuple(volumes), record, _certificate(inside, problems), tuple(problems))


def study_folders(folder: str | Path) -> tuple[Path, ...]:
    """The folder itself if it holds anything to show, otherwise its subfolders that do: the results of a batch.

    Raises
    ------
    FormatError
        If none does.
    """
    root = Path(folder)
    try:
        read_folder(root)
    except FormatError as error:
        if not root.is_dir():
            raise
        below = [p for p in sorted(root.iterdir()) if (p / _RECORD).is_file() and not p.is_symlink()]
        if not below:
            raise error
        return tuple(below)
    return (root,)


def _record(root: Path, inside: list[Path], problems: list[str]) -> Provenance | None:
    if root / _RECORD not in inside:
        return None
    try:
        return read_provenance(root / _RECORD)
    except FormatError as error:
        problems.append(sentence(error))
        return None


def _nifti(inside: list[Path], problems: list[str]) -> list[Volume]:
    found: list[Volume] = []
    for path in inside:
        if path.name == "samples" and path.is_dir():
            for sample in sorted(p for p in path.iterdir() if not p.is_symlink()):
                number = _stem(sample).removeprefix("sample_").lstrip("0")
                found += _read_nifti(sample, "sample", f"Sample {number}", problems)
        else:
            role, title = _ROLES.get(_stem(path), ("other", _stem(path).replace("_", " ")))
            found += _read_nifti(path, role, title, problems)
    return sorted(found, key=lambda v: _ORDER.index(v.role))


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".nii")


def _read_nifti(path: Path, role: Role, title: str, problems: list[str]) -> list[Volume]:
    if not path.name.endswith((".nii", ".nii.gz")):
        return []
    try:
        return nifti_volumes(path, role, title)
    except FormatError as error:
        problems.append(sentence(error))
        return []


def _dicom(inside: list[Path], problems: list[str], *, has_image: bool) -> list[Volume]:
    found: list[Volume] = []
    for path in inside:
        if not path.is_dir() or not (path.name == "dicom" or path.name.startswith("dicom_")):
            continue
        stem = path.name.removeprefix("dicom").removeprefix("_") or "image"
        if stem in _NO_VOLUMES:
            continue
        role, title = _ROLES.get(stem, ("other", stem.replace("_", " ")))
        files = [p for p in path.rglob("*") if p.is_file() and p.resolve().is_relative_to(path)]
        series, wrong = dicom_volumes(files)
        problems += wrong
        found += [dicom_volume(s, role, title if len(series) == 1 else f"{title} {s.description}") for s in series]
    loose = [p for p in inside if p.is_file() and p.suffix.lower() in (".dcm", ".ima", "")]
    if not found and not has_image and loose:
        series, wrong = dicom_volumes(loose)
        problems += wrong
        for number, one in enumerate(series, start=1):
            role = "uncertainty" if one.description.endswith(" STD") else "other"
            found.append(dicom_volume(one, role, one.description or f"Series {number}"))
    return found


def _numpy(inside: list[Path], problems: list[str], geometry: Geometry | None) -> list[Volume]:
    found = []
    for path in inside:
        if path.suffix == ".npy" and path.stem in _ROLES:
            role, title = _ROLES[path.stem]
            try:
                found.append(numpy_volume(path, role, title, geometry))
            except FormatError as error:
                problems.append(sentence(error))
    return found


def _add(volumes: list[Volume], more: list[Volume]) -> None:
    """Those of `more` in a part that nothing has yet."""
    taken = {v.role for v in volumes if v.role != "other"}
    volumes += [v for v in more if v.role not in taken]


def _in_common_units(volumes: list[Volume], record: Provenance | None) -> list[Volume]:
    """Stored units, which those of NIfTI and of the DICOM image are; see `mrirecon.jobs.export`."""
    if record is None:
        return volumes
    units = f"{record.series_uid or ''}/{record.scale_factor:.9g}"
    beside = record.companions.get("standard_deviation", {})
    found = []
    for volume in volumes:
        factor = 1.0
        if volume.stored_as == "numpy":
            factor = record.scale_factor
        elif volume.stored_as == "dicom" and volume.role == "uncertainty" and beside.get("scale_factor"):
            factor = record.scale_factor / float(beside["scale_factor"])
        found.append(replace(volume, factor=factor, units=units))
    return found


def _geometry(record: Provenance) -> Geometry | None:
    given = record.geometry
    try:
        return Geometry(
            np.array(given["index_zyx_to_lps_mm"], dtype=float),
            float(given["slice_thickness_mm"]),
            nominal=given["position"] != "scanner",
        )
    except (KeyError, TypeError, ValueError):
        return None


def _certificate(inside: list[Path], problems: list[str]) -> object:
    for path in inside:
        if path.name not in ("certificate.json", "certificate.txt"):
            continue
        try:
            text = path.read_text(encoding="utf-8")
            return json.loads(text) if path.suffix == ".json" else text
        except (OSError, ValueError) as error:
            problems.append(f"{path.name} cannot be read: {error}")
    return None


def sentence(error: MrireconError) -> str:
    """The message with names of files instead of their paths."""
    path = getattr(error, "path", None)
    return without_paths(str(error) if path is None else str(error).replace(str(path), path.name), keep_name=True)
