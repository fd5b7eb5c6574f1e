"""Encrypted connections whose other end is always checked: there is no switch to turn that off."""

from __future__ import annotations

import ssl
from pathlib import Path

from mrirecon.errors import ConfigError, FormatError


def client_context(
    *,
    authority: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    key_password: str | None = None,
) -> ssl.SSLContext:
    """Settings of a TLS client: version 1.2 or later, certificate and host name of the server required.

    Parameters
    ----------
    authority
        PEM file with the certificates to trust instead of the system's, for a hospital's own authority or the
        server's self-signed certificate.
    certificate, key
        PEM files of our own certificate, where the server asks for one; the key may be in the same file.
    key_password
        Of an encrypted key.

    Raises
    ------
    ConfigError
        If a key is given without a certificate.
    FormatError
        If a file cannot be used; the message does not hold the password.
    """
    if key is not None and certificate is None:
        raise ConfigError("--key belongs to --certificate, which is missing")
    if authority is not None and not authority.is_file():
        raise FormatError(authority, "does not exist, expected a PEM file with the certificates to trust")
    try:
        context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    except (OSError, ValueError) as error:
        raise FormatError(str(authority), "holds no certificate in PEM form that could be trusted") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        _load_own(context, certificate, key, key_password)
    return context


def server_context(
    *, authority: Path | None, certificate: Path | None, key: Path | None = None, key_password: str | None = None
) -> ssl.SSLContext:
    """Settings of a TLS server that takes only clients with a certificate signed by `authority`.

    Raises
    ------
    ConfigError
        If the authority or our own certificate is missing.
    FormatError
        If a file cannot be used.
    """
    if authority is None or certificate is None:
        raise ConfigError(
            "--commit-port with TLS listens for an encrypted connection and needs --certificate (ours) and --ca "
            "(whose clients to take); or take the answer on our own association with --commit-port 0"
        )
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
    except (OSError, ValueError) as error:
        raise FormatError(authority, "holds no certificate in PEM form that could be trusted") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    _load_own(context, certificate, key, key_password)
    return context


def _load_own(context: ssl.SSLContext, certificate: Path, key: Path | None, key_password: str | None) -> None:
    for path in (certificate, *([key] if key is not None else [])):
        if not path.is_file():
            raise FormatError(path, "does not exist, expected a PEM file")
    try:  # an empty password instead of none: OpenSSL would ask on the terminal
        context.load_cert_chain(certificate, key, password=key_password or "")
    except (OSError, ValueError):
        raise FormatError(
            key or certificate,
            "certificate and key cannot be used: expected PEM, a key that belongs to the certificate, and its "
            "password, where it has one, in MRIRECON_PACS_KEY_PASSWORD",
        ) from None


def certificate_problem(error: ssl.SSLError, host: str) -> str:
    """What is wrong with a TLS connection to `host`, in a sentence with a remedy."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the certificate of {host} is not accepted ({error.verify_message}); give the authority that signed it "
            "with --ca FILE, or the name that the certificate is for"
        )
    reason = (error.reason or type(error).__name__).lower().replace("_", " ")
    return f"no encrypted connection with {host} ({reason}); is this the TLS port, does it ask for --certificate?"
