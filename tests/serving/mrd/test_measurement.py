"""The order of messages, the names on offer, and lines that become the scan that a file of them would be."""

import json
import socket
import threading
from dataclasses import replace

import ismrmrd
import numpy as np
import pytest
import torch

from mrirecon.errors import FormatError, MrireconError
from mrirecon.io.ismrmrd.reader import read_ismrmrd
from mrirecon.serving.mrd.connection import Connection
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.measurement import SPOOL, receive_measurement
from mrirecon.serving.mrd.messages import Disconnected, StreamError
from tests.acceptance.scans import ScanRecipe, write_scan
from tests.serving.mrd import client

RECIPE = ScanRecipe(matrix=(4, 16, 20), n_coils=2)
NAMES = ("sense", "tv")


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("scan") / "scan.h5", RECIPE)


@pytest.fixture(scope="module")
def scan(scan_file):
    return client.Scan.of(scan_file)


def received(stream, folder, *, limits=None, names=NAMES, end=True):
    """What `receive_measurement` makes of a stream, and the configurations it began with."""
    limits = limits or Limits(idle_s=20.0)
    ours, theirs = socket.socketpair()
    began = []

    def send():
        try:
            theirs.sendall(stream)
            if end:
                theirs.shutdown(socket.SHUT_WR)
        except OSError:  # refused before the end
            pass

    sender = threading.Thread(target=send)
    with ours, theirs:
        sender.start()
        try:
            connection = Connection(ours, limits)
            return receive_measurement(connection, names=names, folder=folder, limits=limits, begin=began.append), began
        finally:
            ours.close()
            sender.join()


def same(a, b):
    """Two scans: every sample, mask, noise and position."""
    assert a.encoding == b.encoding
    assert a.protocol == b.protocol
    np.testing.assert_array_equal(a.geometry.affine, b.geometry.affine)
    assert a.geometry.nominal == b.geometry.nominal
    assert torch.equal(a.mask, b.mask)
    assert (a.noise is None) == (b.noise is None)
    assert a.noise is None or torch.equal(a.noise, b.noise)
    assert a.noise_bandwidth_ratio == b.noise_bandwidth_ratio
    for i in range(a.n_planes):
        assert torch.equal(a.read(i), b.read(i))
    assert a.notes == b.notes
    assert a.details == b.details


@pytest.mark.parametrize("conjugate", [False, True])
def test_a_stream_is_the_scan_of_the_file(tmp_path, scan_file, scan, conjugate):
    measurement, began = received(scan.stream("tv"), tmp_path)
    assert began == ["tv"] == [measurement.config]
    assert len(measurement.heads) == len(scan.acquisitions)
    (volume,) = measurement.volumes(conjugate=conjugate)
    same(volume.scan, read_ismrmrd(scan_file, conjugate=conjugate))
    assert volume.counters == {"contrast": 0, "repetition": 0, "set": 0, "phase": 0}
    assert volume.heads["idx"]["slice"].tolist() == list(volume.scan.details["slice_counters_in_order"])
    assert volume.heads["idx"]["kspace_encode_step_1"].tolist() == [0] * 4, "the first line of every slice"
    at = volume.scan.geometry.affine[:3, :3] @ np.array([[k, 8, 20] for k in range(4)]).T
    expected = (at.T + volume.scan.geometry.affine[:3, 3]).astype(np.float32)
    np.testing.assert_allclose(volume.heads["position"], expected, atol=1e-3)
    assert (tmp_path / SPOOL).stat().st_mode & 0o777 == 0o600


