"""The reconstructions that a server offers: YAML files of one folder, by name."""

from __future__ import annotations

import re
from pathlib import Path

import mrirecon
from mrirecon.config.build import build_reconstructor
from mrirecon.config.load import load_config
from mrirecon.config.schema import FileMaps, ReconstructionConfig, ReferenceMaps
from mrirecon.errors import ConfigError, MrireconError
from mrirecon.jobs.reporting import Reporter

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def offered_configs(folder: Path | None, reporter: Reporter) -> dict[str, ReconstructionConfig]:
    """The reconstruction configurations of a folder, under their file names without ".yaml".

    Files of other kinds, configurations that undersample, and those that cannot work (no such checkpoint or maps) are
    left out, and the reporter says which and why.

    Parameters
    ----------
    folder
        None takes the configurations that come with the package.
    reporter
        For what is left out of a folder that was named.

    Raises
    ------
    ConfigError
        If the folder does not exist or offers nothing.
    """
    where = _packaged() if folder is None else folder
    if not where.is_dir():
        raise ConfigError(f"{where}: there is no such folder of configurations; name one with --configs")
    offered: dict[str, ReconstructionConfig] = {}
    for path in sorted(where.glob("*.yaml")):
        try:
            offered[path.stem] = _usable(path)
        except MrireconError as error:
            if folder is not None:
                reporter.warn(f"{path.name} is not offered: {error}")
    if not offered:
        raise ConfigError(f"{where}: no file in it is a configuration of a reconstruction that could be offered")
    return offered


def _usable(path: Path) -> ReconstructionConfig:
    if not _NAME.fullmatch(path.stem):
        raise ConfigError("a name must be up to 64 letters, digits, dots, dashes and underscores")
    config = load_config(path)
    if config.undersampling is not None:
        raise ConfigError("`undersampling` would throw measured data away; leave it out")
    if isinstance(config.maps, FileMaps | ReferenceMaps) and not config.maps.path.exists():
        raise ConfigError(f"`maps.path`: {config.maps.path} does not exist")
    build_reconstructor(config.method)
    return config


def _packaged() -> Path:
    package = Path(mrirecon.__file__).parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"
