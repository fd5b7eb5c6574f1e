"""Pictures for `docs/viewer.md`, `docs/from-scanner-to-pacs.md` and `docs/reading-the-certificate.md`.

From the demonstration's freely licensed brain.

    python -m tests.serving.viewer.screenshots WORK docs/pictures

Makes, where WORK does not hold them yet, the demo's scan, a fourfold undersampled learned reconstruction with samples,
one of all the data as its reference, one with companions in the study of the demo's own series, one with the wrong coil
sensitivities, and a scan without orientation. Needs Chromium and a few minutes.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import torch
from PIL import Image

from mrirecon.data.coil_maps import loop_maps
from mrirecon.serving.viewer.server import ViewerServer
from tests.serving.viewer.chromium import Chromium

SIZE = (1366, 660)


def main() -> None:
    """Make the data, then the pictures."""
    work, pictures = (Path(argument) for argument in sys.argv[1:3])
    pictures.mkdir(parents=True, exist_ok=True)
    make(work)
    for folder, name in (("results", "certificate-pass"), ("failing", "certificate-fail")):
        Image.open(work / folder / "certificate.png").quantize(16).save(pictures / f"{name}.png", optimize=True)
    contact_sheet(work / "results" / "image.png", pictures / "walk-images.png")
    with Chromium(size=SIZE) as page:
        show(page, work / "unfolded", pictures, tour, reference=work / "full")
        show(page, work / "unknown", pictures, unknown_orientation)
        show(page, work / "results", pictures, companions)


def make(work: Path) -> None:
    """The folders that are shown."""
    scan = work / "demo" / "simulated_scan.h5"
    learned = ("--method", "unfolded", "--steps", "4", "--samples", "4", "--accelerate", "4", "--mask", "equispaced")
    for folder, arguments in (
        (work / "demo", ("demo", "--out", str(work / "demo"))),
        (work / "unfolded", ("recon", str(scan), "--out", str(work / "unfolded"), *learned)),
        (work / "full", ("recon", str(scan), "--out", str(work / "full"), "--method", "sense")),
    ):
        if not folder.exists():
            subprocess.run([sys.executable, "-m", "mrirecon.cli", *arguments], check=True)
    template = ("--template", str(work / "demo" / "recon" / "dicom"))
    beside = ("--companions", "uncertainty,classical,certificate")
    recon(scan, work / "results", *learned, *template, *beside)
    maps = work / "other_maps.npy"
    if not maps.exists():
        other = loop_maps((24, 96, 128), 8, generator=torch.Generator().manual_seed(99))
        np.save(maps, other.movedim(1, 0).numpy())
    recon(scan, work / "failing", "--method", "unfolded", "--accelerate", "4", "--maps", str(maps))
    unknown = work / "unknown" / "image.nii.gz"
    if not unknown.exists():
        unknown.parent.mkdir(parents=True)
        known = nibabel.load(work / "full" / "image.nii.gz")
        dx, dy, dz = (float(size) for size in known.header.get_zooms())
        image = nibabel.Nifti1Image(np.asanyarray(known.dataobj)[..., 10:14], np.diag([-dx, -dy, dz, 1.0]))
        image.header["descrip"] = b"GEOM-NOMINAL"  # as `mrirecon recon` writes it for files without orientation
        nibabel.save(image, unknown)


def recon(scan: Path, folder: Path, *arguments: str) -> None:
    """`mrirecon recon` into a folder that is not there yet."""
    if not folder.exists():
        command = (sys.executable, "-m", "mrirecon.cli", "recon", str(scan), "--out", str(folder), *arguments)
        subprocess.run(command, check=True)


def show(
    page: Chromium,
    folder: Path,
    pictures: Path,
    take: Callable[[Chromium, Path], None],
    *,
    reference: Path | None = None,
) -> None:
    """Open a folder and take its pictures."""
    with ViewerServer([folder], reference=reference) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page.open(server.url)
        page.ready()
        take(page, pictures)
        page.open("about:blank")
        server.shutdown()


def unknown_orientation(page: Chromium, pictures: Path) -> None:
    """A scan that does not say which side is which."""
    save(page, pictures / "viewer-unknown-orientation.png")


def companions(page: Chromium, pictures: Path) -> None:
    """The learned image beside the classical one, with the certificate."""
    page.run("[...document.querySelectorAll('#tabs button')].find(b => b.innerText === 'Certificate').click()")
    save(page, pictures / "walk-viewer.png")


def contact_sheet(source: Path, target: Path) -> None:
    """The contact sheet, half as large."""
    sheet = Image.open(source).convert("L")
    sheet.resize((sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS).quantize(64).save(
        target, optimize=True
    )


def tour(page: Chromium, pictures: Path) -> None:
    """The pictures of the guide, in its order."""
    save(page, pictures / "viewer-side-by-side.png")
    page.key("x")
    page.key("u")
    page.run("[...document.querySelectorAll('#tabs button')].find(b => b.innerText === 'Sampling').click()")
    save(page, pictures / "viewer-uncertainty.png")
    page.key("e")
    page.run("[...document.querySelectorAll('#tabs button')].find(b => b.innerText === 'Method').click()")
    save(page, pictures / "viewer-difference.png")
    page.key("o")
    page.key("x")
    page.key("1")
    page.key("m")
    save(page, pictures / "viewer-planes.png")
    page.key("r")
    page.key("2")
    page.key("?")
    save(page, pictures / "viewer-keys.png")
    page.key("Escape")


def save(page: Chromium, path: Path) -> None:
    """A screenshot, with a palette of 256 colours for its size."""
    Image.fromarray(page.picture()).quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)


if __name__ == "__main__":
    main()
