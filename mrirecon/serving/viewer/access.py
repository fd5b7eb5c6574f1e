"""Who may see the page: whoever has the token, from this machine, under this machine's own name."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping

_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]"})
_TOKEN_BYTES = 32

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Sent with every answer. The page can load nothing from elsewhere and cannot be framed."""


def new_token() -> str:
    """256 random bits, safe in an address."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def is_token(given: str, expected: str) -> bool:
    """Whether they agree, in a time that does not tell how far."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def is_local_host(header: str | None) -> bool:
    """Whether a Host header names the loopback interface, at any port (it differs behind an SSH tunnel).

    A page elsewhere that points its own name to 127.0.0.1 (DNS rebinding) still sends that name.

    Examples
    --------
    >>> is_local_host("127.0.0.1:8123"), is_local_host("evil.example:8123"), is_local_host(None)
    (True, False, False)
    """
    if not header:
        return False
    name, colon, port = header.rpartition(":")
    if header.endswith("]") or not colon:
        return header.lower() in _HOSTS
    return name.lower() in _HOSTS and port.isascii() and port.isdigit()
