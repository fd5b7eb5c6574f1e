"""Certificates for tests, made by the openssl program: an authority, a server, a client, and a stranger."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificates:
    """PEM files. The client's key is also there encrypted with `password`."""

    authority: Path
    other_authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    client_key_encrypted: Path
    password: str

    def server_side(self, *, ask_client: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server, self.server_key)
        if ask_client:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def make_certificates(folder: Path) -> Certificates:
    """All of them in `folder`; skip if there is no openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed")
    for name in ("authority", "other"):
        extensions = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
        _request(folder, name, "-x509", "-days", "2", *extensions)
    for name, alternative in (("server", "IP:127.0.0.1,DNS:localhost"), ("client", "DNS:client.invalid")):
        _request(folder, name)
        (folder / f"{name}.ext").write_text(
            f"subjectAltName={alternative}\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n"
        )
        signing = ["-CA", "authority.pem", "-CAkey", "authority.key", "-CAcreateserial", "-days", "2"]
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", *signing, "-extfile", f"{name}.ext", "-out", f"{name}.pem"
        )
    password = "canary-Key5"
    encryption = ["-aes-128-cbc", "-passout", f"pass:{password}"]
    _openssl(folder, "pkey", "-in", "client.key", *encryption, "-out", "client-encrypted.key")
    names = (
        "authority.pem",
        "other.pem",
        "server.pem",
        "server.key",
        "client.pem",
        "client.key",
        "client-encrypted.key",
    )
    return Certificates(*(folder / n for n in names), password=password)


def _request(folder: Path, name: str, *options: str) -> None:
    out = f"{name}.pem" if "-x509" in options else f"{name}.csr"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
    _openssl(folder, "req", "-new", *key, "-subj", f"/CN={name}", "-out", out, *options)


def _openssl(folder: Path, *command: str) -> None:
    done = subprocess.run(["openssl", *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
