"""Grids are searched on tuning cases, cells are computed once, and what cannot be computed is a hole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from mrirecon.errors import ConfigError
from mrirecon.evaluation.cells import Cell, CellStore
from mrirecon.evaluation.comparison import Runner
from mrirecon.evaluation.method_choices import (
    GuidedDPS,
    MethodChoice,
    Sampling,
    SparseWavelet,
    Tikhonov,
    TotalVariation,
    ZeroFilled,
)
from mrirecon.evaluation.methods import Hole, Network
from mrirecon.evaluation.problems import Case, Problem
from mrirecon.metrics.image import psnr
from mrirecon.priors.base import Denoiser
from mrirecon.reconstruction.primal_dual import PrimalDualTV
from tests.evaluation.scenes import denoising_case, inpainting_case


def nothing(name: str) -> Network | Hole:
    return Hole(f"no checkpoint {name}")


def runner(folder: Path, methods: dict[str, MethodChoice], tuning: tuple[Case, ...] = (), **more: object) -> Runner:
    stores = CellStore(folder / "cells"), CellStore(folder / "tuning")
    return Runner(methods, tuning, *stores, more.pop("load", nothing), folder, **more)  # type: ignore[arg-type]


def counted(case: Case) -> tuple[Case, list[str]]:
    """The case, and a list that grows whenever it is made."""
    made: list[str] = []

    def make() -> Problem:
        made.append(case.name)
        return case.make()

    return replace(case, make=make), made


def test_the_best_of_the_grid_is_taken_from_the_tuning_cases(tmp_path: Path) -> None:
    weights = (0.02, 0.4, 6.0)
    tuning = tuple(denoising_case(f"t/{i}/noise", subject="t", sigma=0.3, seed=i + 5) for i in range(2))
    shown = denoising_case(sigma=0.3)
    (cell,) = runner(tmp_path, {"tv": TotalVariation(weights, 40)}, tuning).run([shown])

    def mean(weight: float) -> float:
        values = []
        for case in tuning:
            p = case.make()
            image = PrimalDualTV(weight, max_iterations=40)(p.data, p.model).image.clamp(-1, 1)
            values.append(psnr(p.reference.numpy(), image.numpy(), data_range=2.0))
        return sum(values) / 2

    best = max(weights, key=mean)
    assert best == 0.4  # the grid has an inside
    assert cell.parameters == {"weight": best}
    assert cell.at_edge == ()
    p = shown.make()
    image = PrimalDualTV(best, max_iterations=40)(p.data, p.model).image.clamp(-1, 1)
    assert cell.psnr_db == pytest.approx(psnr(p.reference.numpy(), image.numpy(), data_range=2.0), abs=1e-6)
    assert cell.facts == {"sigma": 0.3}
    assert cell.seconds is not None
    assert cell.cpu_seconds is not None
    assert cell.seconds > 0 < cell.cpu_seconds


def test_a_coarse_search_finds_the_same_with_fewer_values(tmp_path: Path) -> None:
    weights = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
    tuning = tuple(denoising_case(f"t/{i}/noise", subject="t", sigma=0.3, seed=i + 5) for i in range(2))
    full = runner(tmp_path / "full", {"tv": TotalVariation(weights, 40)}, tuning)
    coarse = runner(tmp_path / "coarse", {"tv": TotalVariation(weights, 40)}, tuning, search="coarse-to-fine")
    (a,), (b,) = full.run([denoising_case(sigma=0.3)]), coarse.run([denoising_case(sigma=0.3)])
    assert a.parameters == b.parameters == {"weight": 0.4}
    assert a.psnr_db == b.psnr_db
    asked = [len(list((r.tuning_store.folder / "t/0/noise").glob("*.json"))) for r in (full, coarse)]
    assert asked[0] == 9
    assert asked[1] <= 6
    both = Tikhonov((0.1, 0.5), (2, 3))  # two parameters: searched in full
    crossed = runner(tmp_path / "crossed", {"cg": both}, tuning, search="coarse-to-fine")
    list(crossed.run([denoising_case()]))
    assert len(list((crossed.tuning_store.folder / "t/0/noise").glob("*.json"))) == 4


def test_a_second_run_computes_nothing_and_a_change_only_what_it_concerns(tmp_path: Path) -> None:
    case, made = counted(denoising_case())
    methods: dict[str, MethodChoice] = {"adjoint": ZeroFilled(), "tv": TotalVariation(0.1, 5)}
    first = list(runner(tmp_path, methods).run([case]))
    assert len(made) == 1  # one problem for all methods
    assert list(runner(tmp_path, methods).run([case])) == first
    assert len(made) == 1
    changed = list(runner(tmp_path, {**methods, "tv": TotalVariation(0.2, 5)}).run([case]))
    assert len(made) == 2
    assert changed[0] == first[0]
    assert changed[1].psnr_db != first[1].psnr_db
    list(runner(tmp_path, methods, circumstances={"precision": "bf16"}).run([case]))
    assert len(made) == 3


def test_pictures_are_kept_where_asked_even_if_the_figures_are_there(tmp_path: Path) -> None:
    case = denoising_case()
    run = runner(tmp_path, {"adjoint": ZeroFilled()})
    list(run.run([case]))
    assert run.store.picture(case.name, "adjoint") is None
    list(run.run([case], frozenset([case.name])))
    picture = run.store.picture(case.name, "adjoint")
    assert picture is not None
    torch.testing.assert_close(picture, case.make().data.clamp(-1, 1))


def test_absent_checkpoints_are_holes(tmp_path: Path) -> None:
    methods: dict[str, MethodChoice] = {"dps": GuidedDPS("runs/prior", zeta=(0.1, 0.3)), "adjoint": ZeroFilled()}
    tuning = (denoising_case("t/0/noise", subject="t"),)
    hole, cell = runner(tmp_path, methods, tuning).run([denoising_case()])
    assert (hole.hole, hole.psnr_db) == ("no checkpoint runs/prior", None)
    assert cell.psnr_db is not None


def test_a_grid_without_tuning_cases_is_refused(tmp_path: Path) -> None:
    run = runner(tmp_path, {"tv": TotalVariation((0.1, 0.2))}, (inpainting_case(),))
    with pytest.raises(ConfigError, match="no tuning case of the setting 'noise'"):
        list(run.run([denoising_case()]))


class White(nn.Module, Denoiser):
    """E[x | x_sigma] for white images of variance 0.3."""

    is_mmse = True

    def forward(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        return x * (0.3 / (0.3 + sigma**2))


def test_samplers_repeat_and_divergence_is_a_hole(tmp_path: Path) -> None:
    def load(name: str) -> Network:
        return Network(White(), name, (0.05, 5.0))

    fine = GuidedDPS("white", zeta=0.1, sampling=Sampling(steps=4))
    wild = GuidedDPS("white", zeta=1e38, sampling=Sampling(steps=4))
    case = inpainting_case()
    cells: list[Cell] = list(runner(tmp_path / "1", {"fine": fine, "wild": wild}, load=load).run([case]))
    assert cells[0].psnr_db is not None
    assert cells[1].hole.startswith("diverged")
    again = list(runner(tmp_path / "2", {"fine": fine}, load=load).run([case]))
    assert again[0].psnr_db == cells[0].psnr_db
    other = list(runner(tmp_path / "3", {"fine": fine}, load=load, seed=1).run([case]))
    assert other[0].psnr_db != cells[0].psnr_db


def test_methods_with_tuned_neighbours_do_not_disturb_each_other(tmp_path: Path) -> None:
    tuning = (denoising_case("t/0/noise", subject="t"),)
    both: dict[str, MethodChoice] = {"a": Tikhonov((0.1, 0.5)), "b": SparseWavelet((0.05, 0.2), "db2", 2, 5)}
    alone = list(runner(tmp_path / "alone", {"b": both["b"]}, tuning).run([denoising_case()]))
    together = list(runner(tmp_path / "both", both, tuning).run([denoising_case()]))
    untimed = {"seconds": 0.0, "cpu_seconds": 0.0}
    assert replace(together[1], **untimed) == replace(alone[0], **untimed)


def test_a_case_may_be_tuned_as_another_setting(tmp_path: Path) -> None:
    tuning = (denoising_case("t/0/noise", subject="t"),)
    measured = replace(denoising_case(), setting="noise, measured", tuned_as="noise")
    (cell,) = runner(tmp_path, {"tv": TotalVariation((0.1, 0.2), 5)}, tuning).run([measured])
    assert cell.setting == "noise, measured"
    assert set(cell.parameters) == {"weight"}
