"""Small scans for the tests of the transforms, in memory and as files."""

from pathlib import Path

import numpy as np
import torch

from mrirecon.data.phantom import HarmonicMaps, analytic_kspace, landmark_solids, rasterise
from mrirecon.data.simulated_scan import simulate_scan
from mrirecon.scan import Encoding, Geometry, Protocol, Scan, Subject

CENTRE = (10.0, -20.0, 30.0)


def grid(shape=(3, 32, 40), voxel=(8.0, 4.0, 3.0)):
    """An oblique grid about `CENTRE`."""
    a = np.radians(25)
    row = np.array([np.cos(a), 0, np.sin(a)])
    column = np.array([0.0, 1.0, 0.0])
    normal = np.cross(row, column)
    return Geometry.from_centre(
        CENTRE, row, column, normal, shape=shape, voxel_size_mm=voxel, slice_thickness_mm=voxel[0] - 1
    )


def simulated(shape=(3, 32, 40), *, seed=0, snr=50.0, n_coils=6, **options):
    """A scan of the landmark phantom with readout oversampling and a noise scan."""
    geometry = grid(shape)
    solids = list(landmark_solids(centre_mm=CENTRE, size_mm=100.0).values())
    volume = rasterise(solids, geometry, shape=shape, subvoxels=2).numpy() * 1000
    protocol = Protocol(echo_time_ms=12.5, phase_encoding_axis="y", field_strength_t=3.0, body_part="HEAD")
    return simulate_scan(
        volume, geometry, source="a phantom", n_coils=n_coils, snr=snr, seed=seed, protocol=protocol, **options
    )


def analytic(shape=(3, 32, 40), *, voxel=(8.0, 4.0, 3.0), is_3d=False, readout_axis="x", mask=None):
    """A scan whose k-space is the exact Fourier transform of the landmark phantom, without noise or oversampling."""
    geometry = grid(shape, voxel)
    solids = list(landmark_solids(centre_mm=CENTRE, size_mm=80.0).values())
    maps = HarmonicMaps.random(4, fov_mm=140.0, generator=torch.Generator().manual_seed(1))
    kspace = analytic_kspace(solids, geometry, shape=shape, encoding="3D" if is_3d else "2D", maps=maps)
    planes = kspace.transpose(0, 1) if is_3d else kspace
    mask = torch.ones(1, 1, 1, dtype=torch.bool) if mask is None else mask
    fov = tuple(n * v for n, v in zip(shape, geometry.voxel_size_mm, strict=True))
    encoding = Encoding(
        encoded_matrix=shape if is_3d else (1, *shape[1:]),
        recon_matrix=shape if is_3d else (1, *shape[1:]),
        encoded_fov_mm=fov if is_3d else (7.0, *fov[1:]),
        recon_fov_mm=fov if is_3d else (7.0, *fov[1:]),
        readout_axis=readout_axis,
    )
    return Scan(
        source=Path("analytic"),
        format="npy",
        n_slices=1 if is_3d else shape[0],
        n_coils=4,
        encoding=encoding,
        geometry=geometry,
        protocol=Protocol(dimensionality="3D" if is_3d else "2D", phase_encoding_axis="y"),
        subject=Subject("abcdef"),
        mask=mask,
        reader=lambda i: torch.where(mask[min(i, mask.shape[0] - 1)], planes[i], 0),
    ), kspace


def write_npy_scan(folder, name, *, seed=0, shape=(2, 24, 28)):
    """A scan as a .npy file with its JSON card and noise scan, as somebody else would bring it."""
    import json

    scan = simulated(shape, seed=seed, oversampling=1)
    planes = torch.stack([scan.read(i) for i in range(scan.n_planes)]).numpy()
    np.save(folder / f"{name}.npy", planes)
    np.save(folder / f"{name}-noise.npy", scan.noise.numpy())
    card = {
        "affine_lps": np.array(scan.geometry.affine).tolist(),
        "slice_thickness_mm": 7.0,
        "phase_encoding_axis": "y",
        "noise": f"{name}-noise.npy",
        "echo_time_ms": 12.5,
        "simulated": True,
    }
    (folder / f"{name}.json").write_text(json.dumps(card))
    return folder / f"{name}.npy", planes, scan
