"""What the options of `mrirecon recon` say, as a configuration."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mrirecon.cli.options import METHODS, replaced, sampling
from mrirecon.config.load import load_config
from mrirecon.config.schema import (
    EspiritMaps,
    FileMaps,
    MapsChoice,
    MethodChoice,
    ReconstructionConfig,
    ReferenceMaps,
    Sense,
    Undersampling,
    WalshMaps,
)
from mrirecon.errors import ConfigError

if TYPE_CHECKING:
    from mrirecon.jobs.companions import Companions

COMPANIONS = ("uncertainty", "parametric-map", "classical", "certificate")


def configuration(arguments: argparse.Namespace) -> ReconstructionConfig:
    """The configuration file, if any, with the command line's options laid over it.

    Raises
    ------
    ConfigError
        If an option does not belong to the chosen method or contradicts another one.
    """
    config = load_config(arguments.config) if arguments.config else ReconstructionConfig()
    seed = config.seed if arguments.seed is None else arguments.seed
    preparation = replaced(
        config.preparation,
        {
            "virtual_coils": arguments.compress_coils,
            "whitening": arguments.whitening,
            "partial_fourier": arguments.partial_fourier,
            "remove_oversampling": False if arguments.keep_oversampling else None,
        },
    )
    return dataclasses.replace(
        config,
        seed=seed,
        view=arguments.view or config.view,
        preparation=preparation,
        undersampling=_undersampling(arguments, config.undersampling),
        maps=_maps(arguments, config.maps),
        method=_method(arguments, config.method),
    )


def _undersampling(arguments: argparse.Namespace, configured: Undersampling | None) -> Undersampling | None:
    details = {"kind": arguments.mask, "centre_lines": arguments.centre_lines}
    if arguments.accelerate is None and configured is None:
        for option, value in (("--mask", arguments.mask), ("--centre-lines", arguments.centre_lines)):
            if value is not None:
                raise ConfigError(f"{option} undersamples retrospectively and needs --accelerate R")
        return None
    base = configured or Undersampling()
    return replaced(base, {"acceleration": arguments.accelerate, **details})


def _maps(arguments: argparse.Namespace, configured: MapsChoice) -> MapsChoice:
    choice = configured
    if arguments.maps == "espirit":
        choice = configured if isinstance(configured, EspiritMaps) else EspiritMaps()
    elif arguments.maps == "walsh":
        choice = configured if isinstance(configured, WalshMaps) else WalshMaps()
    elif arguments.maps is not None:
        choice = _maps_file(Path(arguments.maps))
    if arguments.map_sets is not None:
        if not isinstance(choice, EspiritMaps):
            raise ConfigError("--map-sets belongs to --maps espirit")
        choice = dataclasses.replace(choice, sets=arguments.map_sets)
    return choice


def _maps_file(path: Path) -> MapsChoice:
    if path.suffix in (".npy", ".cfl", ".hdr") or path.with_suffix(".cfl").is_file():
        return FileMaps(path)
    if not path.exists():
        raise ConfigError(f"--maps must be espirit, walsh or an existing file, got {str(path)!r}")
    return ReferenceMaps(path)


def _method(arguments: argparse.Namespace, configured: MethodChoice) -> MethodChoice:
    choice: Any = configured
    if arguments.method is not None and arguments.method != configured.kind:
        choice = METHODS[arguments.method]()
    changes = {
        "combine": arguments.combine,
        "iterations": arguments.iterations,
        "regularisation" if isinstance(choice, Sense) else "weight": arguments.weight,
        **sampling(arguments, choice),
    }
    given = {name: value for name, value in changes.items() if value is not None}
    for name in given:
        if not hasattr(choice, name):
            raise ConfigError(
                f"--{'weight' if name == 'regularisation' else name} does not apply to method {choice.kind}"
            )
    return dataclasses.replace(choice, **given) if given else choice  # type: ignore[no-any-return]


def companions(arguments: argparse.Namespace) -> Companions:
    """What `--companions` and `--classical` ask for; `ConfigError` if they name something unknown."""
    from mrirecon.jobs.companions import Companions

    method = None if arguments.classical is None else METHODS[arguments.classical]()
    if arguments.companions is None:
        return Companions(classical=method)
    names = [name.strip() for name in arguments.companions.split(",")]
    unknown = [name for name in names if name not in (*COMPANIONS, "none")]
    if unknown or ("none" in names and len(names) > 1):
        raise ConfigError(f"--companions must be none or of {', '.join(COMPANIONS)}, got {arguments.companions!r}")
    if "classical" in names and method is None:
        method = Sense()
    chosen = {name.replace("-", "_"): name in names for name in COMPANIONS if name != "classical"}
    return Companions(**chosen, classical=method)


def parse_slices(text: str | None) -> range | None:
    """ "A:B" or "A" as a range, None for all; `ConfigError` if it is neither."""
    if text is None:
        return None
    first, colon, last = text.partition(":")
    try:
        start = int(first)
        return range(start, int(last) if colon else start + 1)
    except ValueError:
        raise ConfigError(f"--slices must be A:B or A, got {text!r}") from None
