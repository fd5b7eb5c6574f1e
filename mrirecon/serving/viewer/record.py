"""What the page says in words: how the image was made, its certificate, its provenance; plain text only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mrirecon.io.free_text import without_paths
from mrirecon.io.provenance import Provenance
from mrirecon.serving.viewer.folder import Folder

Rows = list[list[str]]
_LONG = 24
_MAX_ROWS = 80
_FIGURES = {
    "misfit": "Misfit",
    "expected": "Expected",
    "p_value": "p",
    "false_alarm_rate": "False alarms",
    "expectation": "Expectation by",
    "unexplained": "Unexplained",
    "measured_share": "Share measured",
    "n_findings": "Findings",
    "noise_source": "Noise from",
}
"""Of `metrics.certificate.CertificateResult`, those that a reader may ask for."""


def record_sections(folder: Folder) -> list[dict[str, Any]]:
    """Sections with a title and rows of label and value, in the order of the page.

    Returns
    -------
        ``certificate`` first; it says so where the folder holds none. ``made`` and ``data`` come from the provenance
        record.
    """
    sections = [{"id": "certificate", "title": "Certificate", "rows": _certificate(folder)}]
    if folder.record is None:
        rows = [["", "The folder holds no provenance record: how the image was made is not known here."]]
        return [*sections, {"id": "made", "title": "Method", "rows": rows}]
    return [
        *sections,
        {"id": "made", "title": "Method", "rows": _made(folder.record)},
        {"id": "data", "title": "Provenance", "rows": _provenance(folder.record)},
    ]


def certificate_failure(record: Provenance | None) -> str | None:
    """The verdict of the record's certificate in words if it is a failure."""
    found = None if record is None else record.certificate
    return str(found["sentence"]) if found and found.get("verdict") == "fail" else None


def _certificate(folder: Folder) -> Rows:
    content = folder.certificate
    if content is None and folder.record is not None and folder.record.certificate is not None:
        return _recorded(folder.record.certificate)
    if content is None:
        return [["", "This folder holds no certificate: the data consistency of the image was not tested."]]
    if isinstance(content, str):
        return [["", without_paths(line, keep_name=True)] for line in content.splitlines() if line.strip()][:_MAX_ROWS]
    return [[label, value] for label, value in _flat(content)][:_MAX_ROWS]


def _recorded(certificate: Mapping[str, Any]) -> Rows:
    """Verdict and limits first, then the figures behind them."""
    rows = [["", str(certificate[name])] for name in ("sentence", "limits") if certificate.get(name)]
    known = {name: certificate.get(name) for name in _FIGURES}
    return rows + [[_FIGURES[name], _value(value)] for name, value in known.items() if value is not None]


def _made(record: Provenance) -> Rows:
    method = record.configuration.get("method", {})
    rows = [["Method", record.method]]
    rows += [[name.capitalize(), str(method[name])] for name in ("checkpoint", "steps", "samples") if name in method]
    if record.mask is None:
        rows.append(["Undersampling", "none added to what the scanner measured"])
    else:
        effective = float(record.mask["effective_acceleration"])
        nominal = float(record.mask["nominal_acceleration"])
        rows.append(["Undersampling", f"{record.mask['kind']}, R = {nominal:.3g} asked for, {effective:.2f} effective"])
    geometry = record.geometry.get("position")
    rows.append(["Geometry", "from the scanner" if geometry == "scanner" else "nominal: not recorded in the source"])
    rows += [[name.capitalize(), text] for name, text in _training(record)]
    rows += [["Note", note] for note in record.notes]
    return rows


def _training(record: Provenance) -> Iterator[tuple[str, str]]:
    network = record.network or {}
    if network.get("trained_on"):
        yield "trained on", ", ".join(str(name) for name in network["trained_on"])
    if network.get("sha256"):
        yield "weights", str(network["sha256"])[:16]


def _provenance(record: Provenance) -> Rows:
    rows = [["Input", f"{file.name}, SHA-256 {file.sha256[:16]}..."] for file in record.inputs]
    rows += [["Made", record.created]] if record.created else []
    rows += [["Seed", str(record.seed)]] if record.seed is not None else []
    rows += [["Series", record.series_uid]] if record.series_uid else []
    rows += [["Stored value", f"{record.scale_factor:.6g} x reconstructed value"]]
    rows += [["Software", ", ".join(f"{name} {version}" for name, version in list(record.software.items())[:4])]]
    return rows


def _flat(content: Any, label: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            name = str(key).replace("_", " ")
            yield from _flat(value, f"{label}, {name}" if label else name)
    elif isinstance(content, list) and any(isinstance(item, Mapping | list) for item in content):
        for number, item in enumerate(content, start=1):
            yield from _flat(item, f"{label} {number}".strip())
    elif isinstance(content, list):
        shown = ", ".join(_value(item) for item in content[:_LONG])
        yield label, shown + (f" ... ({len(content)})" if len(content) > _LONG else "")
    else:
        yield label, _value(content)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "not known"
    if isinstance(value, float):
        return f"{value:.6g}"
    return without_paths(str(value), keep_name=True)
