"""An archive that is reached over DICOMweb: STOW-RS to store, QIDO-RS to count."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing

from mrirecon.errors import TransferError
from mrirecon.io.dicom.inventory import DicomObject
from mrirecon.serving.credentials import Credentials
from mrirecon.serving.destination import Destination
from mrirecon.serving.outcome import Outcome
from mrirecon.serving.push import Commitment
from mrirecon.serving.stow_body import StowBody, stow_batches
from mrirecon.serving.stow_response import instance_identifiers, stow_outcomes
from mrirecon.serving.web_client import Answer, WebClient, status_phrase

_JSON = "application/dicom+json"
_LATER = (408, 425, 429, 502, 503, 504)
_PAGE = 500
_MOST_PAGES = 2000


class WebArchive:
    """See `mrirecon.serving.push.Archive`.

    Parameters
    ----------
    destination
        Root of the services.
    credentials
        Sent with every request.
    tls
        Settings of encrypted connections.
    timeout_s
        Longest silence at any point, seconds.
    most_bytes, most_objects
        Of one request. A server that finds a request too large (413) gets halves of it.
    """

    def __init__(
        self,
        destination: Destination,
        *,
        credentials: Credentials,
        tls: ssl.SSLContext | None,
        timeout_s: float,
        most_bytes: int = 32 << 20,
        most_objects: int = 200,
    ) -> None:
        self._destination = destination
        self._credentials = credentials
        self._tls = tls
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._most_objects = most_objects

    @property
    def name(self) -> str:
        return str(self._destination)

    def check(self, objects: Sequence[DicomObject]) -> tuple[str, ...]:
        """A query for the first object: it costs nothing, and bad credentials show before anything is sent."""
        o = objects[0]
        with closing(self._client()) as client:
            answer = client.get(f"{self._series(o)}/instances?SOPInstanceUID={o.sop_instance}&limit=1", accept=_JSON)
        if answer.status == 401 or answer.status in _LATER:
            raise self._refusal(answer)
        if answer.status not in (200, 204):
            return (
                f"{self.name} answers a query with {status_phrase(answer.status)}; stored objects cannot be counted",
            )
        return ()

    def send(self, objects: Sequence[DicomObject]) -> Iterator[tuple[DicomObject, Outcome]]:
        """STOW-RS in requests of bounded size, one after the other."""
        with closing(self._client()) as client:
            waiting = list(stow_batches(objects, most_bytes=self._most_bytes, most_objects=self._most_objects))[::-1]
            while waiting:
                batch = waiting.pop()
                answer = self._post(client, batch)
                if answer.status == 413 and len(batch) > 1:
                    half = len(batch) // 2
                    waiting += [batch[half:], batch[:half]]
                    continue
                yield from zip(batch, self._outcomes(batch, answer), strict=True)

    def present(self, objects: Sequence[DicomObject]) -> frozenset[str] | None:
        """QIDO-RS, page by page, one series after the other."""
        wanted = {o.sop_instance for o in objects}
        found: set[str] = set()
        with closing(self._client()) as client:
            for o in {(o.study, o.series): o for o in objects}.values():
                names = self._series_instances(client, o)
                if names is None:
                    return None
                found |= names & wanted
        return frozenset(found)

    def commit(self, objects: Sequence[DicomObject]) -> Commitment:
        """DICOMweb as archives implement it has no storage commitment."""
        return Commitment(False)

    def _series_instances(self, client: WebClient, o: DicomObject) -> set[str] | None:
        found: set[str] = set()
        for page in range(_MOST_PAGES):
            answer = client.get(
                f"{self._series(o)}/instances?limit={_PAGE}&offset={page * _PAGE}&includefield=SOPInstanceUID",
                accept=_JSON,
            )
            if answer.status in _LATER:
                raise self._refusal(answer)
            names: list[str] | None = [] if answer.status == 204 else None
            if answer.status == 200:
                names = instance_identifiers(answer.body, answer.content_type)
            if names is None:
                return None
            new = set(names) - found
            found |= new
            if not new:  # the end, or a server that ignores `offset`
                break
        return found

    def _post(self, client: WebClient, batch: Sequence[DicomObject]) -> Answer:
        body = StowBody(batch)
        return client.post(
            f"{self._destination.path}/studies",
            body.blocks(),
            length=body.length,
            content_type=body.content_type,
            accept=_JSON,
        )

    def _outcomes(self, batch: Sequence[DicomObject], answer: Answer) -> list[Outcome]:
        if answer.status == 413:
            return [Outcome("refused", None, "too large for the archive (413 Content Too Large)")]
        if answer.status not in (200, 202, 409):
            raise self._refusal(answer)
        said = stow_outcomes(answer.body, answer.content_type, (o.sop_instance for o in batch))
        phrase = status_phrase(answer.status)
        silent = (
            Outcome("refused", None, f"the archive refuses it without a reason ({phrase})")
            if answer.status == 409
            else Outcome("unclear", None, f"the archive's answer ({phrase}) does not name it")
        )
        return [said.get(o.sop_instance, silent) for o in batch]

    def _refusal(self, answer: Answer) -> TransferError:
        phrase = status_phrase(answer.status)
        if answer.status in _LATER:
            return TransferError(f"{self.name} answers {phrase}", transient=True, retry_after_s=answer.retry_after_s)
        remedy = {
            400: "it finds the request malformed",
            403: "these credentials may not store there",
            404: "there is no DICOMweb service; check the path in --to",
            405: "there is no service that stores; check the path in --to",
            415: "it does not take DICOM files in this transfer syntax",
            500: "its own log will say why",
        }.get(answer.status, "see its documentation")
        if answer.status == 401:
            kind = f" ({answer.challenge})" if answer.challenge else ""
            given = self._credentials.kind
            remedy = f"it does not accept the {given} credentials" if given else f"it asks for credentials{kind}"
            remedy += "; set MRIRECON_PACS_USER and MRIRECON_PACS_PASSWORD, or MRIRECON_PACS_TOKEN"
        if 300 <= answer.status < 400:
            remedy = "it sends us elsewhere, which is not followed; give the final address in --to"
        return TransferError(f"{self.name} answers {phrase}: {remedy}")

    def _series(self, o: DicomObject) -> str:
        return f"{self._destination.path}/studies/{o.study}/series/{o.series}"

    def _client(self) -> WebClient:
        return WebClient(self._destination, credentials=self._credentials, tls=self._tls, timeout_s=self._timeout_s)
