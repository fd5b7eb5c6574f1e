"""CG-SENSE, L1-wavelet and total variation against BART's pics and sigpy.

    python -m tests.benchmarks.bench_reconstruction

Weights of the regularised methods are tuned for every contender on the same grid, by the error to the truth; times
are those of the tuned runs, interleaved. Quality is the NRMSE to the truth over the object.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrirecon.linalg.cg import CGOptions
from mrirecon.operators.measurement import MeasurementModel
from mrirecon.operators.mri import cartesian_mri
from mrirecon.operators.noise import GaussianNoise
from mrirecon.priors.haar_total_variation import HaarTotalVariation
from mrirecon.priors.wavelet import Wavelet
from mrirecon.reconstruction.base import Reconstructor
from mrirecon.reconstruction.linear import LeastSquares
from mrirecon.reconstruction.primal_dual import PrimalDualTV
from mrirecon.reconstruction.splitting import ProximalGradient, cycle_spinning, fixed
from tests.benchmarks import bart
from tests.benchmarks.phantom import Phantom, make_phantom, random_lines
from tests.benchmarks.timing import HEADER, foreign_load, interleaved, peak_memory_of, resident_peak, rows

COILS, SIZE, ROUNDS, NOISE = 15, 320, 5, 0.01
GRID = (1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2)
MODULE = "tests.benchmarks.bench_reconstruction"


class Problem:
    """Undersampled noisy data of the phantom, and where BART finds them."""

    def __init__(self, folder: Path | None) -> None:
        self.phantom: Phantom = make_phantom((SIZE, SIZE), COILS, noise=NOISE)
        mask = random_lines(SIZE)
        self.y = self.phantom.kspace * mask
        self.operator = cartesian_mri(mask, self.phantom.maps)
        self.model = MeasurementModel(self.operator, GaussianNoise(NOISE))
        self.folder = folder
        if folder is not None and bart.AVAILABLE:
            bart.write(folder / "y", self.y.numpy())
            bart.write(folder / "maps", self.phantom.maps.numpy())

    def error(self, image: Tensor) -> float:
        """NRMSE over the object, after the best global factor (BART may scale)."""
        x, truth = image.reshape(SIZE, SIZE)[self.phantom.support], self.phantom.image[0][self.phantom.support]
        factor = torch.vdot(x, truth) / torch.vdot(x, x)
        return float((factor * x - truth).norm() / truth.norm())

    def pics(self, *arguments: str) -> Tensor:
        assert self.folder is not None
        bart.run(self.folder, "pics", *arguments, "y", "maps", "x")
        return torch.from_numpy(bart.read(self.folder / "x"))


def ours(problem: Problem, method: Reconstructor) -> Tensor:
    return method(problem.y, problem.model).image


def wavelet(weight: float) -> Reconstructor:
    return ProximalGradient(cycle_spinning(Wavelet(weight, wavelet="db4")), max_iterations=100, tolerance=0)


def haar(weight: float, *, iterations: int = 100) -> Reconstructor:
    return ProximalGradient(cycle_spinning(Wavelet(weight, wavelet="haar")), max_iterations=iterations, tolerance=0)


def tv(weight: float) -> Reconstructor:
    return PrimalDualTV(weight, max_iterations=100, tolerance=0)


def closed_form_tv(weight: float) -> Reconstructor:
    return ProximalGradient(fixed(HaarTotalVariation(weight)), max_iterations=100, tolerance=0)


def conjugate_gradients(iterations: int) -> Reconstructor:
    return LeastSquares(1e-3, CGOptions(iterations, 0.0))


def sigpy_app(problem: Problem, name: str, weight: float) -> Callable[[], Tensor]:
    import sigpy.mri.app as app

    kind = {"TV": app.TotalVariationRecon, "wavelet": app.L1WaveletRecon, "CG": app.SenseRecon}[name]
    steps = 30 if name == "CG" else 100

    def run() -> Tensor:
        y, maps = problem.y.numpy(), problem.phantom.maps.numpy()
        return torch.from_numpy(np.asarray(kind(y, maps, lamda=weight, max_iter=steps, show_pbar=False).run()))

    return run


def tuned(problem: Problem, run: Callable[[float], Tensor]) -> tuple[float, float]:
    """(weight, NRMSE) of the best weight on the common grid."""
    return min(((w, problem.error(run(w))) for w in GRID), key=lambda pair: pair[1])


def section(title: str, problem: Problem, runs: dict[str, Callable[[], Tensor]], labels: dict[str, str]) -> None:
    print(f"\n{title}\n{HEADER}   NRMSE")
    timings = interleaved(runs, rounds=ROUNDS)
    first = next(iter(runs))
    for line, name in zip(rows(timings, ours=first), runs, strict=True):
        print(f"{line}   {problem.error(runs[name]()):.4f}  {labels.get(name, '')}")


def linear_section(problem: Problem) -> None:
    exact = ours(problem, conjugate_gradients(400))
    runs: dict[str, Callable[[], Tensor]] = {"mrirecon CG-SENSE": lambda: ours(problem, conjugate_gradients(30))}
    if bart.AVAILABLE:
        runs["bart pics -l2"] = lambda: problem.pics("-S", "-w1", "-l2", "-r0.001", "-i30")
    runs["sigpy SenseRecon"] = sigpy_app(problem, "CG", 1e-3)
    distance = {}
    for name, run in runs.items():
        image = run().reshape(exact.shape)
        distance[name] = f"distance to the converged solution {float((image - exact).norm() / exact.norm()):.2e}"
    section("CG-SENSE, 30 iterations, lambda 1e-3", problem, runs, distance)


def sparse_section(problem: Problem) -> None:
    candidates: dict[str, dict[str, Callable[[float], Tensor]]] = {
        "L1-wavelet, 100 iterations, tuned": {
            "mrirecon haar": lambda w: ours(problem, haar(w)),
            "mrirecon db4": lambda w: ours(problem, wavelet(w)),
            "mrirecon haar, 50 iterations": lambda w: ours(problem, haar(w, iterations=50)),
            "bart pics -RW": lambda w: problem.pics("-S", "-w1", f"-RW:3:0:{w}", "-i100"),
            "sigpy L1WaveletRecon": lambda w: sigpy_app(problem, "wavelet", w)(),
        },
        "Total variation, 100 iterations, tuned": {
            "mrirecon primal-dual": lambda w: ours(problem, tv(w)),
            "mrirecon closed form": lambda w: ours(problem, closed_form_tv(w)),
            "bart pics -RT": lambda w: problem.pics("-S", "-w1", f"-RT:3:0:{w}", "-i100"),
            "sigpy TotalVariationRecon": lambda w: sigpy_app(problem, "TV", w)(),
        },
    }
    for title, methods in candidates.items():
        runs: dict[str, Callable[[], Tensor]] = {}
        labels = {}
        for name, run in methods.items():
            if name.startswith("bart") and not bart.AVAILABLE:
                continue
            weight, _ = tuned(problem, run)
            runs[name] = lambda run=run, weight=weight: run(weight)
            labels[name] = f"weight {weight:g}"
        section(title, problem, runs, labels)


WORK: dict[str, Callable[[Problem], object]] = {
    "normal": lambda p: p.operator.normal(p.phantom.image),
    "cg": lambda p: ours(p, conjugate_gradients(30)),
    "wavelet": lambda p: ours(p, wavelet(2e-3)),
    "tv": lambda p: ours(p, tv(2e-3)),
    "closed-form-tv-prox": lambda p: HaarTotalVariation(2e-3).prox(p.phantom.image, 1.0),
}


def main() -> None:
    if len(sys.argv) == 2:  # one job alone in its process, for its memory
        problem = Problem(None)
        problem.operator.normal(problem.phantom.image)  # the operator's own arrays
        before = resident_peak(reset=True)
        WORK[sys.argv[1]](problem)
        print(before, resident_peak())
        return
    print(f"{COILS} coils, {SIZE} x {SIZE}, 1D mask R = 4, 24 centre lines, noise {NOISE}; {torch.get_num_threads()} "
          f"threads, {ROUNDS} rounds; {foreign_load()}")  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        problem = Problem(Path(name))
        linear_section(problem)
        sparse_section(problem)
    print("\nPeak memory beyond data, operator and libraries (MB)")
    for work in WORK:
        before, peak = peak_memory_of(MODULE, work)
        print(f"{work:<34}{peak - before:10.1f}")


if __name__ == "__main__":
    main()
