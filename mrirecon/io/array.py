"""K-space from NumPy files, with an optional JSON file beside it that says what the numbers mean."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import FormatError, GeometryError
from mrirecon.io.checksum import file_pseudonym
from mrirecon.io.plain import partial_fourier, sampled_positions
from mrirecon.io.source import existing_file
from mrirecon.scan.encoding import Encoding
from mrirecon.scan.geometry import Geometry
from mrirecon.scan.protocol import Protocol
from mrirecon.scan.scan import Scan
from mrirecon.scan.subject import Subject

_AXES = {
    3: (("coil", "ky", "kx"),),
    4: (("slice", "coil", "ky", "kx"), ("coil", "kz", "ky", "kx")),
}
_KEYS = (
    "axes",
    "voxel_size_mm",
    "slice_thickness_mm",
    "affine_lps",
    "phase_encoding_axis",
    "readout_oversampling",
    "noise",
    "echo_time_ms",
    "repetition_time_ms",
    "flip_angle_deg",
    "field_strength_t",
    "body_part",
    "simulated",
)


def read_npy(path: str | Path) -> Scan:
    """Cartesian k-space from a `.npy` file, complex, (coil, ky, kx) or (slice, coil, ky, kx), read lazily.

    K-space is centred (origin at ``n // 2``), with the negative exponent from image to k-space; zero in all coils
    means not sampled. A file of the same name ending in `.json` may say more; all keys are optional:

    - `axes`: e.g. ["coil", "kz", "ky", "kx"] for a 3D scan.
    - `voxel_size_mm`: [z, y, x] of the encoded grid; z is the slice step.
    - `slice_thickness_mm`: default is the slice step.
    - `affine_lps`: 4x4, index (z, y, x) of the encoded grid to LPS millimetres; gives the voxel sizes too.
    - `phase_encoding_axis`: "x" or "y" (default "y").
    - `readout_oversampling`: encoded over reconstructed field of view along the readout, default 1.
    - `noise`: name of a `.npy` file beside it, complex (coil, n), of the same bandwidth.
    - `echo_time_ms`, `repetition_time_ms`, `flip_angle_deg`, `field_strength_t`, `body_part`: protocol.
    - `simulated`: true when the k-space was made from images.

    Raises
    ------
    FormatError
        If the array is not complex k-space of such a shape, the JSON file has unknown or contradictory entries, or
        the data look non-Cartesian.
    """
    path = existing_file(path)
    array = _load(path)
    card = _card(path)
    axes = _axes(path, array, card)
    three_d = "kz" in axes
    if array.ndim == len(_AXES[3][0]):
        array = array[None]
    n_coils, ny, nx = (array.shape[0] if three_d else array.shape[1]), array.shape[-2], array.shape[-1]
    n_planes = array.shape[1] if three_d else array.shape[0]
    reader = _NpyReader(path, three_d)
    mask = sampled_positions(path, reader, n_planes, three_d=three_d)
    notes = ["Positions where all coils are zero count as not sampled."]
    geometry = _geometry(path, card, (n_planes, ny, nx), notes)
    phase_axis = card.get("phase_encoding_axis", "y")
    if phase_axis not in ("x", "y"):
        raise FormatError(path.with_suffix(".json"), f"expected x or y, got {phase_axis!r}", key="phase_encoding_axis")
    return Scan(
        source=path,
        format="npy",
        n_slices=1 if three_d else n_planes,
        n_coils=n_coils,
        encoding=_encoding(path, card, geometry, (n_planes, ny, nx), mask, three_d, phase_axis),
        geometry=geometry,
        protocol=Protocol(
            echo_time_ms=_number(path, card, "echo_time_ms"),
            repetition_time_ms=_number(path, card, "repetition_time_ms"),
            flip_angle_deg=_number(path, card, "flip_angle_deg"),
            field_strength_t=_number(path, card, "field_strength_t"),
            phase_encoding_axis="x" if phase_axis == "x" else "y",
            dimensionality="3D" if three_d else "2D",
            body_part=card.get("body_part"),
        ),
        subject=Subject(file_pseudonym(path)),
        mask=mask,
        reader=reader,
        noise=_noise(path, card, n_coils),
        simulated=bool(card.get("simulated", False)),
        notes=tuple(notes),
        details={"axes": list(axes), "shape": list(array.shape), "dtype": str(array.dtype), "card": sorted(card)},
    )


@dataclass(frozen=True)
class _NpyReader:
    """``reader(i)`` gives plane `i` as complex64 (coil, ky, kx).

    The file is mapped anew for every plane: pages of a lasting map would count as memory of the process.
    """

    path: Path
    three_d: bool

    def __call__(self, index: int) -> Tensor:
        array = _load(self.path)
        stack = array[None] if array.ndim == len(_AXES[3][0]) else array
        plane = stack[:, index] if self.three_d else stack[index]
        return torch.from_numpy(np.array(plane, dtype=np.complex64))


def _load(path: Path) -> NDArray[np.complexfloating]:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise FormatError(path, f"is not a complete NumPy array file: {error}; save it again with numpy.save") from None
    if not isinstance(array, np.ndarray) or not np.iscomplexobj(array):
        kind = array.dtype if isinstance(array, np.ndarray) else "an archive of several arrays"
        raise FormatError(path, f"expected complex k-space, got {kind}; images and magnitudes are not raw data")
    if array.size == 0:
        raise FormatError(path, f"the array is empty, shape {array.shape}")
    return array


def _card(path: Path) -> dict[str, Any]:
    side = path.with_suffix(".json")
    if not side.exists():
        return {}
    try:
        card = json.loads(side.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FormatError(side, f"is not readable JSON: {error}") from None
    if not isinstance(card, dict):
        raise FormatError(side, f"expected an object with keys such as voxel_size_mm, got {type(card).__name__}")
    for key in card:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            raise FormatError(
                side, f"unknown key, {f'did you mean {near[0]!r}' if near else f'known: {_KEYS}'}", key=key
            )
    return card


def _axes(path: Path, array: NDArray[np.complexfloating], card: dict[str, Any]) -> tuple[str, ...]:
    known = _AXES.get(array.ndim, ())
    if not known:
        raise FormatError(
            path, f"expected shape (coil, ky, kx) or (slice, coil, ky, kx), got {array.shape}; reshape before saving"
        )
    axes = tuple(card.get("axes", known[0]))
    if axes not in known:
        raise FormatError(path.with_suffix(".json"), f"expected one of {known}, got {axes}", key="axes")
    return axes


def _numbers(path: Path, card: dict[str, Any], key: str, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    if key not in card:
        return None
    try:
        values = np.array(card[key], dtype=np.float64)
    except (ValueError, TypeError):
        values = np.array(np.nan)
    if values.shape != shape or not np.isfinite(values).all():
        raise FormatError(path.with_suffix(".json"), f"expected numbers of shape {shape}, got {card[key]}", key=key)
    return values


def _number(path: Path, card: dict[str, Any], key: str) -> float | None:
    value = _numbers(path, card, key, ())
    return None if value is None else float(value)


def _geometry(path: Path, card: dict[str, Any], shape: tuple[int, int, int], notes: list[str]) -> Geometry:
    affine = _numbers(path, card, "affine_lps", (4, 4))
    sizes = _numbers(path, card, "voxel_size_mm", (3,))
    thickness = _number(path, card, "slice_thickness_mm")
    for key, values in (("voxel_size_mm", sizes), ("slice_thickness_mm", thickness)):
        if values is not None and np.min(values) <= 0:
            raise FormatError(path.with_suffix(".json"), f"must be positive, got {card[key]}", key=key)
    try:
        if affine is not None:
            geometry = Geometry(affine, thickness or float(np.linalg.norm(affine[:3, 0])))
            if sizes is not None and np.abs(sizes - geometry.voxel_size_mm).max() > 1e-3:
                raise GeometryError(f"voxel_size_mm {sizes.tolist()} contradicts affine_lps {geometry.voxel_size_mm}")
            return geometry
        if sizes is None:
            notes.append("No geometry: orientation, position and voxel size (1 mm) are nominal.")
            sizes = np.ones(3)
        else:
            notes.append("No orientation or position: the geometry is nominal.")
        z, y, x = (float(v) for v in sizes)
        return Geometry.placeholder(shape=shape, voxel_size_mm=(z, y, x), slice_thickness_mm=thickness or z)
    except GeometryError as error:
        raise FormatError(path.with_suffix(".json"), str(error), key="affine_lps") from None


def _encoding(
    path: Path,
    card: dict[str, Any],
    geometry: Geometry,
    shape: tuple[int, int, int],
    mask: Tensor,
    three_d: bool,
    phase_axis: str,
) -> Encoding:
    n, ny, nx = shape
    z, y, x = geometry.voxel_size_mm
    factor = _number(path, card, "readout_oversampling") or 1.0
    if factor < 1:
        raise FormatError(path.with_suffix(".json"), f"must be at least 1, got {factor}", key="readout_oversampling")
    encoded_z = z * n if three_d else geometry.slice_thickness_mm
    matrix, fov = [n if three_d else 1, ny, nx], [encoded_z, y * ny, x * nx]
    recon_matrix, recon_fov = matrix.copy(), fov.copy()
    readout = 1 if phase_axis == "x" else 2
    recon_matrix[readout] = max(1, round(matrix[readout] / factor))
    recon_fov[readout] = fov[readout] / factor
    return Encoding(
        encoded_matrix=(matrix[0], matrix[1], matrix[2]),
        recon_matrix=(recon_matrix[0], recon_matrix[1], recon_matrix[2]),
        encoded_fov_mm=(fov[0], fov[1], fov[2]),
        recon_fov_mm=(recon_fov[0], recon_fov[1], recon_fov[2]),
        partial_fourier=partial_fourier(mask),
        readout_axis="y" if phase_axis == "x" else "x",
    )


def _noise(path: Path, card: dict[str, Any], n_coils: int) -> Tensor | None:
    if "noise" not in card:
        return None
    name = card["noise"]
    if not isinstance(name, str) or Path(name).name != name:
        raise FormatError(
            path.with_suffix(".json"), f"expected the name of a file beside it, got {name!r}", key="noise"
        )
    array = _load(existing_file(path.with_name(name)))
    if array.ndim != 2 or array.shape[0] != n_coils:
        raise FormatError(path.with_name(name), f"expected shape (coil={n_coils}, n), got {array.shape}")
    return torch.from_numpy(np.array(array, dtype=np.complex64))
