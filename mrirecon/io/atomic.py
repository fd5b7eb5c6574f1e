"""Output that is either complete or absent: write beside the target, flush to disk, rename.

A reader never sees half a series, and a full disk leaves nothing behind.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mrirecon.errors import OutputError

_REMEDIES = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some space or choose another disk",
    errno.EACCES: "check the permissions or choose another folder",
    errno.EPERM: "check the permissions or choose another folder",
    errno.EROFS: "the disk is read-only: choose another folder",
}


@contextmanager
def atomic_file(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary sibling to write into; it becomes `path` when the block ends without an error.

    Parameters
    ----------
    path
        The final file; missing parent folders are made, and removed again if the block fails.
    overwrite
        Replace an existing file. A folder is never replaced.

    Yields
    ------
    Path
        A name in the same folder that does not exist yet; write the content there.

    Raises
    ------
    OutputError
        If the target exists (without `overwrite`), is a folder, or cannot be written. `OSError` inside the block is
        taken for a failure to write: read inputs before it.
    """
    target = Path(path).absolute()
    _refuse_existing_file(target, overwrite)
    with _output(target):
        made = _make_parents(target)
        temporary = _sibling(target)
        try:
            yield temporary
            _flush(temporary)
            _refuse_existing_file(target, overwrite)
            temporary.replace(target)
            _flush(target.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            _remove_empty(made)
            raise


@contextmanager
def atomic_folder(
    folder: str | Path,
    *,
    overwrite: bool = False,
    suffixes: Collection[str] | None = None,
    marker: str | None = None,
) -> Iterator[Path]:
    """A temporary sibling folder to fill; it becomes `folder` when the block ends without an error.

    Parameters
    ----------
    folder
        The final folder. It may exist if it is empty.
    overwrite
        Replace an existing folder as a whole.
    suffixes
        With `overwrite`, replace only a folder that holds nothing but files with these suffixes, such as ``.dcm``: a
        mistyped name must not delete somebody's work. None allows any content.
    marker
        With `overwrite`, replace only a folder that holds a file of this name, by which earlier output is known. None
        asks for none.

    Yields
    ------
    Path
        An existing, empty folder.

    Raises
    ------
    OutputError
        If the target exists, holds something else than earlier output, or cannot be written.
    """
    target = Path(folder).resolve()
    _refuse_existing_folder(target, overwrite, suffixes, marker)
    with _output(target):
        made = _make_parents(target)
        temporary = _sibling(target)
        try:
            temporary.mkdir()
            yield temporary
            for path in sorted(temporary.rglob("*")):
                _flush(path)
            _flush(temporary)
            _refuse_existing_folder(target, overwrite, suffixes, marker)
            _swap(temporary, target)
            _flush(target.parent)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            _remove_empty(made)
            raise


@contextmanager
def _output(target: Path) -> Iterator[None]:
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "choose another place")
        raise OutputError(f"{target.name} cannot be written: {reason}; {remedy}. Nothing was left behind") from error


def _refuse_existing_file(target: Path, overwrite: bool) -> None:
    if target.is_dir():
        raise OutputError(f"{target} is a folder, expected the name of a file to write")
    if target.exists() and not overwrite:
        raise OutputError(f"{target} exists already; choose another name or allow overwriting")


def _refuse_existing_folder(
    target: Path, overwrite: bool, suffixes: Collection[str] | None, marker: str | None
) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"{target} is a file, expected the name of a folder to write")
    content = sorted(target.iterdir())
    if content and not overwrite:
        raise OutputError(f"{target} exists already and is not empty; choose another name or allow overwriting")
    if content and marker is not None and not (target / marker).is_file():
        raise OutputError(
            f"{target} holds no {marker}, so it is not earlier output; it is not overwritten, choose another folder"
        )
    if suffixes is not None:
        foreign = [p.name for p in content if p.is_dir() or p.suffix not in suffixes]
        if foreign:
            raise OutputError(
                f"{target} holds something that is not earlier output ({foreign[0]!r}); it is not overwritten, "
                "choose another folder"
            )


def _make_parents(target: Path) -> list[Path]:
    missing = [p for p in target.parents if not p.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _sibling(target: Path) -> Path:
    return target.parent / f".{target.name}-{secrets.token_hex(4)}.partial"


def _swap(temporary: Path, target: Path) -> None:
    if not target.exists():
        temporary.rename(target)
        return
    old = _sibling(target)
    target.rename(old)
    try:
        temporary.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _flush(path: Path) -> None:
    if path.is_dir():
        if os.name != "posix":  # folders cannot be opened elsewhere
            return
        flags = os.O_RDONLY
    else:
        flags = os.O_RDWR  # some systems flush only files opened for writing
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
