"""From raw file to DICOM with MONAI dictionary transforms, to be cut up and used in your own training or evaluation.

    python pipelines/monai_transforms.py FILE OUT

Every step takes and returns a dictionary: k-space (slice, coil, ky, kx) stays complex, its header travels beside it,
and the scaling is undone before writing.
"""

from __future__ import annotations

import sys

from mrirecon.reconstruction.primal_dual import PrimalDualTV
from mrirecon.transforms import (
    CompressCoilsd,
    EstimateSensitivitiesd,
    LoadScand,
    Prewhitend,
    Reconstructd,
    RemoveOversamplingd,
    SamplingMaskd,
    SaveDicomd,
    SaveNiftid,
    ScaleKSpaced,
    ToReconMatrixd,
)


def steps(out: str) -> list[object]:
    return [
        LoadScand(),
        RemoveOversamplingd(),
        Prewhitend(),
        CompressCoilsd(n_coils=4),
        SamplingMaskd(kind="equispaced", acceleration=2, centre_lines=20, seed=0),
        ScaleKSpaced(),
        EstimateSensitivitiesd(kind="espirit", calibration=20),
        Reconstructd(PrimalDualTV(weight=2e-3, max_iterations=50)),
        ToReconMatrixd("reconstruction"),
        SaveDicomd(output_dir=out, method="tv"),
        SaveNiftid(output_dir=out, method="tv"),
    ]


def main(source: str, out: str) -> None:
    item: dict[object, object] = {"scan": source}
    for step in steps(out):  # or monai.transforms.Compose(steps(out))({"scan": source})
        item = step(item)  # type: ignore[operator]


if __name__ == "__main__":
    main(*sys.argv[1:])
