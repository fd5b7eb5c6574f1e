"""Image quality on a measured brain scan, retrospectively undersampled.

    python -m tests.benchmarks.bench_quality [FOLDER FOR PNG]

Data: one axial slice, 16 channels, 128 x 128, and the same slice through the body coil (shared data K1 and K2).
Undersampling: every R-th line and the 20 centre lines. Maps: low-resolution images of the 20 lines (the usual simple
baseline), measured with the body coil, or ESPIRiT from the 20 lines. Two tables, fastMRI's definitions on the
magnitude with the maximum of the reference as data range:

- own reference: all lines combined with the same maps as the reconstruction, whole image; rows with other maps have
  another reference and cannot be compared;
- common reference: root sum of squares of all lines, over the object (above 10 % of its maximum), after one factor
  for the brightness; all rows can be compared, but the reference carries the bias of that combination and its noise.

The regularisation was chosen on this slice at R = 3 with the own reference, and is the same for all rates.
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
from mrirecon.io.twix.reader import read_twix
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
RATES = (2, 3, 4)
METHODS: dict[str, MethodChoice] = {
    "zero-filled": Adjoint(),
    "CG, lambda 0": Sense(regularisation=0.0, iterations=30, tolerance=1e-9),
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


def low_resolution_maps(kspace: Tensor) -> Tensor:
    """Coil images of the 20 x 20 centre under a Hann window, over their root sum of squares."""
    window = torch.zeros(128)
    window[54:74] = torch.hann_window(22)[1:-1]
    images = ifft(kspace * window[:, None] * window, (-2, -1))
    return images / root_sum_of_squares(images)


def object_psnr(reference: np.ndarray, image: np.ndarray) -> float:
    """PSNR over the object after the factor that fits the image to the reference best."""
    inside = reference > 0.1 * reference.max()
    x, y = image[inside], reference[inside]
    return psnr(y, x * float((x @ y) / (x @ x)), data_range=float(reference.max()))


def main() -> None:
    kspace, measured, sigma = prepared()
    families = {
        "low-resolution": low_resolution_maps(kspace),
        "measured": measured,
        "ESPIRiT": espirit(kspace, calibration=(20, 20)).maps[0],
    }
    common = magnitude(root_sum_of_squares(ifft(kspace, (-2, -1)))[0])
    full = torch.ones(1, 1, dtype=torch.bool)
    print(f"{'':<34}{'own reference: PSNR / SSIM / NMSE at R = 2, 3, 4':<72}common reference: PSNR")
    pictures: list[np.ndarray] = []
    for kind, maps in families.items():
        reference = magnitude(cartesian_mri(full, maps).adjoint(kspace))
        if kind == "measured":
            pictures.append(reference[0])
        for name, choice in METHODS.items():
            own, shared = "", ""
            for rate in RATES:
                drawn = sampling_mask(
                    "equispaced",
                    (128, 128),
                    acceleration=rate,
                    centre_lines=20,
                    phase_encoding_axis="y",
                    seed=0,
                    offset=0,
                )
                operator = cartesian_mri(drawn.mask, maps)
                y = kspace * drawn.mask
                result = build_reconstructor(choice)(y, MeasurementModel(operator, GaussianNoise(sigma)))
                image = magnitude(result.image * operator.sensitivities.support)
                own += f"{psnr(reference, image):7.2f} {ssim(reference, image):.4f} {nmse(reference, image):.5f}"
                shared += f"{object_psnr(common, image):7.2f}"
                if kind == "measured" and rate == RATES[-1]:
                    pictures.append(image[0])
            print(f"{name:<18}{kind:<16}{own}   {shared}")
    if len(sys.argv) == 2:
        save(pictures, pictures[0], Path(sys.argv[1]))


def save(pictures: list[np.ndarray], reference: np.ndarray, folder: Path) -> None:
    """The reference and the methods at R = 4 above their errors times 5."""
    from PIL import Image

    top = np.concatenate(pictures, axis=1)
    bottom = np.concatenate([5 * np.abs(p - reference) for p in pictures], axis=1)
    grey = np.clip(255 * np.concatenate([top, bottom]) / np.percentile(reference, 99.5), 0, 255).astype(np.uint8)
    picture = Image.fromarray(grey)
    picture.resize((2 * picture.width, 2 * picture.height)).save(folder / "quality.png")


if __name__ == "__main__":
    main()
