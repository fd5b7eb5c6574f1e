"""Configuration files."""

from __future__ import annotations

from pathlib import Path

from mrirecon.config.schema import ReconstructionConfig
from mrirecon.records import load_record


def load_config(path: str | Path) -> ReconstructionConfig:
    """A reconstruction configuration from a YAML file; `ConfigError` names file and dotted key."""
    return load_record(ReconstructionConfig, path)
