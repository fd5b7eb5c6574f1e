"""`mrirecon recon`: reconstruct raw files."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mrirecon.cli.options import METHODS, Commands, add_sampling
from mrirecon.cli.recon_config import companions, configuration, parse_slices
from mrirecon.jobs.reporting import StandardError

MASKS = ("equispaced", "equispaced-fraction", "random", "gaussian", "magic", "poisson-disc")


def add_recon(commands: Commands) -> None:
    """The command `recon` and its options."""
    command = commands.add_parser("recon", help="reconstruct raw files", allow_abbrev=False)
    command.add_argument("file", type=Path, nargs="+", help="fastMRI HDF5, ISMRMRD, Siemens twix, BART cfl, NumPy npy "
                         "and others, see README")  # fmt: skip
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for the results")
    command.add_argument("--config", type=Path, metavar="FILE.yaml", help="complete experiment; options override it")
    command.add_argument("--method", choices=list(METHODS), help="default sense")
    command.add_argument("--combine", choices=["matched-filter", "rss"], help="adjoint only: how coils are combined")
    command.add_argument("--weight", type=float, help="regularisation weight of the method, unit-free")
    command.add_argument("--iterations", type=int, help="iteration limit of the method")
    add_sampling(command, checkpoint="mri-small")
    command.add_argument("--write-samples", action="store_true", help="unfolded: write every sample (nifti, npy)")
    command.add_argument("--accelerate", type=float, metavar="R", help="undersample retrospectively")
    command.add_argument("--mask", choices=MASKS, help="kind of retrospective mask, default equispaced")
    command.add_argument("--centre-lines", type=int, metavar="N", help="fully sampled centre lines, default 24")
    command.add_argument("--maps", metavar="KIND", help="espirit (default), walsh, or a file: maps (.npy, .cfl) or a "
                         "body-coil scan of the same geometry")  # fmt: skip
    command.add_argument("--map-sets", type=int, choices=[1, 2], help="two ESPIRiT sets where the field of view folds")
    command.add_argument("--compress-coils", type=int, metavar="N", help="virtual coils to keep")
    command.add_argument("--whitening", choices=["auto", "noise-scan", "edges", "none"])
    command.add_argument("--partial-fourier", choices=["zero-fill", "homodyne", "pocs"])
    command.add_argument("--view", choices=["standard", "acquired"], help="order of rows and columns; default standard")
    command.add_argument("--keep-oversampling", action="store_true", help="do not crop the readout")
    command.add_argument("--contrast", type=int, default=0, metavar="N", help="which echo or contrast, from 0")
    command.add_argument("--repetition", type=int, default=0, metavar="N", help="which repetition, from 0")
    command.add_argument(
        "--reflected",
        choices=["header", "odd", "even", "none"],
        default="header",
        help="twix: lines that run backwards in an EPI scan whose file does not say (from 0)",
    )
    command.add_argument(
        "--third-axis", choices=["partition", "slice"], default="partition", help="BART: what dimension 2 counts"
    )
    command.add_argument("--slices", metavar="A:B", help="slices A to B-1, or one slice A")
    for name, text in (("dicom", "classic MR DICOM series"), ("nifti", "NIfTI"), ("png", "contact sheet"),
                       ("npy", "magnitude as a NumPy array")):  # fmt: skip
        command.add_argument(f"--{name}", action="store_true", help=f"write {text} (default: dicom, nifti and png)")
    command.add_argument("--template", type=Path, metavar="DICOMDIR", help="scanner series whose study to join")
    command.add_argument("--companions", metavar="LIST", help="what to write beside the images, with commas: "
                         "uncertainty, parametric-map, classical, certificate; or none. Default: uncertainty where "
                         "samples are drawn, and certificate")  # fmt: skip
    command.add_argument("--classical", choices=["sense", "wavelet", "tv"], help="method of the classical companion, "
                         "default sense; asks for it too")  # fmt: skip
    command.add_argument("--keep-identifiers", action="store_true", help="DICOM with the patient and study of the raw "
                         "header, for use inside the hospital; default: none of it is written")  # fmt: skip
    command.add_argument("--no-shift-alarm", action="store_true", help="unfolded: do not ask the network whether the "
                         "scan looks like its training")  # fmt: skip
    command.add_argument("--certificate", choices=["quick", "sharp", "none"], default="quick", help="test of the image "
                         "against the measurement: quick (default) is free and lets 3 %% of misfit pass; sharp also "
                         "finds faint changes of the image and reconstructs every slice 14 times; none")  # fmt: skip
    command.add_argument("--seed", type=int, help="of everything random")
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ...")
    command.add_argument("--memory", metavar="SIZE", help="cap, e.g. 4G; fails before the work when too small")
    command.add_argument("--overwrite", action="store_true", help="replace an existing output folder")
    command.set_defaults(run=run_recon)


def run_recon(arguments: argparse.Namespace) -> int:
    """Run `recon`; the exit status."""
    from mrirecon.jobs.export import Formats
    from mrirecon.jobs.recon import ReconOptions, recon_files

    wanted = {name: getattr(arguments, name) for name in ("dicom", "nifti", "png", "npy")}
    if not any(wanted.values()):
        wanted = {"dicom": True, "nifti": True, "png": True, "npy": False}
    formats = Formats(**wanted, samples=arguments.write_samples)
    config = configuration(arguments)
    chosen = companions(arguments)
    chosen.require(config, dicom=formats.dicom, demanded=arguments.companions is not None)
    options = ReconOptions(
        config=config,
        companions=chosen,
        formats=formats,
        template=arguments.template,
        contrast=arguments.contrast,
        repetition=arguments.repetition,
        reflected=arguments.reflected,
        third_axis=arguments.third_axis,
        slices=parse_slices(arguments.slices),
        device=arguments.device,
        memory=arguments.memory,
        overwrite=arguments.overwrite,
        keep_identifiers=arguments.keep_identifiers,
        shift_alarm=not arguments.no_shift_alarm,
        certificate=arguments.certificate,
    )
    result = recon_files(arguments.file, arguments.out, options, StandardError())
    if result.failed:
        sys.stderr.write(f"mrirecon: {len(result.failed)} of {len(arguments.file)} inputs failed:\n")
        for path, problem in result.failed:
            sys.stderr.write(f"  {path.name}: {problem}\n")
        return 3 if result.done else 2
    return 0
