"""A study as the page shows it: volumes with numbers for names, on common axes, with windows and differences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrirecon.errors import GeometryError
from mrirecon.io.nifti.as_bytes import nifti_bytes
from mrirecon.serving.viewer.display import Display, display_of
from mrirecon.serving.viewer.folder import Folder, read_folder
from mrirecon.serving.viewer.record import certificate_failure, record_sections
from mrirecon.serving.viewer.sampling import sampling_picture
from mrirecon.serving.viewer.volume import Role, Volume

_SAME_GRID = 0.5  # of the smallest voxel side
_MAX_VOXELS = 1 << 28
_ELSEWHERE = "its place relative to the reconstruction is unknown"
_NO_POSITION = "has no position in the patient of its own: laid onto the grid of the reconstruction"


@dataclass(frozen=True, eq=False)
class Shown:
    """A volume on the page. `linked` says whether its place relative to the main volume is known."""

    volume: Volume
    affine_ras: NDArray[np.float64]
    linked: bool
    notes: tuple[str, ...] = field(default=())

    def file(self) -> bytes:
        """The volume as NIfTI in the space of the screen, with the default window in its header."""
        values = self.volume.read()
        return nifti_bytes(values, self.affine_ras, window=default_window(values, self.volume.role))


@dataclass(frozen=True, eq=False)
class Study:
    """Everything about one folder; `volumes` are known to the page by their index."""

    folder: Folder
    display: Display
    volumes: tuple[Shown, ...]
    problems: tuple[str, ...]

    def manifest(self) -> dict[str, Any]:
        """What the page needs to know before it loads a volume, JSON-ready. No path is in it."""
        main = self.volumes[0].volume
        known = not main.geometry.nominal
        back = np.linalg.inv(self.display.motion)
        return {
            "name": self.folder.name,
            "plane": self.display.plane,
            "tilt_deg": round(self.display.tilt_deg, 1),
            "orientation_known": known,
            "spacing_known": main.spacing_known,
            "letters": self.display.letters() if known else None,
            "screen_to_patient_lps": back.tolist(),
            "volumes": [_entry(number, shown) for number, shown in enumerate(self.volumes)],
            "sampling": sampling_picture(self.folder.record),
            "record": record_sections(self.folder),
            "warnings": self._warnings(),
            "problems": list(self.problems),
        }

    def _warnings(self) -> list[str]:
        record = self.folder.record
        failure = certificate_failure(record)
        return [*([failure] if failure else []), *(record.warnings if record else ())]


def open_study(
    folder: str | Path, *, reference: str | Path | None = None, classical: str | Path | None = None
) -> Study:
    """The study in `folder`.

    Parameters
    ----------
    folder
        See `read_folder`.
    reference, classical
        Other folders, DICOM series or NIfTI files whose image is shown beside the reconstruction. Where both come from
        the same raw data by their records, they are brought to the units of the reconstruction.

    Raises
    ------
    FormatError
        If one of them holds nothing to show.
    """
    found = read_folder(folder)
    volumes = list(found.volumes)
    problems = list(found.problems)
    for path, role, title in ((reference, "reference", "Reference"), (classical, "classical", "Classical")):
        if path is not None:
            volumes = [v for v in volumes if v.role != role]
            volumes.insert(1, _beside(found, read_folder(path), role, title))  # type: ignore[arg-type]
    main = next(v for v in volumes if v.role == "reconstruction")
    volumes.remove(main)
    fitting = [v for v in (main, *volumes) if np.prod(v.shape) <= _MAX_VOXELS]
    problems += [
        f"{v.title}: {v.shape} voxels are too many for a browser" for v in (main, *volumes) if v not in fitting
    ]
    if main not in fitting:
        raise GeometryError(problems[-1] + "; give a part of the volume (mrirecon recon --slices A:B)")
    display = display_of(main.geometry, main.shape)
    shown, wrong = _shown(fitting, display)
    return Study(found, display, tuple(shown), (*problems, *wrong))


def default_window(values: NDArray[np.float32], role: Role) -> tuple[float, float]:
    """Percentiles 1 and 99 of the foreground; from 0 for standard deviations and differences.

    The foreground are the voxels above a tenth of the 99th percentile of the positive ones, so that air does not
    decide. As dark tissue must stay visible, the lower end is at most a tenth of the upper one where all values are
    positive. A constant volume gets a window about its value.
    """
    sample = values.ravel()[:: max(1, values.size // (1 << 20))].astype(np.float64)
    positive = sample[sample > 0]
    if role in ("uncertainty", "difference"):
        high = float(np.percentile(positive, 99)) if positive.size else 1.0
        return 0.0, high
    if sample.min() < 0:
        low, high = (float(v) for v in np.percentile(sample, [1.0, 99.0]))
    elif positive.size == 0:
        return 0.0, 1.0
    else:
        foreground = positive[positive >= 0.1 * np.percentile(positive, 99)]
        low, high = (float(v) for v in np.percentile(foreground, [1.0, 99.0]))
        low = min(low, high / 10)
    return (low, high) if high > low else (low - 0.5 * abs(low) - 0.5, low + 0.5 * abs(low) + 0.5)


def _beside(main: Folder, other: Folder, role: Role, title: str) -> Volume:
    image = other.first("reconstruction", "reference", "classical") or other.volumes[0]
    method = f", {other.record.method}" if other.record else ""
    image = replace(image.with_(role=role, title=f"{title} ({other.name}{method})"), units=None)
    if main.record is None or other.record is None:
        return image
    raw = {file.sha256 for file in main.record.inputs}
    if raw != {file.sha256 for file in other.record.inputs} or not other.record.scale_factor > 0:
        return image
    units = next(v.units for v in main.volumes if v.role == "reconstruction")
    return replace(image, factor=image.factor * main.record.scale_factor / other.record.scale_factor, units=units)


def _shown(volumes: Sequence[Volume], display: Display) -> tuple[list[Shown], list[str]]:
    main = volumes[0]
    shown, problems = [], []
    main_affine = display.affine_ras(main.geometry, main.shape)
    for volume in volumes:
        notes = (volume.note,) if volume.note else ()
        try:
            if volume.geometry.nominal == main.geometry.nominal:
                shown.append(Shown(volume, display.affine_ras(volume.geometry, volume.shape), True, notes))
            elif volume.shape == main.shape:
                shown.append(Shown(volume, main_affine, True, (*notes, _NO_POSITION)))
            else:
                affine = display_of(volume.geometry, volume.shape).affine_ras(volume.geometry, volume.shape)
                shown.append(Shown(volume, affine, False, (*notes, _ELSEWHERE)))
        except GeometryError as error:
            problems.append(f"{volume.title}: {error}")
    if not shown or shown[0].volume is not main:
        raise GeometryError(problems[0])
    image = shown[0]
    for other in [s for s in shown if s.volume.role in ("reference", "classical")]:
        if _same_grid(image, other):
            shown.append(_difference(image, other))
        else:
            problems.append(f"No difference to {other.volume.title}: it lies on another grid.")
    return shown, problems


def _same_grid(image: Shown, other: Shown) -> bool:
    if image.volume.shape != other.volume.shape or not other.linked:
        return False
    corners = _corners(image.volume.shape)
    moved = np.linalg.norm((image.affine_ras - other.affine_ras)[:3] @ corners.T, axis=0).max()
    return bool(moved <= _SAME_GRID * min(image.volume.geometry.voxel_size_mm))


def _corners(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    z, y, x = shape
    return np.array([[i, j, k, 1.0] for i in (0, x - 1) for j in (0, y - 1) for k in (0, z - 1)])


def _difference(image: Shown, other: Shown) -> Shown:
    comparable = image.volume.units is not None and image.volume.units == other.volume.units
    note = "both in the same units" if comparable else "the other image was scaled to it by least squares"

    def load() -> NDArray[np.float32]:
        a, b = image.volume.read(), other.volume.read()
        scale = 1.0
        if not comparable:
            energy = float(np.vdot(b.astype(np.float64), b))
            scale = float(np.vdot(a.astype(np.float64), b)) / energy if energy > 0 else 1.0
        return np.abs(a - np.float32(scale) * b)

    volume = replace(
        image.volume,
        role="difference",
        title=f"|Reconstruction − {other.volume.title.split(' (')[0]}|",
        load=load,
        factor=1.0,
        note="",
    )
    return Shown(volume, image.affine_ras, True, (note,))


def _entry(number: int, shown: Shown) -> dict[str, Any]:
    volume = shown.volume
    return {
        "id": number,
        "role": volume.role,
        "title": volume.title,
        "shape_xyz": list(volume.shape[::-1]),
        "voxel_size_mm_xyz": [round(v, 4) for v in volume.geometry.voxel_size_mm[::-1]],
        "index_to_screen_ras": shown.affine_ras.tolist(),
        "units": volume.units,
        "linked": shown.linked,
        "notes": list(shown.notes),
    }
