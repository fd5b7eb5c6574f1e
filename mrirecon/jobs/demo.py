"""The demonstration: real anatomy, simulated scanner, and from the raw file on exactly what a user does."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from mrirecon.config.schema import ReconstructionConfig
from mrirecon.data.anatomy import load_anatomy
from mrirecon.data.simulated_scan import simulate_scan
from mrirecon.errors import OutputError
from mrirecon.io.ismrmrd.write import write_ismrmrd
from mrirecon.jobs.export import Formats
from mrirecon.jobs.recon import ReconOptions, recon_file
from mrirecon.jobs.reporting import Reporter

RAW_NAME = "simulated_scan.h5"


def run_demo(out: Path, config: ReconstructionConfig, *, overwrite: bool, reporter: Reporter) -> str:
    """Write an ISMRMRD file with simulated coils, phase and noise, and reconstruct it.

    Parameters
    ----------
    out
        New folder: the raw file and, in ``recon``, what `mrirecon recon` writes.
    config
        The reconstruction.

    Returns
    -------
        What to try next.

    Raises
    ------
    OutputError
        If the folder exists and `overwrite` is off, or is not one of a demo.
    """
    raw, results = out / RAW_NAME, out / "recon"
    if out.exists() and any(out.iterdir()):
        if not overwrite:
            raise OutputError(f"{out} exists already; choose another folder with --out or give --overwrite")
        if not raw.is_file():
            raise OutputError(f"{out} does not look like an earlier demo; it is not overwritten")
        shutil.rmtree(results, ignore_errors=True)
        raw.unlink()
    anatomy = load_anatomy()
    reporter.say(f"anatomy: {anatomy.description} ({anatomy.source}; {anatomy.licence})")
    reporter.say("coils, phase and noise are simulated; every output says so")
    scan = simulate_scan(anatomy.volume, anatomy.geometry, source=anatomy.source, n_coils=8, seed=config.seed)
    out.mkdir(parents=True, exist_ok=True)
    write_ismrmrd(
        raw,
        torch.stack([scan.read(i) for i in range(scan.n_planes)]),
        encoding=scan.encoding,
        geometry=scan.geometry,
        protocol=scan.protocol,
        noise=scan.noise,
        simulated=scan.simulated,
    )
    reporter.say(f"raw data written to {raw}")
    options = ReconOptions(config=config, formats=Formats())
    recon_file(raw, results, options, reporter)
    return (
        "Try next:\n"
        f"  mrirecon inspect {raw}\n"
        f"  mrirecon recon {raw} --out sense --method sense --accelerate 4 --mask equispaced\n"
        f"  mrirecon recon YOUR_SCAN --out results"
    )
