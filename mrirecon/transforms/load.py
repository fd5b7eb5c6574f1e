"""Raw data into the dictionary: k-space, mask, noise scan and header."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import torch
from monai.config import KeysCollection
from monai.transforms import MapTransform
from torch import Tensor

from mrirecon.errors import ConfigError, FormatError
from mrirecon.io.base import open_scan
from mrirecon.linalg.fft import ifft
from mrirecon.scan import Scan
from mrirecon.transforms.header import ALL_PLANES, describe_scan
from mrirecon.transforms.keys import KSPACE, MASK, META, NOISE, PLANE, SCAN


class LoadScand(MapTransform):  # type: ignore[misc]
    """Replace a path (or a `Scan`) by k-space, mask, noise scan and header.

    The k-space is complex64 with its header beside it; nothing is dropped and nothing is scaled. An item with the key
    "plane" gets that slice only, (coil, ky, kx); without it all slices, (slice, coil, ky, kx). A 3D scan becomes
    slices by a Fourier transform along kz, which needs kz to be complete.

    Parameters
    ----------
    keys
        Where the path is; one key.
    contrast, repetition
        Which echo and repetition.

    Raises
    ------
    FormatError
        If the file cannot be read.
    ConfigError
        If a slice of a 3D scan is asked for, or its kz is undersampled.
    """

    def __init__(self, keys: KeysCollection = SCAN, *, contrast: int = 0, repetition: int = 0) -> None:
        super().__init__(keys)
        if len(self.keys) != 1:
            raise ConfigError(f"LoadScand takes one key, the path of a scan, got {self.keys}")
        self.contrast = contrast
        self.repetition = repetition

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        out = dict(data)
        given = out.pop(self.keys[0])
        scan = given if isinstance(given, Scan) else self._open(Path(given))
        plane = int(out.pop(PLANE, ALL_PLANES))
        kspace, mask = read_kspace(scan, plane=plane)
        out[KSPACE], out[MASK] = kspace, mask
        out[META] = describe_scan(scan, plane=plane)
        if scan.noise is not None:
            out[NOISE] = scan.noise.to(torch.complex64)
        return out

    def _open(self, path: Path) -> Scan:
        return open_scan(path, contrast=self.contrast, repetition=self.repetition)


def read_kspace(scan: Scan, *, plane: int = ALL_PLANES) -> tuple[Tensor, Tensor]:
    """K-space of all slices or of one, and the mask with as many axes.

    Raises
    ------
    ConfigError
        As `LoadScand`.
    FormatError
        If the scan has no such slice or the samples are not finite.
    """
    mask = scan.mask.bool()
    if scan.is_3d:
        if plane != ALL_PLANES:
            raise ConfigError(f"{scan.source} is a 3D scan, its planes are kz partitions; leave out the key 'plane'")
        if not bool((mask == mask[:1]).all()):
            raise ConfigError(
                f"{scan.source} is a 3D scan undersampled along kz, which slice-wise transforms cannot treat; "
                "use mrirecon.jobs.recon or the command `mrirecon recon`"
            )
    elif plane != ALL_PLANES and not 0 <= plane < scan.n_slices:
        raise FormatError(scan.source, f"has slices 0 to {scan.n_slices - 1}, slice {plane} was asked for")
    if plane == ALL_PLANES:
        kspace = torch.stack([scan.read(i) for i in range(scan.n_planes)])
        kspace = ifft(kspace, (0,)) if scan.is_3d else kspace
    else:
        kspace = scan.read(plane)
    if not bool(torch.isfinite(torch.view_as_real(kspace)).all()):
        raise FormatError(scan.source, "holds NaN or infinite samples; the file is damaged")
    return kspace.to(torch.complex64), mask[:1].reshape(*[1] * (kspace.ndim - 2), *mask.shape[1:])
