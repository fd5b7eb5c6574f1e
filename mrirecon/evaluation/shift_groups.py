"""Scans for the calibration of the shift alarm: usual ones and others, simulated alike or measured."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from mrirecon.data.mri_examples import MRIExamples, MRISimulation
from mrirecon.data.spec import DataSpec, load_data_spec, split_files
from mrirecon.data.volumes import Volume, read_volumes
from mrirecon.errors import ConfigError, FormatError
from mrirecon.evaluation.measured_problems import whitened
from mrirecon.evaluation.undersampling import MRISetting, drawn_mask, estimated_maps
from mrirecon.io.base import open_scan
from mrirecon.linalg.fft import fft, ifft
from mrirecon.mri.coils import root_sum_of_squares
from mrirecon.operators.mri import CartesianMRI, cartesian_mri
from mrirecon.operators.noise import GaussianNoise
from mrirecon.reconstruction.normalisation import intensity_scale

_NOMINAL = (10.0, 1.0, 1.0)  # voxels of k-space without geometry: slices are cut in plane


@dataclass(frozen=True)
class ShiftGroup:
    """Scans of one kind.

    Parameters
    ----------
    name
        What they show.
    specs
        Data specifications of image volumes, of fully sampled k-space, or of the .mat files of knee and heart.
    split
        Part of the data.
    scans
        How many are made, of every specification.
    """

    name: str
    specs: tuple[str, ...]
    split: str
    scans: int = 12

    def __post_init__(self) -> None:
        if not self.specs or self.scans < 1:
            raise ConfigError(f"group {self.name!r} needs `specs` and at least one scan")


@dataclass(frozen=True, eq=False)
class ShiftScan:
    """One undersampled plane.

    Parameters
    ----------
    group, subject
        What it shows, and of whom.
    y, operator, sigma
        Data divided by their `intensity_scale`, what made them, and their noise per real component.
    """

    group: str
    subject: str
    y: Tensor
    operator: CartesianMRI
    sigma: float


def simulated_scans(
    group: ShiftGroup, simulation: MRISimulation, *, specs: Path, root: Path, seed: int
) -> Iterator[ShiftScan]:
    """Magnitudes of a group through one simulation, so that groups differ in what they show alone.

    Contrast, phase, coils, noise, masks, matrix and placement in the field of view are drawn by `simulation`, the
    same for every group; the true phase, coils and noise of measured data are not used. Maps are estimated from the
    calibration lines.
    """
    for name in group.specs:
        volumes = group_volumes(load_data_spec(specs / f"{name}.yaml"), group.split, root)
        people = _by_subject(name, volumes)
        for subject, some in people.items():
            share = -(-group.scans // len(people))
            examples = MRIExamples(some, simulation, seed=crc32(f"{seed}/{subject}".encode()))
            for index in range(share):
                batch = examples.batch(index)
                noise, operator = batch.model.noise, batch.model.operator
                if not isinstance(noise, GaussianNoise) or not isinstance(operator, CartesianMRI):
                    raise ConfigError("simulated scans must be Cartesian with Gaussian noise")
                y, mask = batch.data[0], operator.mask[0]
                sigma = float(torch.as_tensor(noise.sigma).flatten()[0])
                yield _as_for_a_user(group.name, subject, y, mask, sigma)


def measured_scans(
    group: ShiftGroup,
    settings: tuple[MRISetting, ...],
    *,
    specs: Path,
    root: Path,
    min_centre_lines: int,
    seed: int,
) -> Iterator[ShiftScan]:
    """Measured data as they are, with their own matrix, coils, phase and noise; only lines are left out."""
    for name in group.specs:
        spec = load_data_spec(specs / f"{name}.yaml")
        planes = list(_kspace(spec, group.split, root))
        for index in range(group.scans):
            subject, kspace, axis = planes[index % len(planes)]
            setting = settings[index // len(planes) % len(settings)]
            shape = (kspace.shape[-2], kspace.shape[-1])
            number = crc32(f"{seed}/{subject}/{index}".encode())
            mask = drawn_mask(setting, shape, axis, min_centre_lines=min_centre_lines, seed=number)
            yield _as_for_a_user(group.name, subject, torch.where(mask, kspace, 0), mask, 1.0)


def group_volumes(spec: DataSpec, split: str, root: Path) -> tuple[Volume, ...]:
    """Magnitude volumes of images, of fully sampled k-space, or of the .mat files."""
    if spec.kind == "images" and spec.reader != "mat":
        return read_volumes(spec, split, root)
    found = []
    for path in split_files(spec, split, root):
        if spec.reader == "mat":
            images = _mat_images(spec, path).abs()
        else:
            scan = open_scan(path)
            planes = [ifft(scan.read(i), (-2, -1)) for i in range(scan.n_slices)]
            images = torch.stack([root_sum_of_squares(plane)[0] for plane in planes])
        found.append(Volume(images.numpy().astype(np.float32), _NOMINAL, f"{spec.name}/{path.stem}"))
    return tuple(found)


def _as_for_a_user(group: str, subject: str, y: Tensor, mask: Tensor, sigma: float) -> ShiftScan:
    """The scan with maps and intensity scale from its undersampled data: of a single coil, too, as `recon` does it."""
    operator = cartesian_mri(mask, estimated_maps(y, mask))
    scale = float(intensity_scale(y, operator))
    return ShiftScan(group, subject, y / scale, operator, sigma / scale)


def _by_subject(name: str, volumes: tuple[Volume, ...]) -> dict[str, list[Volume]]:
    """Volumes of a collection show one subject; of .mat and k-space files every one its own."""
    found: dict[str, list[Volume]] = {}
    for volume in volumes:
        found.setdefault(volume.collection if "/" in volume.collection else name, []).append(volume)
    return found


def _kspace(spec: DataSpec, split: str, root: Path) -> Iterator[tuple[str, Tensor, Literal["x", "y"]]]:
    """(subject, whitened k-space (coil, ky, kx), phase-encoding axis) of every plane."""
    axis: Any = spec.phase_encoding_axis or "y"
    for path in split_files(spec, split, root):
        subject = f"{spec.name}/{path.stem}"
        if spec.reader == "mat":
            for image in _mat_images(spec, path):
                yield subject, whitened(fft(image, (-2, -1))[None], None), axis
            continue
        scan = open_scan(path)
        for index in range(scan.n_slices):
            yield subject, whitened(scan.read(index), scan.noise, bandwidth_ratio=scan.noise_bandwidth_ratio), axis


def _mat_images(spec: DataSpec, path: Path) -> Tensor:
    """Complex images (image, y, x) of a MATLAB file: k-space "dat", or the images of a structure "data"."""
    from scipy.io import loadmat

    key = spec.arrays[0].key if spec.arrays else ""
    try:
        values = loadmat(path)[key]
        if spec.kind == "kspace":
            return ifft(torch.from_numpy(np.ascontiguousarray(values)).to(torch.complex64), (-2, -1))[None]
        images = values["images"][0, 0]
    except (KeyError, ValueError, IndexError, NotImplementedError) as error:
        raise FormatError(path, f"does not hold what {spec.name} says: {error}", key=key) from error
    flat = np.moveaxis(images.reshape(*images.shape[:2], -1), -1, 0)
    return torch.from_numpy(np.ascontiguousarray(flat)).to(torch.complex64)
