"""The key: which code is which method. Sealed, so that nobody reads it by accident and nobody changes it unseen.

What sealed means here. The content is packed, so that a glance at the file shows no names; with a passphrase it is
encrypted (AES-256-GCM, key by scrypt), and only who knows the passphrase can open it. The SHA-256 of the content, the
seal, is published with the images and printed on every score sheet before anybody reads: it says nothing about the
content, which holds 32 random bytes, and no other content has it. A key that was changed or exchanged after the images
were handed out does not fit the sheets.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mrirecon.errors import ConfigError, FormatError, MissingDependencyError, MrireconError
from mrirecon.evaluation.readers.choice import ShownSeries
from mrirecon.evaluation.readers.design import Item, Reading
from mrirecon.evaluation.readers.options import ReaderOptions
from mrirecon.io.atomic import atomic_file
from mrirecon.records import from_mapping, to_mapping

KIND = "mrirecon sealed reader key"
WARNING = "Opening this file unblinds the reader study. Keep it away from the readers until all sheets are in."
FORM_LENGTH = 20
_SCRYPT = {"n": 2**15, "r": 8, "p": 1, "maxmem": 2**26}


@dataclass(frozen=True)
class KeyItem:
    """An item with what it shows.

    Parameters
    ----------
    code, kind, shown, setting, repeat_of
        As in `design.Item`.
    scales
        What the shown volumes were multiplied by.
    files_sha256
        Of each series: over its files in order.
    """

    code: str
    kind: Literal["score", "preference"]
    shown: tuple[ShownSeries, ...]
    setting: str
    repeat_of: str
    scales: tuple[float, ...]
    files_sha256: tuple[str, ...]

    @property
    def item(self) -> Item:
        return Item(self.code, self.kind, self.shown, self.setting, self.repeat_of)


@dataclass(frozen=True)
class ReaderKey:
    """Everything that readers must not know.

    Parameters
    ----------
    study
        Name of the study.
    version
        Of the program.
    nonce
        Random, so that the seal cannot be guessed from the content.
    secret
        From which codes and orders were made.
    options
        As asked for, with the methods in the order of the study.
    items
        By code.
    orders
        Codes, by reader.
    left_out
        Sentences.
    """

    study: str
    version: str
    nonce: str
    secret: str
    options: ReaderOptions
    items: tuple[KeyItem, ...]
    orders: dict[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()

    @property
    def reading(self) -> Reading:
        return Reading(tuple(k.item for k in self.items), dict(self.orders))

    @property
    def content(self) -> bytes:
        """Canonical JSON; what is sealed: of the key as it will be read, so that 0 and 0.0 are the same."""
        mapping = to_mapping(from_mapping(ReaderKey, to_mapping(self)))
        return json.dumps(mapping, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    @property
    def seal(self) -> str:
        """SHA-256 of the content, 64 hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()

    def form(self, reader: str) -> str:
        """What ties a sheet to key and reader: the beginning of the seal and the reader's name."""
        return f"{self.seal[:FORM_LENGTH]}-{reader}"


def write_key(key: ReaderKey, path: str | Path, *, passphrase: str | None = None) -> Path:
    """Seal `key` in a file that only its owner may read.

    Raises
    ------
    OutputError
        If the file exists or cannot be written.
    ConfigError
        If the passphrase is shorter than 8 characters.
    MissingDependencyError
        If a passphrase is given and the `cryptography` package is not there.
    """
    packed = zlib.compress(key.content, 9)
    envelope: dict[str, Any] = {"kind": KIND, "version": 1, "warning": WARNING, "seal": key.seal, "cipher": "none"}
    if passphrase is not None:
        if len(passphrase) < 8:
            raise ConfigError(f"the passphrase must have at least 8 characters, got {len(passphrase)}")
        salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
        packed = _cipher(passphrase, salt).encrypt(nonce, packed, KIND.encode())
        envelope |= {"cipher": "aes-256-gcm, scrypt", "salt": salt.hex(), "nonce": nonce.hex()}
    envelope["content"] = base64.b64encode(packed).decode()
    with atomic_file(path) as temporary:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            json.dump(envelope, file, indent=1)
    return Path(path)


def read_key(path: str | Path, *, passphrase: str | None = None) -> ReaderKey:
    """Open a sealed key and make sure that its content has its seal.

    Raises
    ------
    FormatError
        If the file is no key, was damaged, or the passphrase is wrong.
    ConfigError
        If a passphrase is needed and none was given.
    """
    path = Path(path)
    try:
        envelope = json.loads(path.read_text(encoding="ascii"))
        if not isinstance(envelope, dict) or envelope.get("kind") != KIND:
            raise FormatError(path, f"is no {KIND}; give the file that `export-readers` wrote")
        packed = base64.b64decode(str(envelope["content"]), validate=True)
        if envelope["cipher"] != "none":
            packed = _decrypted(path, envelope, packed, passphrase)
        content = zlib.decompress(packed)
        key = from_mapping(ReaderKey, json.loads(content))
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, f"cannot be read ({error}); give the file that `export-readers` wrote") from error
    except MrireconError as error:
        if isinstance(error, FormatError) or not isinstance(error, ConfigError) or "passphrase" in str(error):
            raise
        raise FormatError(path, f"its content is no key of this version: {error}") from error
    except (ValueError, KeyError, TypeError, zlib.error, binascii.Error) as error:
        raise FormatError(path, f"is damaged ({error}); take the file as `export-readers` wrote it") from error
    if not hmac.compare_digest(hashlib.sha256(content).hexdigest(), str(envelope.get("seal", ""))):
        raise FormatError(path, "its content does not have the seal written on it: it was changed after the export")
    if key.content != content:
        raise FormatError(path, "its content is not in the form in which keys are sealed; it was rewritten by hand")
    return key


def check_seal(key: ReaderKey, published: str, *, where: str | Path) -> None:
    """Compare with the seal that was published with the images.

    Parameters
    ----------
    published
        All of the seal, or its first 20 digits or more.

    Raises
    ------
    FormatError
        If it is another one.
    """
    short = published.strip().lower()
    if len(short) < FORM_LENGTH or not key.seal.startswith(short):
        raise FormatError(
            where,
            f"carries the seal {short or '(none)'}, the key has {key.seal[: max(len(short), FORM_LENGTH)]}: the key "
            "belongs to another export, or was changed after this one; give the key written by the same export",
        )


def _decrypted(path: Path, envelope: dict[str, Any], packed: bytes, passphrase: str | None) -> bytes:
    if passphrase is None:
        raise ConfigError(f"{path} is encrypted; give its passphrase")
    cipher = _cipher(passphrase, bytes.fromhex(str(envelope["salt"])))
    from cryptography.exceptions import InvalidTag

    try:
        return bytes(cipher.decrypt(bytes.fromhex(str(envelope["nonce"])), packed, KIND.encode()))
    except InvalidTag as error:
        raise FormatError(path, "does not open with this passphrase, or was changed") from error


def _cipher(passphrase: str, salt: bytes) -> Any:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingDependencyError(
            "a passphrase needs the package `cryptography`: pip install 'mrirecon[study]', or seal without one"
        ) from error
    return AESGCM(hashlib.scrypt(passphrase.encode(), salt=salt, dklen=32, **_SCRYPT))