def test_three_dimensions_partial_fourier_and_other_messages_between(tmp_path):
    path = write_scan(tmp_path / "scan.h5", replace(RECIPE, encoding="3D", matrix=(6, 16, 20), first_line=3))
    scan = client.Scan.of(path)
    between = [client.waveform(np.ones((1, 4))), client.image(np.ones((1, 1, 3, 3))), client.text("free text")]
    lines = [m for i, line in enumerate(scan.acquisitions) for m in (line, between[i % 3])]
    stream = client.Scan(scan.xml, lines).stream("sense")
    measurement, _ = received(stream, tmp_path)
    (volume,) = measurement.volumes()
    same(volume.scan, read_ismrmrd(path))
    assert volume.scan.is_3d
    assert len(volume.heads) == 1
    assert measurement.n_ignored >= 2 * (len(lines) // 6)


def test_noise_that_comes_last_is_the_noise(tmp_path, scan_file, scan):
    noise = [m for m in scan.acquisitions if flags(m) & (1 << 18)]
    others = [m for m in scan.acquisitions if not flags(m) & (1 << 18)]
    assert noise
    measurement, _ = received(client.Scan(scan.xml, others + noise).stream("sense"), tmp_path)
    (volume,) = measurement.volumes()
    assert torch.equal(volume.scan.noise, read_ismrmrd(scan_file).noise)
    assert torch.equal(volume.scan.read(2), read_ismrmrd(scan_file).read(2))


def flags(message):
    return int.from_bytes(message[4:12], "little")


def with_counter(message, offset, value):
    """An acquisition message with one of its 16-bit counters changed; `offset` within the 340 bytes."""
    return message[: 2 + offset] + value.to_bytes(2, "little") + message[4 + offset :]


def test_repetitions_are_volumes_in_the_order_in_which_they_came(tmp_path, scan_file, scan):
    at = ismrmrd.AcquisitionHeader.idx.offset + ismrmrd.EncodingCounters.repetition.offset
    lines = [with_counter(m, at, r) for r in (1, 0) for m in scan.acquisitions]
    measurement, _ = received(client.Scan(scan.xml, lines).stream("sense"), tmp_path)
    assert measurement.n_volumes == 2
    volumes = list(measurement.volumes())
    assert [v.counters["repetition"] for v in volumes] == [1, 0]
    for volume in volumes:
        assert torch.equal(volume.scan.read(1), read_ismrmrd(scan_file).read(1))
        assert volume.heads["idx"]["repetition"].tolist() == [volume.counters["repetition"]] * 4


@pytest.mark.parametrize("closing", [client.close(), client.config_name("sense") + client.close()])
def test_a_client_that_only_looks_in_is_no_error(tmp_path, closing):
    assert received(closing, tmp_path)[0] is None


XML = b"<ismrmrdHeader/>"


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([client.config_name("../../etc/passwd")], "is not on offer; this server has sense, tv"),
        ([client.config_name("")], "not on offer"),
        ([b"\x01\x00" + b"\xff" * 1024], "not on offer"),
        ([client.config_text("<configuration/>")], "takes no configuration from a client"),
        ([client.header(XML)], r"first message must be a configuration name \(1\), got XML header"),
        ([client.config_name("tv"), client.text("x")], r"second message must be the XML header \(3\), got text"),
        ([client.config_name("tv"), client.config_name("tv")], "second message must be the XML header"),
        ([client.config_name("tv"), client.header(b"")], "header is empty"),
        ([client.config_name("tv"), client.header(b"Dummy XML header")], "not well-formed"),
        ([client.config_name("tv"), client.header(b"\xff\xfe\x00")], "not well-formed"),
        ([client.config_name("tv"), client.header(b"<!DOCTYPE x><ismrmrdHeader/>")], "document type"),
        ([client.config_name("tv"), client.header(XML)], "no `encoding` element"),
        ([client.config_name("tv"), "header", client.close()], "no acquisitions came"),
        ([client.config_name("tv"), "header", "line", "header"], "a second XML header"),
        ([client.config_name("tv"), "header", "line", client.config_name("tv")], "a second configuration name"),
        ([client.config_name("tv"), "header", client.text('{"parameters": {"config": "x"}}')], "not on offer"),
        ([client.config_name("tv"), "header", "line"], "without a close message"),
    ],
)
def test_breaches_of_the_protocol_are_named(tmp_path, scan, messages, problem):
    known = {"header": client.header(scan.xml), "line": scan.acquisitions[0]}
    stream = b"".join(known[m] if isinstance(m, str) else m for m in messages)
    with pytest.raises((StreamError, FormatError), match=problem):
        received(stream, tmp_path)


