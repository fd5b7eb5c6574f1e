from __future__ import annotations

import errno
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from mrirecon.errors import FormatError, OutputError
from mrirecon.io.atomic import atomic_file, atomic_folder


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def save(path: Path, action: Callable[[], object], *, folder: bool, overwrite: bool = False) -> None:
    """Write half a result, then do something that may fail."""
    make = atomic_folder if folder else atomic_file
    with make(path, overwrite=overwrite) as temporary:
        if folder:
            fill(temporary)
        else:
            temporary.write_bytes(b"half")
        action()


def raiser(error: BaseException) -> Callable[[], object]:
    def action() -> None:
        raise error

    return action


def fill(folder: Path, suffix: str = ".dcm") -> None:
    for name in "abc":
        (folder / f"{name}{suffix}").write_bytes(name.encode())


def test_file_appears_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "new" / "deep" / "x.bin"
    with atomic_file(target) as temporary:
        temporary.write_bytes(b"123")
        assert temporary.parent == target.parent
        assert not target.exists()
    assert target.read_bytes() == b"123"
    assert names(target.parent) == ["x.bin"]


def test_folder_appears_at_the_end_only(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "out") as temporary:
        fill(temporary)
        assert not (tmp_path / "out").exists()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a.dcm", "b.dcm", "c.dcm"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, FormatError])
def test_an_error_inside_leaves_nothing_and_passes_through(tmp_path: Path, error: type[BaseException]) -> None:
    raised = FormatError("x", "bad") if error is FormatError else error("bad")
    for folder in (True, False):
        with pytest.raises(error):
            save(tmp_path / "new" / "out", raiser(raised), folder=folder)
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "space"), (errno.EACCES, "permission"), (errno.EIO, "another place")]
)
def test_system_errors_become_output_errors(tmp_path: Path, number: int, remedy: str) -> None:
    for folder in (True, False):
        with pytest.raises(OutputError, match=remedy):
            save(tmp_path / "out", raiser(OSError(number, "cannot")), folder=folder)
    assert names(tmp_path) == []


def test_a_write_cut_short_by_the_kernel_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OutputError, match="File too large"):
            save(tmp_path / "out", lambda: (tmp_path / "big").write_bytes(bytes(5000)), folder=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(tmp_path) == ["big"]  # written by the test itself, outside


def test_existing_output_is_refused_and_untouched(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out")
    with pytest.raises(OutputError, match="exists"), atomic_file(tmp_path / "x") as temporary:
        temporary.write_bytes(b"new")
    with pytest.raises(OutputError, match="exists"), atomic_folder(tmp_path / "out"):
        pass
    with pytest.raises(OutputError, match="folder"), atomic_file(tmp_path / "out", overwrite=True):
        pass
    with pytest.raises(OutputError, match="file"), atomic_folder(tmp_path / "x", overwrite=True):
        pass
    assert (tmp_path / "x").read_bytes() == b"old"
    assert len(names(tmp_path / "out")) == 3


def test_overwriting_replaces_as_a_whole(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "out", overwrite=True, suffixes=(".dcm",)) as temporary:
            (temporary / f"{text}.dcm").write_text(text)
        with atomic_file(tmp_path / "file", overwrite=True) as temporary:
            temporary.write_text(text)
    assert names(tmp_path) == ["file", "out"]
    assert names(tmp_path / "out") == ["two.dcm"]
    assert (tmp_path / "file").read_text() == "two"


def test_failed_overwriting_keeps_the_old(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    fill(tmp_path / "out")
    (tmp_path / "out" / "old.dcm").touch()
    with pytest.raises(OutputError):
        save(tmp_path / "out", raiser(OSError(errno.ENOSPC, "full")), folder=True, overwrite=True)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["a.dcm", "b.dcm", "c.dcm", "old.dcm"]


def test_overwriting_never_deletes_foreign_files(tmp_path: Path) -> None:
    (tmp_path / "home" / "letters").mkdir(parents=True)
    (tmp_path / "home" / "a.dcm").touch()
    with (
        pytest.raises(OutputError, match="letters"),
        atomic_folder(tmp_path / "home", overwrite=True, suffixes=(".dcm",)),
    ):
        pass
    assert names(tmp_path / "home") == ["a.dcm", "letters"]


def test_an_empty_folder_and_a_link_to_one_may_be_filled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_folder(tmp_path / "link") as temporary:
        fill(temporary)
    assert len(names(tmp_path / "real")) == 3
    assert (tmp_path / "link").is_symlink()


def test_a_file_in_the_way_of_a_parent_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(OutputError), atomic_folder(tmp_path / "x" / "out"):
        pass
    with pytest.raises(OutputError), atomic_file(tmp_path / "x" / "out"):
        pass


def test_overwriting_asks_for_the_marker_of_earlier_output(tmp_path: Path) -> None:
    (tmp_path / "out" / "dicom").mkdir(parents=True)
    with (
        pytest.raises(OutputError, match="holds no"),
        atomic_folder(tmp_path / "out", overwrite=True, marker="record.json"),
    ):
        pass
    (tmp_path / "out" / "record.json").touch()
    with atomic_folder(tmp_path / "out", overwrite=True, marker="record.json") as temporary:
        fill(temporary)
    assert names(tmp_path / "out") == ["a.dcm", "b.dcm", "c.dcm"]
    (tmp_path / "empty").mkdir()
    with atomic_folder(tmp_path / "empty", overwrite=True, marker="record.json") as temporary:
        fill(temporary)
    assert len(names(tmp_path / "empty")) == 3
