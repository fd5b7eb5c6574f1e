"""The `recon` job: raw files to folders of DICOM, NIfTI, PNG and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import torch

from mrirecon.config.schema import ReconstructionConfig
from mrirecon.errors import ConfigError, OutputError
from mrirecon.io.base import Reflected, ThirdAxis, open_scan
from mrirecon.io.identity import read_identity
from mrirecon.jobs.batch import BatchResult, output_folders, run_batch
from mrirecon.jobs.certification import require_certificate
from mrirecon.jobs.companions import Companions, classical_config
from mrirecon.jobs.export import Export, Formats, export
from mrirecon.jobs.plan import parse_size
from mrirecon.jobs.plane_certificate import CertificateForm
from mrirecon.jobs.reconstruct import Outcome, reconstruct
from mrirecon.jobs.reporting import Reporter
from mrirecon.jobs.template_check import require_template
from mrirecon.scan import Scan


@dataclass(frozen=True)
class ReconOptions:
    """What `recon` was asked for, beside the inputs and the output folder."""

    config: ReconstructionConfig
    formats: Formats
    template: Path | None = None
    contrast: int = 0
    repetition: int = 0
    reflected: Reflected = "header"
    third_axis: ThirdAxis = "partition"
    slices: range | None = None
    device: str = "cpu"
    memory: str | None = None
    overwrite: bool = False
    keep_identifiers: bool = False
    shift_alarm: bool = True
    certificate: CertificateForm = "quick"
    companions: Companions = field(default_factory=Companions)


def recon_files(inputs: Sequence[Path], out: Path, options: ReconOptions, reporter: Reporter) -> BatchResult:
    """Reconstruct every input into its folder.

    Raises
    ------
    MrireconError
        If options are impossible, or the only input fails; nothing is written then.
    """
    require_device(options.device)
    require_certificate(options.certificate, options.config)
    folders = output_folders(inputs, out)
    for folder in folders.values():
        refuse_existing(folder, overwrite=options.overwrite)

    def job(path: Path) -> None:
        recon_file(path, folders[path], options, reporter)

    return run_batch(inputs, job, reporter)


def recon_file(path: Path, out: Path, options: ReconOptions, reporter: Reporter) -> tuple[Outcome, Export]:
    """Reconstruct one input into `out`, and tell the reporter what was written and how to open it."""
    started = datetime.now().astimezone()
    scan = open_scan(
        path,
        contrast=options.contrast,
        repetition=options.repetition,
        reflected=options.reflected,
        third_axis=options.third_axis,
    )
    reporter.say(f"{path.name}: {scan.format}, {scan.n_coils} coils")
    if options.keep_identifiers:
        scan = identified(scan, reporter)
    if options.template is not None and options.formats.dicom:
        require_template(options.template, scan, options.config, slices=options.slices)
    limit = parse_size(options.memory) if options.memory is not None else None
    outcome = reconstruct(
        scan,
        options.config,
        out=out,
        reporter=reporter,
        slices=options.slices,
        device=options.device,
        memory_limit=limit,
        keep_samples=options.formats.samples,
        with_shift_alarm=options.shift_alarm,
        certificate=options.certificate,
    )
    other = classical_config(options.config, options.companions)
    classical = None
    if other is not None:
        reporter.say(f"classical companion: {other.method.kind}")
        beside = out.with_name(f"{out.name}.classical")
        classical = reconstruct(
            scan,
            other,
            out=beside,
            reporter=reporter,
            slices=options.slices,
            device=options.device,
            memory_limit=limit,
            certificate="none" if options.certificate == "none" else "quick",
        )
    done = export(
        outcome,
        out,
        formats=options.formats,
        template=options.template,
        overwrite=options.overwrite,
        started=started,
        source=scan.source,
        companions=options.companions,
        classical=classical,
    )
    reporter.say(f"certificate: {outcome.certificate.sentence}")
    if outcome.shift is not None and outcome.shift.verdict != "unusual":  # else it is a warning
        reporter.say(outcome.shift.sentence)
    for note in outcome.notes:
        reporter.say(f"note: {note}")
    for warning in done.warnings:
        reporter.warn(warning)
    reporter.say(summary(out, done, outcome))
    return outcome, done


def identified(scan: Scan, reporter: Reporter) -> Scan:
    """The scan with patient and study of its header, for use inside the hospital.

    Raises
    ------
    ConfigError
        If the header does not say who was examined.
    """
    identity, refused = read_identity(scan.source)
    if refused:
        reporter.warn(f"identifiers without a legal DICOM form were left out: {', '.join(refused)}")
    return replace(scan, subject=replace(scan.subject, identity=identity))


def summary(out: Path, done: Export, outcome: Outcome) -> str:
    """What was written where, and how to open it."""
    slices = [f for f in done.files if f.parts[0] == "dicom"]
    beside = [f for f in done.files if f.parts[0] == "dicom_standard_deviation"]
    samples = [f for f in done.files if f.parts[0] == "samples"]
    z, y, x = done.series.image.shape
    dz, dy, dx = done.series.geometry.voxel_size_mm
    seconds = sum(outcome.seconds.values())
    lines = [f"{z} slices of {y} x {x}, voxels {dx:.3g} x {dy:.3g} x {dz:.3g} mm, {seconds:.1f} s; written to {out}:"]
    if slices:
        lines.append(
            f"  dicom/            {len(slices)} files: drag the folder into a viewer (Weasis, Horos, OHIF, Slicer)"
        )
    if beside:
        lines.append(f"  dicom_standard_deviation/ {len(beside)} files: spread of the samples, a series of its own")
    for name, text in (
        ("dicom_classical", "a classical reconstruction of the same data, a series of its own"),
        ("dicom_certificate", "the certificate as an image, a series of its own"),
        ("dicom_parametric_map", "the standard deviation with floating-point pixels"),
    ):
        n = sum(f.parts[0] == name for f in done.files)
        if n:
            lines.append(f"  {f'{name}/':<25} {n} file{'s' * (n > 1)}: {text}")
    if samples:
        lines.append(f"  samples/          {len(samples)} posterior samples, NIfTI")
    for name, text in (
        ("image.nii.gz", "NIfTI: ITK-SNAP, FSLeyes, niivue, nibabel"),
        ("image.png", "contact sheet: any picture viewer"),
        ("image.npy", "magnitude (z, y, x): numpy.load"),
        ("standard_deviation.nii.gz", "in the units of image.nii.gz"),
        ("standard_deviation.png", "contact sheet"),
        ("standard_deviation.npy", "in the units of image.npy"),
        ("samples.npy", "magnitudes (sample, z, y, x)"),
        ("classical.nii.gz", "in the units of image.nii.gz"),
        ("classical.png", "contact sheet"),
        ("classical.npy", "in the units of image.npy"),
        ("certificate.png", "method, verdicts and warnings on one page"),
        ("provenance.json", "inputs, versions, configuration, mask, warnings"),
    ):
        if Path(name) in done.files:
            lines.append(f"  {name:<17} {text}")
    return "\n".join(lines)


def require_device(name: str) -> None:
    """`ConfigError` unless torch can compute on `name`; there is no silent fallback."""
    try:
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(
            f"device {name!r} cannot be used ({reason}); choose cpu or an available accelerator"
        ) from error


def refuse_existing(folder: Path, *, overwrite: bool) -> None:
    """`OutputError` before the work unless `folder` may be written: absent, empty, or earlier output to replace."""
    if folder.is_file():
        raise OutputError(f"{folder} is a file; --out must name a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not overwrite:
        raise OutputError(f"{folder} exists already; choose another folder or give --overwrite")
    if not (folder / "provenance.json").is_file():
        raise OutputError(f"{folder} does not look like earlier output (no provenance.json); it is not overwritten")
