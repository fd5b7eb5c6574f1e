"""All methods on the same problems: every cell computed once, hyper-parameters chosen on other people's images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mrirecon.errors import ConfigError
from mrirecon.evaluation.cells import Cell, CellStore, fingerprint
from mrirecon.evaluation.method_choices import MethodChoice, at_edge, candidates, tuned_parameters
from mrirecon.evaluation.methods import Hole, LoadNetwork, Method, build_method
from mrirecon.evaluation.problems import Case, Problem
from mrirecon.evaluation.scores import PerceptualDistance, score
from mrirecon.evaluation.timed import timed, warmed
from mrirecon.evaluation.tuning import NOTHING, Search, best_candidate, coarse_to_fine
from mrirecon.records import to_mapping


@dataclass(frozen=True, eq=False)
class Runner:
    """Runs methods on cases and keeps what they reach.

    Parameters
    ----------
    methods
        By name.
    tuning
        Cases on which grids are searched; of other subjects than those that are shown.
    store, tuning_store
        Where cells are kept.
    load
        Gives trained networks.
    root
        Folder of the data.
    perceptual
        LPIPS, or None.
    device
        Where methods compute.
    seed
        Of the samplers.
    circumstances
        What else decides the figures of networks, such as their precision.
    search
        How grids are searched; those over more than one parameter are always searched in full.
    """

    methods: dict[str, MethodChoice]
    tuning: tuple[Case, ...]
    store: CellStore
    tuning_store: CellStore
    load: LoadNetwork
    root: Path
    perceptual: PerceptualDistance | None = None
    device: str = "cpu"
    seed: int = 0
    circumstances: dict[str, Any] = field(default_factory=dict)
    search: Search = "grid"
    _built: dict[tuple[str, str, str], Method | Hole] = field(default_factory=dict, repr=False)

    def run(self, cases: Sequence[Case], pictures: frozenset[str] = frozenset()) -> Iterator[Cell]:
        """The cells, case by case; those on disk are not computed again.

        Parameters
        ----------
        cases
            What the table shows.
        pictures
            Names of the cases whose pictures are kept.
        """
        problem: dict[str, Problem] = {}
        for case in cases:
            problem.clear()
            for name, choice in self.methods.items():
                concrete = self.tuned(name, choice, case)
                cell = self._cell(self.store, case, name, concrete, problem, picture=case.name in pictures)
                if isinstance(concrete, Hole):
                    yield cell
                else:
                    yield replace(
                        cell, parameters=tuned_parameters(choice, concrete), at_edge=at_edge(choice, concrete)
                    )

    def tuned(self, name: str, choice: MethodChoice, case: Case) -> MethodChoice | Hole:
        """The candidate with the best mean PSNR on the tuning cases of this setting.

        Raises
        ------
        ConfigError
            If there is a grid and no tuning case of the setting.
        """
        options = candidates(choice)
        if len(options) == 1:
            return options[0]
        setting = case.tuned_as or case.setting
        cases = [other for other in self.tuning if other.setting == setting]
        if not cases:
            raise ConfigError(f"method {name!r} has a grid, but there is no tuning case of the setting {setting!r}")
        first = self._method(options[0], case)
        if isinstance(first, Hole):
            return first
        limit = getattr(choice, "tune_on", 0) or len(cases)
        chosen = cases[:: max(1, -(-len(cases) // limit))]
        values: list[list[float]] = [[NOTHING] for _ in options]
        problems: dict[str, dict[str, Problem]] = {other.name: {} for other in chosen}

        def total(i: int) -> float:
            label = f"{name}-{fingerprint(to_mapping(options[i]))[:8]}"
            cells = [self._cell(self.tuning_store, c, label, options[i], problems[c.name]) for c in chosen]
            values[i] = [NOTHING if cell.psnr_db is None else cell.psnr_db for cell in cells]
            return sum(values[i])

        if self.search == "coarse-to-fine" and len(tuned_parameters(choice, options[0])) == 1:
            coarse_to_fine(len(options), total)
        else:
            for i in range(len(options)):
                total(i)
        return best_candidate(options, values)

    def _cell(
        self,
        store: CellStore,
        case: Case,
        name: str,
        choice: MethodChoice | Hole,
        made: dict[str, Problem],
        *,
        picture: bool = False,
    ) -> Cell:
        method = choice if isinstance(choice, Hole) else self._method(choice, case)
        identity = {"hole": method.reason} if isinstance(method, Hole) else method.identity
        circumstances = self.circumstances if identity else {}  # classical methods have no identity and no networks
        described = "none" if isinstance(choice, Hole) else to_mapping(choice)
        digest = fingerprint(case.identity, described, identity, circumstances, self.seed, self.perceptual is not None)
        known = store.get(case.name, name, digest)
        if known is not None and (known.hole or not picture or store.picture(case.name, name) is not None):
            return known
        empty = Cell(case.name, case.subject, case.setting, name, digest)
        if isinstance(method, Hole):
            return replace(empty, hole=method.reason)
        if not made:
            made[case.name] = warmed(case.make().to(self.device))
        cell, shown = self._figures(made[case.name], method, empty)
        store.put(cell, shown if picture else None)
        return cell

    def _figures(self, problem: Problem, method: Method, empty: Cell) -> tuple[Cell, Tensor | None]:
        reached = timed(method, problem, seed=self.seed, name=empty.case)
        if isinstance(reached, Hole):
            return replace(empty, hole=reached.reason), None
        picture = problem.compared(reached.image)
        figures = score(problem, picture, self.perceptual)
        cell = replace(
            empty,
            psnr_db=figures.psnr_db,
            ssim=figures.ssim,
            lpips=figures.lpips,
            seconds=reached.seconds,
            cpu_seconds=reached.cpu_seconds,
            facts=problem.facts,
            definitions=tuple(definition.identifier for definition in figures.definitions),
        )
        return cell, picture

    def _method(self, choice: MethodChoice, case: Case) -> Method | Hole:
        key = (case.setting, case.family, repr(choice))
        if key not in self._built:
            self._built[key] = build_method(
                choice, setting=case.setting, family=case.family, load=self.load, root=self.root
            )
        return self._built[key]
