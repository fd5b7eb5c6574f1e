"""Undersampled multi-coil MRI with a known answer: simulated from image volumes that no model was trained on.

Image, phase, coils and noise of a slice are the same in all settings; the mask differs. Coils are loops by the law of
Biot and Savart or a birdcage, drawn otherwise than those of training. As for a user, the sensitivity maps are estimated
by ESPIRiT from the calibration lines of the undersampled data, and all methods get the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.data.spec import DataSpec, load_data_spec, split_files
from mrirecon.data.volumes import Volume, data_root, read_volumes
from mrirecon.errors import ConfigError
from mrirecon.evaluation.problems import Case, Problem, evenly_spaced
from mrirecon.evaluation.undersampling import MRISetting, simulated_problem
from mrirecon.io.nrrd import nrrd_geometry
from mrirecon.records import to_mapping
from mrirecon.scan import Geometry, Protocol
from mrirecon.scan.orientation import reordered, standard_view

_CONTENT = 0.05  # share of a slice above a tenth of the volume's robust maximum


@dataclass(frozen=True)
class MRIProblems:
    """Which slices, and what is done with them.

    Parameters
    ----------
    specs
        Names of data specifications of image volumes; slices are cut along the axis of the thickest voxels, on their
        native matrix.
    settings
        Every slice is taken through all of them.
    split
        Part of the data; hyper-parameters must be tuned on another one than the table shows.
    slices
        Per volume, spread evenly through those with content.
    coils
        Numbers of coils, taken by turns.
    noise
        Sigma per real component of whitened coils where the 99th percentile of the image is 1, taken by turns. The
        defaults are measured: 0.018 in a brain (pulseq-freiburg-brain, 16 channels, 2 x 2 x 3 mm; sigpy-tutorial-brain
        has 0.020), 0.009 in a phantom with the same coil.
    min_centre_lines
        Fewest fully sampled lines.
    seed
        Of phase, coils, masks and noise.
    """

    specs: tuple[str, ...]
    settings: tuple[MRISetting, ...]
    split: str = "validation"
    slices: int = 7
    coils: tuple[int, ...] = (8, 12, 16)
    noise: tuple[float, ...] = (0.018, 0.009)
    min_centre_lines: int = 8
    seed: int = 0
    kind: Literal["mri"] = "mri"

    def __post_init__(self) -> None:
        if not self.settings or not self.coils or not self.noise or self.slices < 1 or self.seed < 0:
            raise ConfigError("`settings`, `coils`, `noise` and `slices` must not be empty, `seed` not negative")
        if min(self.coils) < 1 or not min(self.noise) > 0:
            raise ConfigError(f"`coils` and `noise` must be positive, got {self.coils} and {self.noise}")
        if len({s.name for s in self.settings}) != len(self.settings):
            raise ConfigError("two `settings` have the same mask, acceleration and coils")


def simulated_cases(problems: MRIProblems, specs: Path, root: str | Path | None) -> tuple[Case, ...]:
    """The cases of image volumes, subject by subject, slice by slice.

    Parameters
    ----------
    specs
        Folder of the data specifications.
    root
        Folder of the data; the variable MRIRECON_DATA when None.
    """
    folder = data_root(root)
    cases: list[Case] = []
    for spec_name in problems.specs:
        volumes = slice_stacks(load_data_spec(specs / f"{spec_name}.yaml"), problems.split, folder)
        for number, volume in enumerate(volumes):
            subject = spec_name if len(volumes) == 1 else f"{spec_name}-{number + 1}"
            slices = chosen_slices(volume, problems.slices)
            for turn, (index, magnitude) in enumerate(slices):
                cases += [_case(problems, setting, subject, index, turn, magnitude) for setting in problems.settings]
    return tuple(cases)


def slice_stacks(spec: DataSpec, split: str, root: Path) -> tuple[NDArray[np.float32], ...]:
    """The volumes of `slice_stacks_with_geometry` alone."""
    return tuple(stack for stack, _ in slice_stacks_with_geometry(spec, split, root))


def slice_stacks_with_geometry(
    spec: DataSpec, split: str, root: Path
) -> tuple[tuple[NDArray[np.float32], Geometry], ...]:
    """Magnitude volumes (slice, y, x), cut along the axis of the thickest voxels, and their grids.

    NIfTI slices are turned to the standard radiological view, so that pictures are the right way up; the other formats
    are left as they are stored.
    """
    if spec.kind == "images" and spec.reader == "dicom":
        from mrirecon.io.dicom.images import dicom_series_with_geometry  # pydicom is slow to load, and often not needed

        series = dicom_series_with_geometry(split_files(spec, split, root))
        return tuple(_thickest_first(np.abs(values), geometry) for values, geometry in series)
    if spec.reader != "nifti":
        volumes = read_volumes(spec, split, root)
        known = [nrrd_geometry(path) for path in split_files(spec, split, root)]
        return tuple(
            _thickest_first(v.magnitude, _placeholder(v) if geometry is None else geometry)
            for v, geometry in zip(volumes, known, strict=True)
        )
    from mrirecon.io.nifti.reader import read_nifti

    stacks = []
    for path in split_files(spec, split, root):
        values, geometry = read_nifti(path)
        axis = int(np.argmax(geometry.voxel_size_mm))
        if axis == 0:
            values, geometry, _ = reordered(values, geometry, Protocol(), standard_view(geometry))
        stacks.append(_thickest_first(np.abs(values), geometry, axis))
    return tuple(stacks)


def _thickest_first(
    magnitude: NDArray[np.float32], geometry: Geometry, axis: int | None = None
) -> tuple[NDArray[np.float32], Geometry]:
    sizes = geometry.voxel_size_mm
    axis = int(np.argmax(sizes)) if axis is None else axis
    order = [axis, *(i for i in range(3) if i != axis), 3]
    turned = Geometry(geometry.affine[:, order], sizes[axis], nominal=geometry.nominal)
    return np.moveaxis(magnitude, axis, 0), turned


def _placeholder(volume: Volume) -> Geometry:
    n_z, n_y, n_x = volume.magnitude.shape
    sizes = volume.voxel_size_mm
    return Geometry.placeholder(shape=(n_z, n_y, n_x), voxel_size_mm=sizes, slice_thickness_mm=sizes[0])


def chosen_slices(volume: NDArray[np.float32], n: int) -> list[tuple[int, Tensor]]:
    """`n` slices (index, magnitude) of (slice, y, x) with content, each divided by its 99th percentile."""
    level = 0.1 * float(np.percentile(volume, 99.5))
    kept = np.flatnonzero((volume > level).mean(axis=(1, 2)) >= _CONTENT)
    if not len(kept):
        raise ConfigError(f"no slice of a volume of shape {volume.shape} shows anything; check the files")
    chosen = [int(kept[i]) for i in evenly_spaced(len(kept), n)]
    return [(i, torch.from_numpy(volume[i] / np.float32(np.percentile(volume[i], 99)))) for i in chosen]


def _case(problems: MRIProblems, setting: MRISetting, subject: str, index: int, turn: int, magnitude: Tensor) -> Case:
    counts = setting.coils or problems.coils
    seed = crc32(f"{problems.seed}/{subject}/{index}".encode())
    identity = {
        "subject": subject,
        "slice": index,
        "matrix": list(magnitude.shape),
        "setting": to_mapping(setting),
        "coils": counts[turn % len(counts)],
        "family": ("loops", "birdcage")[turn % 2],
        "sigma": problems.noise[turn % len(problems.noise)],
        "axis": ("x", "y")[turn // 2 % 2],
        "min_centre_lines": problems.min_centre_lines,
        "seed": seed,
    }

    def make() -> Problem:
        return simulated_problem(
            magnitude,
            setting,
            n_coils=identity["coils"],
            coils=identity["family"],
            sigma=identity["sigma"],
            axis=identity["axis"],
            min_centre_lines=problems.min_centre_lines,
            seed=seed,
        )

    name = f"{subject}/{index:03d}/{setting.name.replace(' ', '-')}"
    return Case(name, subject, setting.name, setting.family, identity, make)
