"""ESPIRiT against BART's ecalib (command line) and sigpy's EspiritCalib: time, memory, agreement.

    python -m tests.benchmarks.bench_espirit [--rounds 5] [--without-sigpy]

15 coils, 320x320, calibration 24x24, kernel 6x6, one map; the same signal space for all three. Two data sets: the
simulated head, and a measured brain when MRIRECON_DATA names the folder that holds it. Times of BART include starting
its process and its own reading and writing, a few milliseconds.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrirecon.linalg.fft import ifft
from mrirecon.mri.sensitivities import espirit, walsh
from tests.benchmarks import bart
from tests.benchmarks.phantom import make_phantom
from tests.benchmarks.timing import HEADER, foreign_load, interleaved, peak_memory_of, resident_peak, rows

DATA = Path(os.environ.get("MRIRECON_DATA", Path(__file__).parents[3] / "shared" / "data"))
MEASURED = DATA / "kspace" / "sigpy_tutorial" / "cartesian_ksp.npy"
ECALIB = ("ecalib", "-d0", "-m1", "-r24", "-k6")
OURS, BART, SIGPY = "espirit", "BART ecalib, command line", "sigpy EspiritCalib"
# Runs a command and prints its peak resident kilobytes; a small process, because a child starts with its parent's peak.
WATCH = (
    "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True); "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


def by_sigpy(kspace: np.ndarray) -> np.ndarray:
    """Sigpy's maps with BART's cut: singular values above sqrt(1e-3) of the largest."""
    from sigpy.mri.app import EspiritCalib

    return EspiritCalib(
        kspace, calib_width=24, kernel_width=6, thresh=1e-3**0.5, crop=0.8, max_iter=100, show_pbar=False
    ).run()


def agreement(name: str, maps: Tensor, reference: Tensor, inside: Tensor) -> str:
    """Support (share of voxels in one of the two only) and |correlation| over the object, against `reference`."""
    here, there = maps.abs().sum(0) > 0, reference.abs().sum(0) > 0
    deviation = (1 - (maps.conj() * reference).sum(0).abs())[inside & here & there]
    share = float((deviation < 1e-3).float().mean())
    return (
        f"{name:<42}{100 * int((here ^ there).sum()) / int(there.sum()):9.3f}%{1 - float(deviation.mean()):12.7f}"
        f"{1 - float(deviation.max()):12.5f}{100 * share:10.2f}%"
    )


def compare(title: str, kspace: Tensor, inside: Tensor, true_maps: Tensor | None, *, rounds: int, sigpy: bool) -> None:
    """Print one table of times and one of agreement."""
    array = kspace.numpy()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contenders: dict[str, Callable[[], object]] = {OURS: lambda: espirit(kspace)}
        if bart.AVAILABLE:
            bart.write(folder / "kspace", array)
            contenders[BART] = lambda: bart.run(folder, *ECALIB, "kspace", "maps")
        if sigpy:
            contenders[SIGPY] = lambda: by_sigpy(array)
        contenders["espirit, two sets"] = lambda: espirit(kspace, n_maps=2)
        contenders["walsh"] = lambda: walsh(kspace)
        print(f"\n{title}: {tuple(kspace.shape)}; {torch.get_num_threads()} threads; {foreign_load()}\n{HEADER}")
        print("\n".join(rows(interleaved(contenders, rounds=rounds), ours=OURS)))
        maps = {OURS: espirit(kspace).maps[0]}
        if bart.AVAILABLE:
            maps[BART] = torch.from_numpy(bart.read(folder / "maps"))
    if sigpy:
        maps[SIGPY] = torch.from_numpy(by_sigpy(array))
    print(f"\n{'':<42}{'support':>10}{'corr mean':>12}{'corr min':>12}{'>= 0.999':>11}")
    if BART in maps:
        for name, other in maps.items():
            if name != BART:
                print(agreement(f"{name}, to BART", other, maps[BART], inside))
    if true_maps is not None:
        for name, other in {**maps, "walsh": walsh(kspace)}.items():
            print(agreement(f"{name}, to the truth", other * inside, true_maps * inside, inside))


def print_memory(*, sigpy: bool) -> None:
    """Peak resident memory on top of the libraries and the k-space, each contender in a process of its own."""
    print(f"\n{'peak memory of the work':<34}{'MB':>10}")
    for name in (OURS, SIGPY) if sigpy else (OURS,):
        before, peak = peak_memory_of("tests.benchmarks.bench_espirit", f"--memory={name}")
        print(f"{name:<34}{peak - before:10.0f}")
    if bart.AVAILABLE:
        with tempfile.TemporaryDirectory() as folder:
            bart.write(Path(folder) / "kspace", make_phantom().kspace.numpy())
            command = [sys.executable, "-c", WATCH, "bart", *ECALIB, "kspace", "maps"]
            out = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
        print(f"{BART + ', whole':<34}{int(out) / 1024:10.0f}")


def work_once(name: str) -> None:
    """Run one contender and print the resident memory before and at its peak."""
    kspace = make_phantom().kspace
    small = make_phantom((64, 64), 4).kspace  # so that libraries are loaded and set up before the count starts
    run = (lambda k: by_sigpy(k.numpy())) if name == SIGPY else espirit
    run(small)
    ctypes.CDLL(None).malloc_trim(0)  # memory that making the phantom has left behind must not hide what follows
    before = resident_peak(reset=True) or 0.0
    run(kspace)
    print(before, resident_peak())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-sigpy", action="store_true", help="skip sigpy, which takes ten seconds a round")
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        work_once(options.memory)
        return
    sigpy = not options.without_sigpy and importlib.util.find_spec("sigpy") is not None
    p = make_phantom()
    compare("simulated head", p.kspace, p.support, p.maps, rounds=options.rounds, sigpy=sigpy)
    if MEASURED.exists():
        kspace = torch.from_numpy(np.load(MEASURED).astype(np.complex64))
        bright = ifft(kspace, (-2, -1)).abs().square().sum(0).sqrt()
        inside = bright > 0.1 * bright.max()
        compare("measured brain", kspace, inside, None, rounds=options.rounds, sigpy=sigpy)
    print_memory(sigpy=sigpy)


if __name__ == "__main__":
    main()
