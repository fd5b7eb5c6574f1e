"""Image quality on a measured brain scan, retrospectively undersampled.

    python -m tests.benchmarks.bench_quality [FOLDER FOR PNG]

Data: one axial slice, 16 channels, 128 x 128, and the same slice through the body coil (shared data K1 and K2).
Reference: all lines, combined with the maps of the reconstruction: measured with the body coil, or ESPIRiT maps from
the 20 centre lines. Undersampling: every R-th line and the 20 centre lines. Metrics: fastMRI's
definitions on the magnitude, data range = maximum of the reference. The regularisation was chosen on R = 3 and is the
same for all rates.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrirecon.config.build import build_reconstructor
from mrirecon.config.schema import TV, Adjoint, MethodChoice, Sense, Wavelet
from mrirecon.io.twix import read_twix
from mrirecon.linalg.fft import ifft
from mrirecon.metrics.image import nmse, psnr, ssim
from mrirecon.mri.coils import apply_coil_matrix, root_sum_of_squares
from mrirecon.mri.masks import sampling_mask
from mrirecon.mri.reference_maps import measured_maps
from mrirecon.mri.sensitivities import espirit
from mrirecon.mri.whitening import noise_covariance, noise_from_edges, whitening_matrix
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri
from mrirecon.operators.noise import GaussianNoise

FOLDER = Path(os.environ.get("MRIRECON_DATA", Path(__file__).parents[3] / "shared" / "data")) / "kspace/pulseq_freiburg"
METHODS: dict[str, MethodChoice] = {
    "zero-filled": Adjoint(),
    "CG-SENSE": Sense(regularisation=0.01, iterations=50, tolerance=1e-5),
    "L1-wavelet": Wavelet(weight=0.005, iterations=200, tolerance=1e-5),
    "total variation": TV(weight=0.002, iterations=200, tolerance=1e-5),
}


def prepared() -> tuple[Tensor, Tensor, float]:
    """Whitened k-space scaled to a 99th percentile of 1, measured maps, and the noise level."""
    kspace = read_twix(FOLDER / "2024-02-06-164128.dat").read(0)
    body = read_twix(FOLDER / "2024-02-06-164120.dat").read(0)
    full = torch.ones(1, 1, dtype=torch.bool)
    kspace = apply_coil_matrix(whitening_matrix(noise_covariance(noise_from_edges(kspace, full))), kspace)
    scale = float(torch.quantile(root_sum_of_squares(ifft(kspace, (-2, -1))), 0.99))
    return kspace / scale, measured_maps(ifft(kspace, (-2, -1)), ifft(body, (-2, -1))), 1 / scale


def magnitude(image: Tensor) -> np.ndarray:
    return image.abs().numpy().reshape(1, *image.shape[-2:])


def main() -> None:
    kspace, measured, sigma = prepared()
    centre = espirit(kspace, calibration=(20, 20)).maps[0]
    full = torch.ones(1, 1, dtype=torch.bool)
    references = {
        k: magnitude(cartesian_mri(full, m).adjoint(kspace)) for k, m in (("measured", measured), ("ESPIRiT", centre))
    }
    print(f"{'':<18}{'maps':<10}" + "".join(f"{f'R = {r}':^24}" for r in (2, 3, 4)))
    print(f"{'':<28}" + "".join(f"{'PSNR':>7}{'SSIM':>8}{'NMSE':>9}" for _ in range(3)))
    pictures = [references["measured"][0]]
    for name, choice in METHODS.items():
        for kind in ("measured", "ESPIRiT"):
            line, reference = f"{name:<18}{kind:<10}", references[kind]
            for rate in (2, 3, 4):
                drawn = sampling_mask(
                    "equispaced",
                    (128, 128),
                    acceleration=rate,
                    centre_lines=20,
                    phase_encoding_axis="y",
                    seed=0,
                    offset=0,
                )
                mask = drawn.mask
                y = kspace * mask
                maps = measured if kind == "measured" else espirit(y, calibration=(20, 20)).maps[0]
                operator = cartesian_mri(mask, maps)
                result = build_reconstructor(choice)(y, MeasurementModel(operator, GaussianNoise(sigma)))
                image = magnitude(result.image * operator.sensitivities.support)
                line += f"{psnr(reference, image):7.2f}{ssim(reference, image):8.4f}{nmse(reference, image):9.5f}"
                if kind == "measured" and rate == 4:
                    pictures.append(image[0])
            print(line)
    if len(sys.argv) == 2:
        save(pictures, references["measured"][0], Path(sys.argv[1]))


def save(pictures: list[np.ndarray], reference: np.ndarray, folder: Path) -> None:
    """The reference and the four methods at R = 4 above their errors times 5."""
    from PIL import Image

    top = np.concatenate(pictures, axis=1)
    bottom = np.concatenate([5 * np.abs(p - reference) for p in pictures], axis=1)
    grey = np.clip(255 * np.concatenate([top, bottom]) / np.percentile(reference, 99.5), 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.resize((2 * picture.width, 2 * picture.height)).save(folder / "quality.png")


if __name__ == "__main__":
    main()
