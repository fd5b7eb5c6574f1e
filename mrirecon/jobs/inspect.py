"""The `inspect` job: what a file is, and what `recon` would do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from mrirecon.config.schema import EspiritMaps, ReconstructionConfig
from mrirecon.io.base import detect_format, open_scan
from mrirecon.io.inspection import describe_images, describe_scan
from mrirecon.jobs.plan import make_plan
from mrirecon.mri.calibration import calibration_size
from mrirecon.mri.mask_description import describe_mask
from mrirecon.scan.scan import Scan

_IMAGE_ADVICE = "Images are not raw data: recon cannot use them, and k-space cannot be made from them honestly."


def inspect_file(path: str | Path, *, contrast: int = 0, repetition: int = 0) -> dict[str, Any]:
    """A JSON-ready description of any known file; identifying fields are named, their content is left out.

    Parameters
    ----------
    path
        Raw data of any known format, a NIfTI or DICOM file, or a folder of DICOM files.
    contrast, repetition
        Which volume of a raw data file.

    Raises
    ------
    FormatError
        If the file is missing, damaged, or of unknown format.
    """
    path = Path(path)
    kind = detect_format(path)
    if kind in ("nifti", "dicom"):
        return {"file": path.name, **describe_images(path, kind), "recon": None, "advice": _IMAGE_ADVICE}
    scan = open_scan(path, contrast=contrast, repetition=repetition)
    facts = describe_scan(scan)
    facts["reconstructed"] = facts.pop("recon")
    return {"file": path.name, **facts, "sampling": describe_sampling(scan), "recon": describe_plan(scan)}


def describe_sampling(scan: Scan) -> dict[str, Any]:
    """Acceleration and calibration region of the acquired samples.

    The effective acceleration counts everything: phase encodings of the grid over those acquired. The nominal one is
    the distance between lines outside the calibration region, None where it varies or two axes are phase encoded.
    """
    plane, shape = _phase_encoded(scan)
    found = describe_mask(plane, shape)
    lines = None if min(plane.shape) > 1 else int(plane.numel())
    return {
        "effective_acceleration": round(shape[0] * shape[1] / int(plane.expand(shape).sum()), 3),
        "nominal_acceleration": 1 if found.sampling == "full" else found.nominal_acceleration,
        "lines_acquired": None if lines is None else int(plane.sum()),
        "lines": lines,
        "fully_sampled": found.sampling == "full",
        "calibration_region": list(found.centre_lines),
        "axes": "kz, ky" if scan.is_3d else "ky, kx",
    }


def _phase_encoded(scan: Scan) -> tuple[Tensor, tuple[int, int]]:
    """The mask over the two axes of one reconstruction problem, and its full shape."""
    z, y, x = scan.encoding.encoded_matrix
    if scan.is_3d:
        return scan.mask.any(-1), (z, y)
    return scan.mask[0], (y, x)


def describe_plan(scan: Scan) -> dict[str, Any]:
    """What `recon` does with its default configuration: method, maps, whitening, cropping, memory."""
    config = ReconstructionConfig()
    plane, shape = _phase_encoded(scan)
    maps = config.maps if isinstance(config.maps, EspiritMaps) else EspiritMaps()
    available = calibration_size(plane, shape=shape)
    size = [min(maps.calibration, n) for n in available]
    plan = make_plan(scan, config, n_slices=scan.n_slices, memory_limit=None)
    obstacles = []
    if min(size) < min(maps.kernel + 2, *shape):
        obstacles.append(
            f"the fully sampled centre of k-space is {available[0]} x {available[1]}, too small for sensitivity maps: "
            "give maps with --maps, or use --method adjoint --combine rss"
        )
    return {
        "method": config.method.kind,
        "maps": maps.kind,
        "calibration": size,
        "whitening": "noise scan" if scan.noise is not None else "estimated from the edges of k-space",
        "removes_readout_oversampling": scan.encoding.readout_size
        != scan.encoding.encoded_matrix[scan.encoding.readout_dim],
        "output_matrix_yx": list(scan.encoding.recon_matrix[1:]),
        "estimated_memory_bytes": plan.peak_bytes,
        "plan": plan.describe(),
        "obstacles": obstacles,
    }


def render_text(report: dict[str, Any]) -> str:
    """The description of `inspect_file` as an aligned block of text."""
    rows = _image_rows(report) if report["kind"] == "images" else _scan_rows(report)
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    lines += [f"note: {note}" for note in report.get("notes", [])]
    if report["kind"] == "images":
        return "\n".join([*lines, str(report["advice"])])
    plan = report["recon"]
    lines.append("")
    lines.append("recon would")
    lines.append(f"  whiten the coils with noise {_from(plan['whitening'])}")
    if plan["removes_readout_oversampling"]:
        lines.append(f"  remove readout oversampling ({report['readout_oversampling']:g}x)")
    if plan["obstacles"]:
        lines += [f"  stop: {obstacle}" for obstacle in plan["obstacles"]]
    else:
        rows_, columns = plan["calibration"]
        lines.append(f"  estimate {plan['maps']} sensitivity maps from the central {rows_} x {columns} of k-space")
        lines.append(f"  reconstruct with {plan['method']}: {plan['plan']}")
    return "\n".join(lines)


def _from(source: str) -> str:
    return "from the noise scan" if source == "noise scan" else source


def _scan_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    geometry, sampling, protocol = report["geometry"], report["sampling"], report["protocol"]
    count = f"{report['partitions']} partitions" if report["dimensionality"] == "3D" else f"{report['slices']} slices"
    partial = [f"{f:.3g} along {a}" for f, a in zip(report["partial_fourier_zyx"], "zyx", strict=True) if f < 1]
    timing = [
        f"{label} {protocol[key]:.4g} {unit}"
        for label, key, unit in (
            ("TE", "echo_time_ms", "ms"),
            ("TR", "repetition_time_ms", "ms"),
            ("TI", "inversion_time_ms", "ms"),
            ("flip angle", "flip_angle_deg", "degrees"),
            ("field", "field_strength_t", "T"),
        )
        if protocol[key] is not None
    ]
    machine = [str(protocol[key]) for key in ("manufacturer", "model", "sequence_name") if protocol[key]]
    rows = [
        ("file", report["file"]),
        ("format", f"{report['format']}, Cartesian {report['dimensionality']} raw data"),
        ("simulated", "yes: this k-space was made from images" if report["simulated"] else ""),
        ("data", f"{count}, {report['coils']} coils"),
        ("encoded", _space(report["encoded"])),
        ("reconstructed", _space(report["reconstructed"])),
        ("oversampling", f"{report['readout_oversampling']:g} along the readout ({report['readout_axis']})"),
        ("partial Fourier", ", ".join(partial)),
        ("acceleration", _acceleration(sampling)),
        ("calibration", "{} x {} of ({}) fully sampled".format(*sampling["calibration_region"], sampling["axes"])),
        ("noise scan", _noise(report["noise_scan"])),
        ("geometry", _geometry_text(geometry)),
        ("protocol", ", ".join(timing) or "no timing known"),
        ("scanner", ", ".join(machine)),
        ("series", _series_text(report["details"])),
        ("subject", report["subject"]),
        ("identifiers", _identifiers(report["identifiers_present"])),
    ]
    return [(name, value) for name, value in rows if value]


def _image_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("file", report["file"]), ("format", f"{report['format']}, images")]
    if report["format"] == "nifti":
        known = "" if report["orientation_known"] else " (nominal)"
        rows += [
            ("shape", f"{_times(report['shape_xyz'])} (x, y, z), {report['dtype']}"),
            ("voxel size", f"{_times(report['voxel_size_mm_xyz'])} mm"),
            ("orientation", f"{report['orientation']}{known}"),
        ]
    for series in report.get("series", []):
        spacing = _times(series["pixel_spacing_mm_yx"]) if series["pixel_spacing_mm_yx"] else "unknown"
        step = f", slice step {series['slice_step_mm']:g} mm" if series["slice_step_mm"] else ""
        towards = "; x to {}, y to {}".format(*series["towards_x_y"]) if series["towards_x_y"] else ""
        rows.append(
            (
                "series",
                f"{series['images']} {series['modality'] or ''} images of {series['rows']} x {series['columns']}, "
                f"pixel spacing {spacing} mm{step}{towards}",
            )
        )
    return [*rows, ("identifiers", _identifiers(report["identifiers_present"]))]


def _space(space: dict[str, Any]) -> str:
    return f"{_times(space['matrix_zyx'][::-1])} (x, y, z), {_times(space['fov_mm_zyx'][::-1])} mm"


def _times(values: list[float]) -> str:
    return " x ".join(f"{v:.6g}" for v in values)


def _acceleration(sampling: dict[str, Any]) -> str:
    if sampling["fully_sampled"]:
        return "none: fully sampled"
    lines = "" if sampling["lines"] is None else f", {sampling['lines_acquired']} of {sampling['lines']} lines"
    nominal = sampling["nominal_acceleration"]
    return f"effective {sampling['effective_acceleration']:g}" + (f", nominal {nominal}" if nominal else "") + lines


def _noise(noise: dict[str, Any] | None) -> str:
    return "none" if noise is None else f"{noise['samples_per_coil']} samples per coil"


def _geometry_text(geometry: dict[str, Any]) -> str:
    voxel = f"voxels {_times(geometry['voxel_size_mm_zyx'][::-1])} mm"
    if not geometry["known"]:
        return f"NOMINAL: orientation and position are placeholders; {voxel}"
    z, y, x = geometry["towards_zyx"]
    return f"{geometry['plane']}, x to {x}, y to {y}, slices to {z}; {voxel}"


def _series_text(details: dict[str, Any]) -> str:
    counted = ("contrasts", "repetitions", "sets", "cardiac_phases", "averages")
    return ", ".join(
        f"{details[key]} {key.replace('_', ' ')}"
        for key in counted
        if isinstance(details.get(key), int) and details[key] > 1
    )


def _identifiers(names: list[str]) -> str:
    return f"{len(names)} fields, not shown: {', '.join(names)}" if names else "none found"
