"""How far can this scan be accelerated? One reconstruction of a BART cfl per acceleration factor.

    python pipelines/retrospective_cfl.py FILE.cfl OUT

Each result folder's provenance.json holds the identity card of its mask; `mrirecon.mri.masks.replay` draws it again.
"""

from __future__ import annotations

import sys
from pathlib import Path

from mrirecon.config.schema import ReconstructionConfig, Undersampling, Wavelet
from mrirecon.jobs.export import Formats
from mrirecon.jobs.recon import ReconOptions, recon_file
from mrirecon.jobs.reporting import StandardError

ACCELERATIONS = (2, 3, 4)


def main(source: str, out: str) -> None:
    for acceleration in ACCELERATIONS:
        config = ReconstructionConfig(
            undersampling=Undersampling(kind="equispaced", acceleration=acceleration, centre_lines=20),
            method=Wavelet(weight=5e-3),
            seed=0,
        )
        options = ReconOptions(config=config, formats=Formats(npy=True))
        recon_file(Path(source), Path(out) / f"R{acceleration}", options, StandardError())


if __name__ == "__main__":
    main(*sys.argv[1:])
