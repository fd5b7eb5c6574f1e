"""Proximal maps of total variation and wavelets against PyWavelets, sigpy, ptwt, scikit-image and deepinv.

    python -m tests.benchmarks.bench_priors

Every table starts with ours; "copy" is a plain clone of the same data. Peers that compute the same map are checked
against ours first; the others (different boundary or inner iterations) are marked in their name.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrirecon.priors.haar_total_variation import HaarTotalVariation
from mrirecon.priors.total_variation import TotalVariation, TotalVariationOptions
from mrirecon.priors.wavelet import UndecimatedWavelet, Wavelet
from tests.benchmarks.phantom import make_phantom
from tests.benchmarks.timing import HEADER, foreign_load, interleaved, rows
from tests.torchvision_shim import ensure_torchvision

SIZE, ROUNDS, THRESHOLD = 320, 60, 0.02
Contenders = dict[str, Callable[[], object]]


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def require_equal(name: str, ours: Tensor, theirs: Tensor, tolerance: float) -> None:
    error = float((ours - theirs).norm() / ours.norm())
    if error > tolerance:
        raise RuntimeError(f"{name} disagrees with ours: relative difference {error:.1e}")


def pywt_soft(array: np.ndarray, name: str, n_levels: int) -> np.ndarray:
    import pywt

    coefficients = pywt.wavedec2(array, name, mode="periodization", level=n_levels)
    shrunk = [coefficients[0]] + [
        tuple(pywt.threshold(band, THRESHOLD, "soft") for band in level) for level in coefficients[1:]
    ]
    return pywt.waverec2(shrunk, name, mode="periodization")


def total_variation(x: Tensor) -> Contenders:
    """One closed-form map, real or complex."""
    import pywt

    prior = HaarTotalVariation(THRESHOLD, boundary="circular", coupling="anisotropic")
    array = x[0].numpy()

    def stationary() -> np.ndarray:
        """The same map by PyWavelets: per axis one undecimated level, threshold sqrt(2) K lam with K = 2 d."""
        total = np.zeros_like(array)
        for axis in (0, 1):
            ((low, high),) = pywt.swt(array, "haar", level=1, axis=axis)
            shrunk = pywt.threshold(high, 2**0.5 * 4 * THRESHOLD, "soft")
            total += pywt.iswt([(low, shrunk)], "haar", axis=axis)
        return total / 2

    require_equal("pywt", prior.prox(x, 1.0)[0], torch.from_numpy(stationary()), 1e-5)
    return {
        "Haar TV anisotropic": lambda: prior.prox(x, 1.0),
        "Haar TV isotropic": lambda: HaarTotalVariation(THRESHOLD, boundary="circular").prox(x, 1.0),
        "Haar TV isotropic, replicate": lambda: HaarTotalVariation(THRESHOLD).prox(x, 1.0),
        "copy": lambda: x.clone(),
        "pywt swt + iswt, same map": stationary,
    }


def iterative(x: Tensor) -> Contenders:
    """The exact map by inner iterations, real, 20 of them each."""
    options = TotalVariationOptions(max_iterations=20, tolerance=0.0)
    found: Contenders = {"exact TV, 20 it": lambda: TotalVariation(0.05, options=options).prox(x, 1.0)}
    array = x[0].numpy()
    if installed("skimage"):
        from skimage.restoration import denoise_tv_chambolle

        found["skimage tv_chambolle, 20 it"] = lambda: denoise_tv_chambolle(
            array, weight=0.05, eps=1e-12, max_num_iter=20
        )
    if installed("deepinv"):
        ensure_torchvision()
        from deepinv.optim import TVPrior

        prior = TVPrior(n_it_max=20)
        found["deepinv TVPrior, 20 it"] = lambda: prior.prox(x[None], gamma=0.05)
    return found


def wavelet(x: Tensor, name: str) -> Contenders:
    """Soft thresholding of four levels, complex."""
    prior = Wavelet(THRESHOLD, name)
    array = x[0].numpy()
    require_equal("pywt", prior.prox(x, 1.0)[0], torch.from_numpy(pywt_soft(array, name, 4)), 1e-5)
    undecimated = UndecimatedWavelet(THRESHOLD, name)
    found: Contenders = {
        f"{name}, 4 levels": lambda: prior.prox(x, 1.0),
        f"{name}, shifted": lambda: prior.prox(x, 1.0, shift=(3, 5)),
        f"{name}, undecimated": lambda: undecimated.prox(x, 1.0),
        "copy": lambda: x.clone(),
        f"pywt {name}, same map": lambda: pywt_soft(array, name, 4),
    }
    if installed("sigpy"):
        import sigpy

        transform = sigpy.linop.Wavelet(x.shape[-2:], wave_name=name, level=4)
        proximal = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(transform.oshape, THRESHOLD), transform)
        found[f"sigpy {name} (zero boundary)"] = lambda: proximal(1.0, array)
    if installed("ptwt"):
        import ptwt

        parts = torch.view_as_real(x[0]).movedim(-1, 0).contiguous()

        def ptwt_transform() -> Tensor:
            coefficients = ptwt.wavedec2(parts, name, mode="zero", level=4)
            return ptwt.waverec2(coefficients, name)

        found[f"ptwt {name}, no shrinkage (zero)"] = ptwt_transform
    return found


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    image = make_phantom((SIZE, SIZE), 1).image
    x = image + 0.05 * torch.randn(image.shape, dtype=image.dtype, generator=generator)
    real = x.real.contiguous()
    print(f"{SIZE}x{SIZE}, {torch.get_num_threads()} threads, {ROUNDS} rounds, {foreign_load()}")
    for title, contenders in (
        ("closed-form TV, real", total_variation(real)),
        ("closed-form TV, complex", total_variation(x)),
        ("iterative TV, real", iterative(real)),
        ("wavelet, complex", wavelet(x, "haar")),
        ("wavelet, complex", wavelet(x, "db4")),
    ):
        timings = interleaved(contenders, rounds=ROUNDS)
        print(f"\n{title}\n{HEADER}")
        print("\n".join(rows(timings, ours=next(iter(contenders)))))
    print(f"\n{foreign_load()}")


if __name__ == "__main__":
    main()
