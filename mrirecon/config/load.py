"""Configuration files."""

from __future__ import annotations

from pathlib import Path

from mrirecon.config.schema import ReconstructionConfig
from mrirecon.errors import ConfigError
from mrirecon.records import from_mapping, load_yaml


def load_config(path: str | Path) -> ReconstructionConfig:
    """A reconstruction configuration from a YAML file; `ConfigError` names file and dotted key."""
    try:
        return from_mapping(ReconstructionConfig, load_yaml(path))
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if text.startswith(str(path)) else f"{path}: {text}") from error
