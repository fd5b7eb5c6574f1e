"""Who we are to an archive: names and secrets from the environment, shown nowhere."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from mrirecon.errors import ConfigError

USER = "MRIRECON_PACS_USER"
PASSWORD = "MRIRECON_PACS_PASSWORD"
TOKEN = "MRIRECON_PACS_TOKEN"
KEY_PASSWORD = "MRIRECON_PACS_KEY_PASSWORD"


@dataclass(frozen=True)
class Credentials:
    """Basic (user and password) or bearer (token) credentials, or none; secrets are left out of its repr.

    Parameters
    ----------
    user, password
        Both, or neither.
    token
        Sent as it is.
    key_password
        Opens the private key of the client certificate; never sent.
    """

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    key_password: str | None = field(default=None, repr=False)

    @property
    def kind(self) -> str | None:
        """``basic``, ``bearer``, or None where there are none to send."""
        return "bearer" if self.token is not None else "basic" if self.user is not None else None

    @property
    def authorization(self) -> str | None:
        """Value of the HTTP header of that name."""
        if self.token is not None:
            return f"Bearer {self.token}"
        if self.user is not None:
            return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return None


def credentials_from(environment: Mapping[str, str]) -> Credentials:
    """The credentials in a mapping such as ``os.environ``; an empty variable counts as absent.

    Raises
    ------
    ConfigError
        If there is a user without a password or the reverse, both kinds, or a character that cannot be sent. The
        message names variables, never values.
    """
    values = {name: environment.get(name) or None for name in (USER, PASSWORD, TOKEN, KEY_PASSWORD)}
    user, password, token = values[USER], values[PASSWORD], values[TOKEN]
    if (user is None) != (password is None):
        given, missing = (PASSWORD, USER) if user is None else (USER, PASSWORD)
        raise ConfigError(f"{given} is set without {missing}; set both, or neither")
    if token is not None and user is not None:
        raise ConfigError(f"{TOKEN} and {USER} are both set; unset the one that the archive does not want")
    if token is not None and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigError(f"{TOKEN} must be printable ASCII without blanks; it may have been cut or wrapped")
    for name in (USER, PASSWORD):
        if re.search(r"[\x00-\x1f\x7f]", values[name] or ""):
            raise ConfigError(f"{name} holds a control character (a line end?); set it anew")
    if user is not None and ":" in user:
        raise ConfigError(f"{USER} must not hold a colon, which ends the name in basic authentication")
    return Credentials(user, password, token, values[KEY_PASSWORD])
