"""The noise scan of an MRD file, and how its variance relates to that of the image."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrirecon.errors import FormatError
from mrirecon.io.ismrmrd.header import RawHeader
from mrirecon.io.ismrmrd.index import DATA, Lines
from mrirecon.io.ismrmrd.lines import as_complex
from mrirecon.io.ismrmrd.samples import Samples

_MAX_SAMPLES = 2**18


def noise_samples(samples: Samples, lines: Lines) -> Tensor | None:
    """Samples of the noise scan, (coil, n), at most about 260 000 per coil."""
    if lines.size == 0:
        return None
    keep = max(1, int(np.searchsorted(np.cumsum(lines["number_of_samples"]), _MAX_SAMPLES, side="right")))
    lines = lines[:keep]
    lines = lines[lines["active_channels"] == lines["active_channels"][0]]
    n_coils = int(lines["active_channels"][0])
    path = samples.path
    with samples.opened() as read:
        parts = [
            as_complex(values, n_coils, int(head["number_of_samples"]), path=path, number=int(head["number"]))
            for head, values in zip(lines, read(lines["number"]), strict=True)
        ]
    noise = np.concatenate(parts, axis=1)
    if not np.isfinite(noise.view(np.float32)).all():
        raise FormatError(path, "the noise scan holds samples that are NaN or infinite", key=DATA)
    return torch.from_numpy(noise)


def noise_scale(
    noise: Tensor | None, noise_lines: Lines, imaging: Lines, averages: NDArray[np.int64], header: RawHeader
) -> tuple[Tensor | None, float, list[str]]:
    """Variance of the imaging data over that of the noise scan: dwell times, receiver filter and averages."""
    if noise is None:
        return None, 1.0, []
    n_coils = int(imaging["active_channels"][0])
    if noise.shape[0] != n_coils:
        return None, 1.0, [f"the noise scan has {noise.shape[0]} channels, the image {n_coils}: it is not used"]
    notes = []
    ratio = float((1.0 / averages).mean()) / (header.relative_noise_bandwidth or 1.0)
    dwells = float(noise_lines["sample_time_us"][0]), float(imaging["sample_time_us"][0])
    if min(dwells) > 0:
        ratio *= dwells[0] / dwells[1]
    else:
        notes.append("dwell times are not given: the noise scan is taken to have the bandwidth of the image")
    if np.ptp(averages):
        notes.append("lines have different numbers of averages: the noise level is a mean over k-space")
    return noise, ratio, notes
