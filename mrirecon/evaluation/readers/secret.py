"""Random codes, identifiers and orders from one secret, so that what is seen says nothing about what is not.

Each value is a keyed hash (HMAC-SHA256) of a label: knowing any number of codes or orders gives no other one, and none
depends on the name of a method, on pixels or on the order in which things happen. The same secret gives the same
export.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from dataclasses import dataclass, field

import numpy as np

LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No digits, which spreadsheets turn into numbers and dates; no vowels, which make words."""
CODE_LENGTH = 6
_UID_DIGITS = 39


@dataclass(frozen=True)
class Secret:
    """32 random bytes; who knows them can name every method."""

    key: bytes = field(repr=False)

    @classmethod
    def fresh(cls) -> Secret:
        """From the operating system's entropy."""
        return cls(secrets.token_bytes(32))

    @classmethod
    def from_seed(cls, seed: int) -> Secret:
        """The same for the same seed: for tests and for repeating an export, not for hiding anything."""
        return cls(hashlib.sha256(f"mrirecon reader study {seed}".encode()).digest())

    def digest(self, *label: str | int) -> bytes:
        """32 bytes that belong to a label."""
        text = "\x1f".join(str(part) for part in label)
        return hmac.new(self.key, text.encode(), hashlib.sha256).digest()

    def generator(self, *label: str | int) -> np.random.Generator:
        """Random numbers that belong to a label."""
        return np.random.default_rng(int.from_bytes(self.digest("generator", *label)))

    def codes(self, count: int) -> tuple[str, ...]:
        """Different codes of six consonants, in no order."""
        found: dict[str, None] = {}
        for attempt in range(50 * count + 50):
            number = int.from_bytes(self.digest("code", attempt))
            code = ""
            for _ in range(CODE_LENGTH):
                number, place = divmod(number, len(LETTERS))
                code += LETTERS[place]
            found[code] = None
            if len(found) >= count:
                break
        return tuple(found)[:count]

    def uid(self, *label: str | int) -> str:
        """A random identifier (UUID of version 4 below ``2.25.``), always equally long: file sizes tell nothing."""
        attempt = 0
        while True:
            number = uuid.UUID(bytes=self.digest("uid", attempt, *label)[:16], version=4).int
            if len(str(number)) == _UID_DIGITS:
                return f"2.25.{number}"
            attempt += 1
