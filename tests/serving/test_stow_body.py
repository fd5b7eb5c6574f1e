"""STOW-RS bodies, taken apart by Python's e-mail parser."""

from __future__ import annotations

import dataclasses
import email
import email.policy
import tracemalloc
from pathlib import Path

import pytest

from mrirecon.errors import FormatError
from mrirecon.serving.stow_body import StowBody, stow_batches
from tests.serving.small_series import objects_in, write_object, write_series


def test_the_message_holds_the_files_to_the_byte(tmp_path: Path) -> None:
    objects = objects_in(write_series(tmp_path, 3))
    body = StowBody(objects)
    content = b"".join(body.blocks())
    assert len(content) == body.length
    head = f"MIME-Version: 1.0\r\nContent-Type: {body.content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + content, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/related"
    assert message.get_param("type") == "application/dicom"
    assert not message.defects
    parts = list(message.iter_parts())  # type: ignore[attr-defined]
    assert [p.get_content_type() for p in parts] == ["application/dicom"] * 3
    boundary = f"--{message.get_boundary()}".encode()
    pieces = content.split(boundary)
    assert pieces[-1] == b"--\r\n"
    for o, piece in zip(objects, pieces[1:-1], strict=True):
        assert piece.partition(b"\r\n\r\n")[2] == o.path.read_bytes() + b"\r\n"


def test_boundaries_are_never_twice_the_same(tmp_path: Path) -> None:
    objects = objects_in(write_series(tmp_path, 1))
    assert len({StowBody(objects).content_type for _ in range(20)}) == 20


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    write_object(tmp_path / "1.dcm", side=4096)  # 32 MiB
    body = StowBody(objects_in(tmp_path))
    tracemalloc.start()
    try:
        assert sum(len(block) for block in body.blocks()) == body.length > 32 << 20
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("change", [-1, 1, None])
def test_a_file_that_changes_under_the_request_ends_it(tmp_path: Path, change: int | None) -> None:
    objects = objects_in(write_series(tmp_path, 2))
    path = objects[1].path
    if change is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:change] if change < 0 else path.read_bytes() + b"x")
    sent = []
    with pytest.raises(FormatError, match="start again"):
        sent.extend(StowBody(objects, boundary="B").blocks())
    assert b"--B--" not in b"".join(sent)


def test_batches(tmp_path: Path) -> None:
    one = objects_in(write_series(tmp_path, 1))[0]
    objects = [dataclasses.replace(one, sop_instance=f"1.{i}", size=s) for i, s in enumerate([5, 5, 99, 4, 4, 4, 4])]
    sizes = [[o.size for o in b] for b in stow_batches(objects, most_bytes=10, most_objects=2)]
    assert sizes == [[5, 5], [99], [4, 4], [4, 4]]
    assert [o for b in stow_batches(objects, most_bytes=10, most_objects=9) for o in b] == objects
    assert list(stow_batches([], most_bytes=1, most_objects=1)) == []
