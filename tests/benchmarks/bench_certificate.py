"""How often certificates fail faultless scans, and how often they find a lesion that was painted in.

    python -m tests.benchmarks.bench_certificate [SCANS [SHARP]]

One scan is one slice of the demonstration's brain (96 x 128, not among the training data) with its own phase, 8 loop
coils, random mask (R = 4, 12 centre lines) and noise (SNR 10 to 40), all known exactly. Of SCANS (default 300) the
quick form with the tolerance of `mrirecon recon` and with noise alone; of the first SHARP (default 40) the sharp form
with 12 replicas. The lesion is a disc of 7 voxels in diameter that brightens by a fifth of the 99th percentile; a scan
counts as found where the altered image fails. Intervals: Clopper and Pearson, 95 %.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch
from scipy.stats import beta
from torch import Tensor

from mrirecon.config.build import build_reconstructor
from mrirecon.config.schema import MethodChoice, Sense, Unfolded
from mrirecon.data.anatomy import load_anatomy
from mrirecon.data.coil_maps import loop_maps
from mrirecon.data.simulation import smooth_phase
from mrirecon.evaluation.certificate import certify_reconstruction
from mrirecon.jobs.certification import TOLERANCE
from mrirecon.metrics.certificate import certificate
from mrirecon.metrics.residual_energy import residual_energies
from mrirecon.metrics.residual_noise import ResidualNoise
from mrirecon.mri.masks import sampling_mask
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri
from mrirecon.operators.noise import GaussianNoise

METHODS: dict[str, MethodChoice] = {
    "sense": Sense(),
    "mri-small, 1 step": Unfolded(),
}


def scan(number: int) -> tuple[Tensor, MeasurementModel, Tensor]:
    """Data, model and a map of the lesion."""
    volume = torch.from_numpy(load_anatomy().volume)
    generator = torch.Generator().manual_seed(number)
    image = volume[4 + number % 16]
    image = image / torch.quantile(image[image > 0], 0.99)
    shape = (image.shape[0], image.shape[1])
    maps = loop_maps(shape, 8, generator=generator)
    drawn = sampling_mask("random", shape, acceleration=4, phase_encoding_axis="y", seed=number, centre_lines=12)
    truth = torch.polar(image, smooth_phase(shape, generator=generator)).unsqueeze(0)
    sigma = 1 / float(torch.empty(()).uniform_(10, 40, generator=generator))
    model = MeasurementModel(cartesian_mri(drawn.mask, maps), GaussianNoise(sigma))
    lesion = 0.2 * disc(image > 0.4, 7, generator)
    return model.simulate(truth, generator), model, torch.polar(lesion, truth[0].angle()).unsqueeze(0)


def disc(tissue: Tensor, diameter: int, generator: torch.Generator) -> Tensor:
    """A disc of ones whose centre lies at random where `tissue` is true, (y, x)."""
    inside = torch.nonzero(tissue)
    centre = inside[int(torch.randint(len(inside), (), generator=generator))]
    grid = torch.stack(torch.meshgrid(*map(torch.arange, tissue.shape), indexing="ij"))
    return ((grid - centre[:, None, None]).square().sum(0) <= (diameter / 2) ** 2).float()


def share(found: list[bool]) -> str:
    """As a percentage with its interval."""
    k, n = sum(found), len(found)
    low = 0.0 if k == 0 else beta.ppf(0.025, k, n - k + 1)
    high = 1.0 if k == n else beta.ppf(0.975, k + 1, n - k)
    return f"{k} of {n} = {100 * k / n:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    """Print the table."""
    n_scans, n_sharp = (int(a) for a in (sys.argv[1:] + ["300", "40"][len(sys.argv) - 1 :])[:2])
    torch.set_num_threads(1)
    for name, choice in METHODS.items():
        method, started = build_reconstructor(choice), time.perf_counter()
        found: dict[str, list[bool]] = {}
        misfits = []
        for number in range(n_scans):
            y, model, lesion = scan(number)
            noise = ResidualNoise(sigma=model.noise.sigma)
            with torch.no_grad():
                image = method(y, model, generator=torch.Generator().manual_seed(number)).image
            for what, x in (("faultless", image), ("lesion", image + lesion)):
                energy = residual_energies(y - model.operator(x), y, model.operator, noise=noise, axis="ky")
                for form, tolerance in (("quick, tolerance", TOLERANCE), ("quick, noise alone", 0.0)):
                    result = certificate(energy, noise=noise, tolerance=tolerance)
                    if what == "faultless" and tolerance == 0:
                        misfits.append(result.misfit)
                    found.setdefault(f"{form}: {what}", []).append(result.verdict == "fail")
                if number < n_sharp:
                    result = certify_reconstruction(method, y, model, seed=number, image=x, noise=noise, axis="ky")
                    found.setdefault(f"sharp: {what}", []).append(result.verdict == "fail")
        print(f"{name}: misfit {np.mean(misfits):.3f} (noise is 1), {time.perf_counter() - started:.0f} s", flush=True)
        for what, verdicts in sorted(found.items()):
            print(f"  {what:<32} fails {share(verdicts)}", flush=True)


if __name__ == "__main__":
    main()
