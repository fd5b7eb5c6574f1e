"""An archive as a partner in the DICOM network protocol, and why it could not be reached."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from mrirecon.errors import TransferError
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.destination import Destination
from mrirecon.serving.tls import certificate_problem


@dataclass(frozen=True)
class Peer:
    """An archive and how to speak with it.

    Parameters
    ----------
    destination
        Its address.
    calling
        Our own application entity title.
    credentials
        Sent as user identity (PS3.7 D.3.3.7): user and passcode, or a token as JSON web token.
    tls
        Settings of encrypted connections, None for plain ones.
    timeout_s
        Longest silence at any point, seconds.
    """

    destination: Destination
    calling: str
    credentials: Credentials
    tls: ssl.SSLContext | None
    timeout_s: float


def connection_problem(peer: Peer) -> TransferError:
    """Why there is no association, found out by connecting once more without the library, which keeps it to itself."""
    where = peer.destination
    try:
        with socket.create_connection((where.host, where.port), timeout=peer.timeout_s) as plain:
            if peer.tls is not None:
                with peer.tls.wrap_socket(plain, server_hostname=where.host):
                    pass
    except socket.gaierror as error:
        again = error.errno == socket.EAI_AGAIN
        return TransferError(f"the host of {where} is not known; check its name", transient=again)
    except ssl.SSLError as error:
        return TransferError(certificate_problem(error, where.host))
    except TimeoutError:
        return TransferError(f"{where} does not answer within {peer.timeout_s:g} s", transient=True)
    except OSError as error:
        return TransferError(f"no connection to {where} ({error.strerror or type(error).__name__})", transient=True)
    return TransferError(
        f"{where} takes connections but does not answer an association request within {peer.timeout_s:g} s, or drops "
        "it; is it a DICOM port, and encrypted (dicoms://) as asked for?",
        transient=True,
    )