@pytest.mark.parametrize(
    ("parameters", "config"),
    [({"config": "sense"}, "sense"), ({"other": 1}, "tv"), ({"config": 3}, "tv"), ({"config": None}, "tv")],
)
def test_json_parameters_may_choose_among_the_names(tmp_path, scan, parameters, config):
    message = client.text(json.dumps({"version": "1.1.0", "parameters": parameters}))
    measurement, began = received(scan.stream("tv", message), tmp_path)
    assert measurement.config == config
    assert began == [config]


@pytest.mark.parametrize("content", ["free text", "[1]", '{"parameters": [1]}', "[" * 100000, "{}"])
def test_other_text_changes_nothing(tmp_path, scan, content):
    measurement, _ = received(scan.stream("tv", client.text(content)), tmp_path)
    assert measurement.config == "tv"


def test_a_stream_cut_anywhere_ends_in_a_sentence(tmp_path, scan):
    stream = scan.stream("sense")
    for i, cut in enumerate(np.linspace(0, len(stream) - 1, 40).astype(int)):
        folder = tmp_path / str(i)
        folder.mkdir()
        with pytest.raises(Disconnected, match="the stream ended"):
            received(stream[:cut], folder)


def test_random_bytes_never_end_in_anything_else(tmp_path, scan):
    """Corrupt one stretch of a valid stream: a refusal in our words, or a scan."""
    stream, rng = bytearray(scan.stream("sense")), np.random.default_rng(0)
    for i in range(40):
        folder = tmp_path / str(i)
        folder.mkdir()
        damaged = stream.copy()
        at = int(rng.integers(0, len(stream) - 8))
        damaged[at : at + 8] = rng.bytes(8)
        assert len(outcome(bytes(damaged), folder)) > 20


def outcome(stream, folder):
    """What became of a stream, in words; only errors of ours have any."""
    try:
        measurement, _ = received(stream, folder)
        return "; ".join(str(volume.scan.read(0).shape) for volume in measurement.volumes())
    except MrireconError as error:
        return str(error)


def test_more_than_the_header_announces_is_refused(tmp_path, scan):
    flood = client.Scan(scan.xml, scan.acquisitions * 80)
    with pytest.raises(StreamError, match=r"acquisition \d+ exceeds what this measurement may send"):
        received(flood.stream("sense"), tmp_path)


def test_more_bytes_than_the_server_takes_are_refused_in_the_stream(tmp_path, scan):
    size = 8 * 4 * 16 * 40 * 2
    limits = Limits(idle_s=20.0, data_bytes=size + 1000)
    with pytest.raises(StreamError, match="exceeds what this measurement"):
        received(client.Scan(scan.xml, scan.acquisitions * 3).stream("sense"), tmp_path, limits=limits)
    assert (tmp_path / SPOOL).stat().st_size <= size + 1000


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"<x>40</x>", b"<x>70000</x>"), (b"<y>16</y>", b"<y>65000</y>"), (b"<x>40</x>", b"<x>1e300</x>")],
)
def test_a_header_that_announces_too_much_is_refused_before_any_data(tmp_path, scan, old, new):
    assert old in scan.xml
    limits = Limits(idle_s=20.0, data_bytes=1 << 20)
    with pytest.raises(StreamError, match="announces"):
        received(client.Scan(scan.xml.replace(old, new), scan.acquisitions).stream("sense"), tmp_path, limits=limits)
    assert not (tmp_path / SPOOL).exists()


def test_no_imaging_lines_is_said_as_for_a_file(tmp_path, scan):
    noise = [m for m in scan.acquisitions if flags(m) & (1 << 18)]
    measurement, _ = received(client.Scan(scan.xml, noise).stream("sense"), tmp_path)
    with pytest.raises(FormatError, match="is for imaging"):
        list(measurement.volumes())
