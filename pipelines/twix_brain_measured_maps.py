"""A Siemens brain scan with sensitivity maps measured by a body-coil scan of the same slices.

    python pipelines/twix_brain_measured_maps.py HEAD_COIL.dat BODY_COIL.dat OUT

Measured maps need no fully sampled centre, so they also serve scans that were undersampled all over.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mrirecon.config.schema import ReconstructionConfig, ReferenceMaps, Sense
from mrirecon.jobs.export import Formats
from mrirecon.jobs.recon import ReconOptions, recon_file
from mrirecon.jobs.reporting import StandardError


def main(head_coil: str, body_coil: str, out: str) -> None:
    config = ReconstructionConfig(maps=ReferenceMaps(Path(body_coil)), method=Sense(regularisation=1e-3))
    recon_file(Path(head_coil), Path(out), ReconOptions(config=config, formats=Formats(npy=True)), StandardError())


if __name__ == "__main__":
    main(*sys.argv[1:])
