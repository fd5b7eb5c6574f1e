"""The key: what is sealed cannot be changed unseen, and says nothing to who glances at it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import stat
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mrirecon.errors import ConfigError, FormatError, OutputError
from mrirecon.evaluation.readers.key import ReaderKey, check_seal, read_key, write_key
from mrirecon.evaluation.readers.options import ReaderOptions
from tests.evaluation.readers.simulated import key_of, series_of


@pytest.fixture(scope="module")
def key() -> ReaderKey:
    return key_of(series_of(2, ("varnet_cascade", "wavelet_fista")))


def change(path: Path, edit: Callable[[Any], None], *, reseal: bool) -> None:
    """What somebody would do who wants other results."""
    envelope = json.loads(path.read_text())
    content = json.loads(zlib.decompress(base64.b64decode(envelope["content"])))
    edit(content)
    packed = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    envelope["content"] = base64.b64encode(zlib.compress(packed)).decode()
    if reseal:
        envelope["seal"] = hashlib.sha256(packed).hexdigest()
    path.write_text(json.dumps(envelope))


def exchange(content: Any) -> None:
    first, second = content["items"][:2]
    first["shown"], second["shown"] = second["shown"], first["shown"]


def test_what_is_sealed_comes_back(key: ReaderKey, tmp_path: Path) -> None:
    path = write_key(key, tmp_path / "key.json")
    assert read_key(path) == key
    text = path.read_text()
    assert "unblinds" in text
    assert not any(name in text for name in ("varnet", "wavelet", "person", "random", *(i.code for i in key.items)))
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(OutputError, match="exists already"):
        write_key(key, path)


def test_a_changed_key_does_not_open(key: ReaderKey, tmp_path: Path) -> None:
    path = write_key(key, tmp_path / "key.json")
    change(path, exchange, reseal=False)
    with pytest.raises(FormatError, match="was changed after the export"):
        read_key(path)


def test_a_key_changed_with_care_does_not_fit_the_published_seal(key: ReaderKey, tmp_path: Path) -> None:
    path = write_key(key, tmp_path / "key.json")
    change(path, exchange, reseal=True)
    changed = read_key(path)
    assert changed.items[0].shown == key.items[1].shown
    for published in (key.seal, key.form("R1").rpartition("-")[0]):
        check_seal(key, published, where="sheet")
        with pytest.raises(FormatError, match="belongs to another export, or was changed"):
            check_seal(changed, published, where="sheet")
    with pytest.raises(FormatError, match=r"seal \(none\)"):
        check_seal(key, "", where="sheet")
    with pytest.raises(FormatError, match="carries the seal"):
        check_seal(key, key.seal[:6], where="sheet")


def test_whole_numbers_seal_like_decimals(tmp_path: Path) -> None:
    key = key_of(series_of(2, ("a", "b")), ReaderOptions(repeats=0))
    assert read_key(write_key(key, tmp_path / "key.json")).seal == key.seal


def test_the_seal_depends_on_everything_and_hides_it(key: ReaderKey) -> None:
    assert replace(key, nonce="cd" * 32).seal != key.seal, "equal designs have unequal seals"
    assert replace(key, items=key.items[::-1]).seal != key.seal
    assert key.seal == hashlib.sha256(key.content).hexdigest()


def test_a_passphrase_encrypts(key: ReaderKey, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    path = write_key(key, tmp_path / "key.json", passphrase="correct horse")
    assert read_key(path, passphrase="correct horse") == key
    with pytest.raises(ConfigError, match="give its passphrase"):
        read_key(path)
    with pytest.raises(FormatError, match="does not open with this passphrase"):
        read_key(path, passphrase="battery staple")
    envelope = json.loads(path.read_text())
    packed = bytearray(base64.b64decode(envelope["content"]))
    packed[5] ^= 1
    path.write_text(json.dumps(envelope | {"content": base64.b64encode(bytes(packed)).decode()}))
    with pytest.raises(FormatError, match="or was changed"):
        read_key(path, passphrase="correct horse")
    with pytest.raises(ConfigError, match="at least 8 characters, got 5"):
        write_key(key, tmp_path / "other.json", passphrase="short")


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "mrirecon sealed reader key"}', "\x00\xff", "[1]"])
def test_what_is_no_key_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(FormatError, match=r"key\.json"):
        read_key(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_key(tmp_path / "nothing.json")


def test_a_damaged_key_is_refused(key: ReaderKey, tmp_path: Path) -> None:
    path = write_key(key, tmp_path / "key.json")
    envelope = json.loads(path.read_text())
    path.write_text(json.dumps(envelope | {"content": envelope["content"][:-40] + "=" * 4}))
    with pytest.raises(FormatError, match="damaged"):
        read_key(path)
    change(write_key(key, tmp_path / "b.json"), lambda c: c.pop("orders"), reseal=True)
    with pytest.raises(FormatError, match="no key of this version"):
        read_key(tmp_path / "b.json")
