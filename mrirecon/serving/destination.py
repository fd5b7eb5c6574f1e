"""Where to send to: an archive's address, parsed strictly, without credentials."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from mrirecon.errors import ConfigError

_TITLE = re.compile(r"[\x20-\x5b\x5d-\x7e]{1,16}")  # the AE value representation: no backslash, no control character
_FORMS = "dicom://AET@HOST:PORT, dicoms://AET@HOST:PORT (TLS), https://HOST/dicom-web or http://HOST/dicom-web"


@dataclass(frozen=True)
class Destination:
    """An archive's address.

    Parameters
    ----------
    protocol
        ``dicom`` (DIMSE: C-STORE) or ``web`` (DICOMweb: STOW-RS).
    host, port
        Of the server.
    tls
        Whether the connection is encrypted and the server's certificate checked.
    title
        Application entity title of the archive; empty for the web.
    path
        Root of the DICOMweb services without a final slash; empty for DIMSE.
    """

    protocol: str
    host: str
    port: int
    tls: bool
    title: str = ""
    path: str = ""

    def __str__(self) -> str:
        """The address in its one canonical spelling; it holds no credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if self.protocol == "dicom":
            return f"dicom{'s' if self.tls else ''}://{self.title}@{host}:{self.port}"
        return f"http{'s' if self.tls else ''}://{host}:{self.port}{self.path}"


def parse_destination(text: str) -> Destination:
    """The address in `text`: ``dicom://AET@HOST:PORT``, ``dicoms://...`` or ``https://HOST[:PORT]/PATH``.

    An application entity title with unusual characters is percent-encoded (a space is ``%20``).

    Raises
    ------
    ConfigError
        If it is none of these, or holds a user name or password. The message never repeats the text.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        host = parts.hostname
    except ValueError:
        raise ConfigError(f"--to is no address, expected {_FORMS}") from None
    if parts.scheme not in ("dicom", "dicoms", "http", "https"):
        raise ConfigError(f"--to must be {_FORMS}; the part before :// is none of these")
    if not host:
        raise ConfigError(f"--to lacks the name of the server, expected {_FORMS}")
    if parts.query or parts.fragment or re.search(r"[\x00-\x20\x7f]", text):
        raise ConfigError("--to must not have a query (?...), a fragment (#...) or blanks; give the bare address")
    web = parts.scheme.startswith("http")
    return _web(parts, host, port) if web else _dicom(parts, host, port)


def _web(parts: SplitResult, host: str, port: int | None) -> Destination:
    if "@" in parts.netloc:
        raise ConfigError(
            "--to must not hold a user name or password (others see the command line); set MRIRECON_PACS_USER and "
            "MRIRECON_PACS_PASSWORD, or MRIRECON_PACS_TOKEN, in the environment"
        )
    tls = parts.scheme == "https"
    return Destination("web", host, port or (443 if tls else 80), tls, path=parts.path.rstrip("/"))


def _dicom(parts: SplitResult, host: str, port: int | None) -> Destination:
    if parts.password is not None:
        raise ConfigError(
            "--to must not hold a password (others see the command line); what stands before the @ is the archive's "
            "application entity title; set MRIRECON_PACS_USER and MRIRECON_PACS_PASSWORD in the environment"
        )
    if parts.path.strip("/"):
        raise ConfigError("--to dicom://AET@HOST:PORT must end with the port")
    if port is None:
        raise ConfigError("--to dicom://AET@HOST:PORT lacks the port; usual ones are 104, 11112 and 2762 (TLS)")
    return Destination("dicom", host, port, parts.scheme == "dicoms", title=entity_title(unquote(parts.username or "")))


def entity_title(text: str) -> str:
    """`text` as an application entity title without padding; `ConfigError` if it cannot be one."""
    title = text.strip(" ")
    if not _TITLE.fullmatch(title):
        raise ConfigError(
            "an application entity title must have 1 to 16 ASCII characters and no backslash, "
            f"got {len(text)} characters; ask the archive's administrator for it (--to dicom://AET@HOST:PORT)"
        )
    return title


def is_this_machine(host: str) -> bool:
    """Whether every address of `host` is a loopback address, so that nothing sent there leaves the machine.

    A tunnel that begins on this machine is taken for this machine. A name that cannot be resolved is not.
    """
    try:
        found = {ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):
        return False
    return bool(found) and all(address.is_loopback for address in found)
