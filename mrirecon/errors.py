"""The exception hierarchy: every error that a user can cause or meet is a `MrireconError`.

A message says what is wrong, what was expected, what was found, and what to do about it.
"""

from __future__ import annotations

from pathlib import Path


class MrireconError(Exception):
    """Base of all errors raised on purpose; the command line turns it into one line and exit status 2."""


class ShapeError(MrireconError, ValueError):
    """A tensor disagrees with the shape, dtype or value range that an interface asks for."""


class GeometryError(MrireconError, ValueError):
    """Positions or directions are missing, contradictory, or not representable in the output format."""


class ConfigError(MrireconError, ValueError):
    """An option or configuration key is unknown, missing or impossible; names the dotted key."""


class ConvergenceError(MrireconError, RuntimeError):
    """An iteration diverged or produced values that are not finite."""


class OutputError(MrireconError, OSError):
    """The result cannot be written: the target exists, the disk is full, or permission is missing."""


class MissingDependencyError(MrireconError, ImportError):
    """An optional package is needed for what was asked; the message names the extra to install."""


class FormatError(MrireconError, ValueError):
    """A file is not what it should be.

    Parameters
    ----------
    path
        The file.
    problem
        What is wrong, expected, got, and what to do.
    key
        The data set, attribute or header field concerned, if there is one.
    """

    def __init__(self, path: str | Path, problem: str, *, key: str | None = None) -> None:
        self.path = Path(path)
        self.key = key
        where = f"{path}" if key is None else f"{path} [{key}]"
        super().__init__(f"{where}: {problem}")


class TransferError(MrireconError, ConnectionError):
    """Another computer cannot be reached, refuses, stalls, or answers something else than the protocol says.

    Parameters
    ----------
    problem
        What is wrong, expected, got, and what to do; never a credential and never text that the other side chose.
    transient
        Whether the same request may succeed later, so that it is worth repeating.
    retry_after_s
        How long the other side asks to wait, where it said so.
    """

    def __init__(self, problem: str, *, transient: bool = False, retry_after_s: float | None = None) -> None:
        self.transient = transient
        self.retry_after_s = retry_after_s
        super().__init__(problem)
