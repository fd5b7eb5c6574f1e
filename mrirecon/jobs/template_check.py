"""Whether a template fits what will be reconstructed, asked before the work."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mrirecon.config.schema import ReconstructionConfig
from mrirecon.io.dicom.template_reader import read_template
from mrirecon.jobs.assemble import final_grid
from mrirecon.scan import Derivation, ImageSeries, Scan
from mrirecon.scan.orientation import reordered, standard_view


def require_template(template: Path, scan: Scan, config: ReconstructionConfig, *, slices: range | None) -> None:
    """Refuse a template whose study, frame of reference or grid is not that of the images to be made.

    The pictures of a scan without position are compared when they are there.

    Parameters
    ----------
    template
        Folder with the scanner's series.
    scan, config, slices
        As they will be reconstructed.

    Raises
    ------
    FormatError
        If the folder holds no single readable MR series.
    GeometryError
        If it does not fit.
    """
    crop = config.preparation.remove_oversampling
    _, y, x = scan.encoding.recon_matrix if crop else scan.encoding.encoded_matrix
    total = scan.encoding.recon_matrix[0] if scan.is_3d else scan.n_slices
    chosen = slices if slices is not None else range(total)
    if not 0 <= chosen.start < chosen.stop <= total:
        return  # `reconstruct` says what is wrong with that
    image = np.zeros((len(chosen), y, x), np.float32)
    geometry, protocol = final_grid(scan, crop=crop).crop((chosen.start, 0, 0)), scan.protocol
    if config.view == "standard" and not geometry.nominal:
        image, geometry, protocol = reordered(image, geometry, protocol, standard_view(geometry))
    planned = Derivation("planned", "", {}, "")
    series = ImageSeries(image, geometry, protocol, scan.subject, planned, "")
    read_template(template, series).require(series)
