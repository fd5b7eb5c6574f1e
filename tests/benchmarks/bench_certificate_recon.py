"""What the certificates of `mrirecon recon` say of faultless scans, of lesions that are wrong, and of faults.

    python -m tests.benchmarks.bench_certificate_recon clean   [SCANS] [METHOD ...]
    python -m tests.benchmarks.bench_certificate_recon lesions [SCANS] [METHOD ...]
    python -m tests.benchmarks.bench_certificate_recon faults  [SCANS] [METHOD ...]

Everything goes through the command line as a user's scan does, with `--accelerate 4` and the defaults: an ISMRMRD file
with a noise scan is written, sensitivities and noise level are estimated from it. A scan is one slice of the
demonstration's brain (96 x 128, voxels of 2 x 2 mm, not among the training data) with its own coil array, phase and
noise (SNR 10 to 100). Cells are verdicts FAIL of SCANS (default 20) with the 95 % interval of Clopper and Pearson.

Lesions are discs in the finished image that no data support: `added` paints one in, `lost` takes one out that the
scanned object had. Contrast is relative to the 99th percentile of the image, its sign that of brightening. `always` is
a method that paints the same disc into every image, also into those of the simulated repetitions.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from mrirecon.cli import main as mrirecon
from mrirecon.data.anatomy import load_anatomy
from mrirecon.data.simulated_scan import simulate_scan
from mrirecon.io.ismrmrd.write import write_ismrmrd
from mrirecon.io.provenance import read_provenance
from mrirecon.jobs import plane_worker
from mrirecon.jobs.plane_certificate import PlaneCertificate, plane_certificate
from mrirecon.linalg.fft import crop_or_pad, fft, ifft
from mrirecon.metrics.certificate import CertificateResult
from mrirecon.mri.masks import sampling_mask
from mrirecon.mri.sensitivities import espirit
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.reconstruction.base import Reconstruction, Reconstructor
from mrirecon.records import from_mapping
from mrirecon.scan import Scan
from tests.benchmarks.bench_certificate import disc, share

FORMS = ("quick", "sharp")
METHODS = ("sense", "wavelet", "unfolded")
DIAMETERS = (3, 5, 9)
CONTRASTS = (0.05, 0.1, 0.2, 0.4)
CENTRE = 24


def brain(number: int, lesion: Tensor | None = None) -> Scan:
    """Scan `number`, with a lesion (y, x) in units of the 99th percentile if there is one."""
    anatomy = load_anatomy()
    chosen = 4 + number % 16
    volume = anatomy.volume[chosen : chosen + 1].copy()
    if lesion is not None:
        volume[0] += lesion.numpy() * np.percentile(volume[volume > 0], 99)
    geometry = anatomy.geometry.centred_crop(anatomy.volume.shape, volume.shape)
    snr = float(10 ** np.random.default_rng(number).uniform(1, 2))
    return simulate_scan(volume, geometry, source=anatomy.source, snr=snr, seed=number)


def lesion_in(number: int, diameter: int, contrast: float) -> Tensor:
    """A disc at a random place where there is tissue, (y, x)."""
    image = torch.from_numpy(load_anatomy().volume[4 + number % 16])
    tissue = image > 0.4 * torch.quantile(image[image > 0], 0.99)
    return contrast * disc(tissue, diameter, torch.Generator().manual_seed(number))


def raw(scan: Scan, path: Path, *, kspace: Tensor | None = None, mask: Tensor | None = None) -> Path:
    """Write the scan, with other data or only some lines if they are given."""
    return write_ismrmrd(
        path,
        data(scan) if kspace is None else kspace,
        encoding=scan.encoding,
        geometry=scan.geometry,
        protocol=scan.protocol,
        mask=None if mask is None else mask.reshape(1, -1, 1),
        noise=scan.noise,
        simulated=True,
        overwrite=True,
    )


def data(scan: Scan) -> Tensor:
    """All planes (plane, coil, ky, kx)."""
    return torch.stack([scan.read(i) for i in range(scan.n_planes)])


def certified(path: Path, method: str, form: str, *arguments: str) -> CertificateResult:
    """What `mrirecon recon` writes about the file."""
    out = path.parent / "out"
    command = ["recon", str(path), "--out", str(out), "--overwrite", "--npy", "--companions", "none"]
    command += ["--method", method, "--certificate", form, *arguments]
    command += ["--no-shift-alarm"] if method == "unfolded" else []
    said = StringIO()
    with redirect_stderr(said), redirect_stdout(said):
        status = mrirecon(command)
    if status != 0:
        raise RuntimeError(said.getvalue().splitlines()[-1])
    return from_mapping(CertificateResult, read_provenance(out / "provenance.json").certificate or {})


@contextmanager
def altered(lesion: Tensor) -> Iterator[None]:
    """Images change by a lesion after they were reconstructed, in the phase that they have."""

    def certificate(form: str, image: Tensor, *arguments: object, **named: object) -> PlaneCertificate | None:
        return plane_certificate(form, painted(image, lesion), *arguments, **named)  # type: ignore[arg-type]

    with patch.object(plane_worker, "plane_certificate", certificate):
        yield


def painted(image: Tensor, lesion: Tensor) -> Tensor:
    size = torch.quantile(image.abs()[image != 0], 0.99) if bool((image != 0).any()) else torch.ones(())
    return image + torch.polar(size * lesion.expand(image.shape).abs(), image.angle()) * lesion.sign()


@dataclass(frozen=True, eq=False)
class Painting(Reconstructor):
    """A method that paints the same lesion into every image."""

    method: Reconstructor
    lesion: Tensor

    def __call__(
        self, y: Tensor, model: MeasurementModel, *, generator: torch.Generator | None = None
    ) -> Reconstruction:
        result = self.method(y, model, generator=generator)
        return replace(result, image=painted(result.image, self.lesion))


@contextmanager
def always(lesion: Tensor) -> Iterator[None]:
    """Every reconstruction of the job paints the lesion."""
    original = plane_worker.PlaneWorker.reconstruct

    def reconstruct(self: plane_worker.PlaneWorker, index: int, plane: Tensor) -> object:
        return original(replace(self, method=Painting(self.method, lesion)), index, plane)

    with patch.object(plane_worker.PlaneWorker, "reconstruct", reconstruct):
        yield


def sensitivities(scan: Scan) -> Tensor:
    """ESPIRiT maps (slice, coil, y, x) from all lines."""
    n = scan.encoding.recon_matrix[-1]
    images = (crop_or_pad(ifft(kspace, (-2, -1)), -1, n) for kspace in data(scan))
    return torch.stack([espirit(fft(image, (-2, -1)), calibration=(CENTRE, CENTRE)).maps[0] for image in images])


def faults(number: int, folder: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """Files with a fault each, and what `recon` is told about them."""
    scan, four = brain(number), ("--accelerate", "4")
    kspace, n = data(scan), scan.encoding.encoded_matrix[1]
    outer = (torch.arange(n) - n // 2).abs() > CENTRE // 2
    moved, half = kspace.clone(), kspace.clone()
    moved[..., outer, :] = kspace.roll(1, -2)[..., outer, :]
    half[..., n // 2 + 1 :, :] = kspace.roll(1, -2)[..., n // 2 + 1 :, :]
    pairs = torch.arange(n).reshape(-1, 2).flip(-1).flatten()
    own, other = (
        sampling_mask("random", (n, 1), acceleration=3, phase_encoding_axis="y", seed=s, centre_lines=CENTRE - 4).mask
        for s in (2 * number, 2 * number + 1)
    )
    true, believed = (torch.nonzero(m.flatten()).flatten() for m in (own, other))
    sorted_wrongly = torch.zeros_like(kspace)
    count = min(len(true), len(believed))
    sorted_wrongly[..., believed[:count], :] = kspace[..., true[:count], :]
    written = torch.zeros(n, dtype=torch.bool)
    written[believed[:count]] = True
    maps = sensitivities(scan)
    exchanged = maps.clone()
    exchanged[:, [0, 1]] = maps[:, [1, 0]]
    files = {
        "none: right maps from a file": maps,
        "maps displaced by 2 pixels (4 mm)": maps.roll(2, -2),
        "maps displaced by 8 pixels (16 mm)": maps.roll(8, -2),
        "maps of two coils exchanged": exchanged,
        "maps of another coil array": sensitivities(brain(number + 10_000)),
    }
    found: dict[str, tuple[Path, tuple[str, ...]]] = {}
    good = raw(scan, folder / "good.h5")
    for i, (name, array) in enumerate(files.items()):
        np.save(folder / f"maps{i}.npy", array.numpy())
        found[name] = good, (*four, "--maps", str(folder / f"maps{i}.npy"))
    found["lines sorted by the mask of another scan"] = (
        raw(scan, folder / "mask.h5", kspace=sorted_wrongly, mask=written),
        (),
    )
    found["lines beyond the centre displaced by one"] = raw(scan, folder / "moved.h5", kspace=moved), four
    found["half of k-space displaced by one line"] = raw(scan, folder / "half.h5", kspace=half), four
    found["neighbouring lines exchanged in pairs"] = raw(scan, folder / "pairs.h5", kspace=kspace[..., pairs, :]), four
    for samples in (0.5, 2.0):
        late = raw(scan, folder / f"late{samples:g}.h5", kspace=delayed(kspace, samples))
        found[f"every other line late by {samples:g} samples"] = late, four
    found["all of k-space displaced by one line"] = raw(scan, folder / "all.h5", kspace=kspace.roll(1, -2)), four
    return found


def delayed(kspace: Tensor, samples: float) -> Tensor:
    """Every other line late by so many samples of the readout."""
    n = kspace.shape[-1]
    steps = 2 * torch.pi * samples * (torch.arange(n) - n // 2) / n
    shifted = fft(ifft(kspace, (-1,)) * torch.polar(torch.ones(n), steps), (-1,))
    late = kspace.clone()
    late[..., 1::2, :] = shifted[..., 1::2, :]
    return late


def clean(method: str, n_scans: int, folder: Path) -> None:
    for form in FORMS:
        results = [certified(raw(brain(i), folder / "s.h5"), method, form, "--accelerate", "4") for i in range(n_scans)]
        misfit = np.mean([r.misfit or np.nan for r in results])
        expected = np.mean([r.expected or np.nan for r in results])
        failed = [r.verdict == "fail" for r in results]
        row(f"{method}, {form}", failed, f"misfit {misfit:.3f}, expected {expected:.3f}")


def lesions(method: str, n_scans: int, folder: Path) -> None:
    def one(kind: str, form: str, diameter: int, contrast: float) -> None:
        verdicts, sizes = [], []
        wrong: Callable[[Tensor], object] = always if kind == "always" else altered
        for number in range(n_scans):
            lesion = lesion_in(number, diameter, contrast)
            scan = brain(number, lesion if kind == "lost" else None)
            with wrong(-lesion if kind == "lost" else lesion):  # type: ignore[attr-defined]
                result = certified(raw(scan, folder / "s.h5"), method, form, "--accelerate", "4")
            verdicts.append(result.verdict == "fail")
            image = torch.from_numpy(load_anatomy().volume[4 + number % 16])
            size = torch.quantile(image[image > 0], 0.99)
            sizes.append(float(lesion.norm() * size / image.norm()))
        what = f"{method}, {form}, {kind}, {diameter} pixels, {contrast:g}"
        row(what, verdicts, f"{100 * np.median(sizes):.2f} % of the image's norm")

    for diameter in DIAMETERS:
        for contrast in CONTRASTS:
            for form in FORMS if contrast == CONTRASTS[-1] else ("sharp",):  # what quick misses there it misses fainter
                one("added", form, diameter, contrast)
    for kind in ("lost", "always"):
        for form in FORMS:
            one(kind, form, 9, 0.2)


def faulty(method: str, n_scans: int, folder: Path) -> None:
    found: dict[tuple[str, str], list[CertificateResult]] = {}
    for number in range(n_scans):
        for name, (path, arguments) in faults(number, folder).items():
            for form in FORMS:
                found.setdefault((form, name), []).append(certified(path, method, form, *arguments))
    for (form, name), results in found.items():
        size = 100 * float(np.median([r.unexplained or 0.0 for r in results]))
        row(f"{method}, {form}, {name}", [r.verdict == "fail" for r in results], f"{size:.2g} % of the signal")


def row(what: str, verdicts: list[bool], remark: str) -> None:
    print(f"| {what} | {share(verdicts)} | {remark} |", flush=True)


def main() -> None:
    """Print the rows of a table."""
    part, n_scans, *methods = [*sys.argv[1:], *("clean", "20")[len(sys.argv) - 1 :]]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for method in methods or METHODS:
            {"clean": clean, "lesions": lesions, "faults": faulty}[part](method, int(n_scans), Path(folder))


if __name__ == "__main__":
    main()
