"""A fastMRI-layout file (multi-coil or prospective with a mask) to a DICOM series.

    python pipelines/fastmri_knee_to_dicom.py FILE.h5 OUT

fastMRI files carry no position or orientation: the series says so in its description, and left and right are unknown.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mrirecon.config.schema import EspiritMaps, Preparation, ReconstructionConfig, Wavelet
from mrirecon.jobs.export import Formats
from mrirecon.jobs.recon import ReconOptions, recon_file
from mrirecon.jobs.reporting import StandardError

CONFIG = ReconstructionConfig(
    preparation=Preparation(virtual_coils=8),  # of 15; knee coils overlap a lot
    maps=EspiritMaps(calibration=24),
    method=Wavelet(weight=5e-3),
)


def main(source: str, out: str) -> None:
    options = ReconOptions(config=CONFIG, formats=Formats(dicom=True, nifti=True, png=True))
    recon_file(Path(source), Path(out), options, StandardError())


if __name__ == "__main__":
    main(*sys.argv[1:])
