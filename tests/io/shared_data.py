"""Real data for tests: the folder named by MRIRECON_DATA, default ../shared/data beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("MRIRECON_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


def shared(name: str) -> Path:
    """A file of the shared data, or skip."""
    path = ROOT / name
    if not path.exists():
        pytest.skip(f"shared data set is absent: {name} (set MRIRECON_DATA)")
    return path
