"""The normal operator of multi-coil Cartesian MRI against sigpy, mrpro and deepinv.

python -m tests.benchmarks.bench_operators
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))
from mrirecon.operators.mri import cartesian_mri
from tests.benchmarks.phantom import make_phantom, random_lines
from tests.benchmarks.timing import HEADER, foreign_load, interleaved, rows
from tests.torchvision_shim import ensure_torchvision

COILS, SIZE, ROUNDS = 15, 320, 25


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def contenders(mask: Tensor, maps: Tensor, x: Tensor) -> dict[str, Callable[[], object]]:
    """The same A^H A x in every library; each is checked against ours."""
    operator = cartesian_mri(mask, maps)
    reference = operator.normal(x)
    full = mask.expand(SIZE, SIZE)
    found: dict[str, Callable[[], object]] = {"mrirecon": lambda: operator.normal(x)}

    def check(name: str, y: Tensor) -> None:
        error = float((y.reshape(reference.shape) - reference).norm() / reference.norm())
        if error > 1e-5:
            raise RuntimeError(f"{name} disagrees with ours: relative difference {error:.1e}")

    if installed("sigpy"):
        import sigpy.mri

        normal = sigpy.mri.linop.Sense(maps.numpy(), weights=full.numpy().astype("float32")).N
        check("sigpy", torch.from_numpy(normal(x[0].numpy())))
        found["sigpy Sense.N"] = lambda: normal(x[0].numpy())
    if installed("deepinv"):
        ensure_torchvision()
        from deepinv.physics import MultiCoilMRI

        physics = MultiCoilMRI(mask=full.float()[None, None], coil_maps=maps[None], img_size=(SIZE, SIZE))
        pairs = torch.view_as_real(x[0]).permute(2, 0, 1)[None].contiguous()
        y = physics.A_adjoint(physics.A(pairs))
        check("deepinv", torch.complex(y[0, 0], y[0, 1]))
        found["deepinv MultiCoilMRI"] = lambda: physics.A_adjoint(physics.A(pairs))
    if installed("mrpro"):
        ensure_torchvision()
        from mrpro.data import SpatialDimension
        from mrpro.operators import FastFourierOp, SensitivityOp

        size = SpatialDimension(1, SIZE, SIZE)
        fourier = FastFourierOp(dim=(-2, -1), recon_matrix=(SIZE, SIZE), encoding_matrix=(SIZE, SIZE))
        coils = SensitivityOp(maps[None, :, None])
        weights, image = full.float()[None, None, None], x[None, :, None]

        def mrpro_normal() -> Tensor:
            (k,) = (fourier @ coils)(image)
            (y,) = (fourier @ coils).adjoint(k * weights)
            return y

        del size
        check("mrpro", mrpro_normal())
        found["mrpro FastFourierOp @ SensitivityOp"] = mrpro_normal
    return found


def main() -> None:
    phantom = make_phantom((SIZE, SIZE), COILS)
    plane = torch.rand(SIZE, SIZE, generator=torch.Generator().manual_seed(0)) < 0.25
    print(
        f"A^H A, {COILS} coils, {SIZE} x {SIZE}, {torch.get_num_threads()} threads, {ROUNDS} rounds; {foreign_load()}"
    )
    for name, mask in (("1D mask, R = 4, 24 centre lines", random_lines(SIZE)), ("2D mask, R = 4", plane)):
        print(f"\n{name}\n{HEADER}")
        timings = interleaved(contenders(mask, phantom.maps, phantom.image), rounds=ROUNDS)
        print("\n".join(rows(timings, ours="mrirecon")))


if __name__ == "__main__":
    main()
