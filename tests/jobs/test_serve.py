"""The server as a scanner meets it: `mrirecon serve` in a process of its own, over a real socket."""

import contextlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from mrirecon.config.load import load_config
from mrirecon.io.intensity import series_intensity
from mrirecon.io.ismrmrd.reader import read_ismrmrd
from mrirecon.jobs.reconstruct import reconstruct
from mrirecon.jobs.reporting import Silent
from mrirecon.training.checkpoint import load_checkpoint
from tests.acceptance.scans import CENTRE, ScanRecipe, rotation, write_scan
from tests.privacy.raw_files import identify_xml, leaks
from tests.serving.mrd import client

CONFIGS = Path(__file__).parents[2] / "configs"
RECIPE = ScanRecipe(matrix=(3, 32, 36))
CANARIES = ("CANARYNAME", "CANARYID", "19010203", "CANARYHOSP", "CANARYDOC", "CANARYTEXT", "CANARYPROTOCOL")
IDENTIFIERS = b"""<subjectInformation><patientName>CANARYNAME</patientName><patientID>CANARYID</patientID>
<patientBirthdate>1901-02-03</patientBirthdate></subjectInformation><studyInformation><studyID>CANARYID</studyID>
<referringPhysicianName>CANARYDOC</referringPhysicianName></studyInformation><acquisitionSystemInformation>
<institutionName>CANARYHOSP</institutionName></acquisitionSystemInformation>"""


class Server:
    """A running `mrirecon serve`."""

    def __init__(self, folder, configs, *options):
        folder.mkdir()
        self.log_file, self.spool = folder / "log", folder / "spool"
        self.spool.mkdir()
        command = [sys.executable, "-m", "mrirecon.cli", "serve", "--port", "0", "--configs", str(configs),
                   "--spool", str(self.spool), "--threads", "1", *options]  # fmt: skip
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(command, stderr=log, stdout=log)
        self.address = ("127.0.0.1", int(self.logged(r"listening on 127\.0\.0\.1:(\d+)").group(1)))

    @property
    def log(self):
        return self.log_file.read_text()

    def logged(self, pattern, seconds=300):
        """Wait until the log says something."""
        for _ in range(seconds * 10):
            if found := re.search(pattern, self.log):
                return found
            assert self.process.poll() is None, self.log
            time.sleep(0.1)
        raise AssertionError(f"{pattern} is not in the log: {self.log}")

    def tidy(self):
        """Wait until no client has a folder any more."""
        for _ in range(600):
            if not list(self.spool.glob("*/client-*")):
                return True
            time.sleep(0.1)
        return False

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    for name in ("sense", "unfolded-fast"):
        shutil.copy(CONFIGS / f"{name}.yaml", folder)
    fails = "  levels: 12"  # more levels than the image has
    text = (CONFIGS / "wavelet.yaml").read_text()
    (folder / "fails.yaml").write_text(re.sub(r"  levels: \d+", fails, text))
    shutil.copy(CONFIGS / "retrospective-r4-wavelet.yaml", folder)
    (folder / "broken.yaml").write_text("method: {kind: sens}\n")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, configs):
    running = Server(tmp_path_factory.mktemp("server") / "run", configs, "--max-connections", "3", "--idle", "20")
    yield running
    assert running.end() == 0
    assert "stopped" in running.log
    assert not list(running.spool.iterdir()), "nothing is left of any measurement"


@pytest.fixture(scope="module")
def scan_file(tmp_path_factory):
    return write_scan(tmp_path_factory.mktemp("scan") / "scan.h5", RECIPE)


@pytest.fixture(scope="module")
def scan(scan_file):
    return client.Scan.of(scan_file)


def direct(path, folder, config="sense", **options):
    """What `recon` makes of the file, in the order of acquisition."""
    chosen = replace(load_config(CONFIGS / f"{config}.yaml"), view="acquired")
    return reconstruct(read_ismrmrd(path, **options), chosen, out=folder / "direct", reporter=Silent()).series


def meta(image):
    return ismrmrd.Meta.deserialize(image.attribute_string)


def test_interleaved_slices_come_back_as_images_with_their_geometry(server, scan, scan_file, tmp_path):
    """T18, and the same pixels and positions as `mrirecon recon` on the file."""
    heads = [np.frombuffer(m[2:342], ismrmrd.hdf5.acquisition_dtype["head"])[0] for m in scan.acquisitions]
    imaging = [h for h in heads if not int(h["flags"]) & (1 << 18)]
    assert [int(h["idx"]["slice"]) for h in imaging[:4]] == [0, 1, 2, 0], "slices are interleaved line by line"
    said = client.ask(server.address, scan.stream("sense"))
    assert said.closed
    assert len(said.images) == 3
    expected = direct(scan_file, tmp_path)
    stored = series_intensity(expected).store(expected.image)
    read, phase, normal = rotation(True).T
    for k, image in enumerate(said.images):
        head = image.getHead()
        np.testing.assert_allclose(head.position[:], np.array(CENTRE) + (k - 1) * 5.0 * normal, atol=1e-3)
        np.testing.assert_allclose(head.read_dir[:], read, atol=1e-5)
        np.testing.assert_allclose(head.phase_dir[:], phase, atol=1e-5)
        np.testing.assert_allclose(head.slice_dir[:], normal, atol=1e-5)
        np.testing.assert_allclose(head.field_of_view[:], (36 * 2.0, 32 * 2.4, 4.0), rtol=1e-5)
        assert head.matrix_size[:] == [36, 32, 1]
        assert head.image_index == k + 1
        mine = [h for h in imaging if int(h["idx"]["slice"]) == head.slice]
        np.testing.assert_allclose(mine[0]["position"], head.position[:], atol=1e-3)
        assert np.abs(image.data[0, 0].astype(int) - stored[k]).max() <= 1
        np.testing.assert_allclose(head.position[:], expected.geometry.position((k, 16, 18)), atol=1e-3)
        assert meta(image)["mrirecon_config"] == "sense"
    assert "simulated" in said.text("WARNING")


def test_noise_lines_at_the_end_whiten_as_at_the_beginning(server, scan):
    noise = [m for m in scan.acquisitions if int.from_bytes(m[4:12], "little") & (1 << 18)]
    others = [m for m in scan.acquisitions if m not in noise]
    first = client.ask(server.address, scan.stream("sense"))
    last = client.ask(server.address, client.Scan(scan.xml, others + noise).stream("sense"))
    assert "whitened with the noise scan" in last.text("INFO")
    for a, b in zip(first.images, last.images, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_the_network_answers_with_its_name_and_checksum(server, scan, scan_file, tmp_path):
    said = client.ask(server.address, scan.stream("unfolded-fast"))
    assert said.closed
    expected = direct(scan_file, tmp_path, "unfolded-fast")
    stored = series_intensity(expected).store(expected.image)
    for k, image in enumerate(said.images):
        assert np.abs(image.data[0, 0].astype(int) - stored[k]).max() <= 1
        said_of = meta(image)
        assert said_of["mrirecon_checkpoint_sha256"] == load_checkpoint("mri-small").card.weights_sha256
        assert said_of["mrirecon_kind"] == "learned"
        assert "mrirecon_fallback" not in said_of
    assert "neural network" in said.text("WARNING")


def test_what_fails_is_replaced_by_cg_sense_and_says_so(server, scan):
    said = client.ask(server.address, scan.stream("fails"))
    plain = client.ask(server.address, scan.stream("sense"))
    assert said.closed
    assert "classical reconstruction (CG-SENSE) instead of fails" in said.text("WARNING")
    for image, other in zip(said.images, plain.images, strict=True):
        np.testing.assert_array_equal(image.data, other.data)
        assert "mrirecon_fallback" in meta(image)
        assert meta(image)["mrirecon_method"] == "sense"
    assert "classical instead in 1 volumes" in server.log


def test_repetitions_share_one_scale(server, scan, scan_file, tmp_path):
    at = 2 + ismrmrd.AcquisitionHeader.idx.offset + ismrmrd.EncodingCounters.repetition.offset
    head = 342
    lines = []
    for repetition in (0, 1):
        for m in scan.acquisitions:
            samples = np.frombuffer(m[head:], np.float32) * (1 + repetition)
            lines.append(m[:at] + repetition.to_bytes(2, "little") + m[at + 2 : head] + samples.tobytes())
    noise = [m for m in scan.acquisitions if int.from_bytes(m[4:12], "little") & (1 << 18)]
    lines = noise + [m for m in lines if not int.from_bytes(m[4:12], "little") & (1 << 18)]
    said = client.ask(server.address, client.Scan(scan.xml, lines).stream("sense"))
    assert [image.getHead().repetition for image in said.images] == [0, 0, 0, 1, 1, 1]
    assert [image.getHead().image_index for image in said.images] == [1, 2, 3, 4, 5, 6]
    assert len({meta(image)["mrirecon_scale_factor"] for image in said.images}) == 1
    one, two = (np.stack([i.data[0, 0] for i in said.images[s]]).astype(float) for s in (slice(3), slice(3, 6)))
    assert np.median(two[one > 500] / one[one > 500]) == pytest.approx(2.0, rel=0.01)


def test_nothing_that_identifies_anybody_leaves_the_server(server, scan):
    xml = scan.xml.replace(b"<experimentalConditions", IDENTIFIERS + b"<experimentalConditions", 1)
    xml = xml.replace(b"<protocolName>head", b"<protocolName>CANARYPROTOCOL", 1)
    assert all(name.encode() in xml.replace(b"-", b"") for name in CANARIES if name != "CANARYTEXT")
    with_names = client.Scan(xml, scan.acquisitions)
    everywhere = identify_xml(scan.xml.decode()).encode()  # every identifying element of the schema
    assert leaks(everywhere)
    no_matrix = xml.replace(b"<x>36</x>", b"<x>CANARYID</x>")
    replies = [
        client.ask(server.address, with_names.stream("sense", client.text("CANARYTEXT"))),
        client.ask(server.address, with_names.stream("CANARYNAME")),
        client.ask(server.address, client.config_name("sense") + client.header(no_matrix)),
        client.ask(server.address, client.config_name("sense") + client.header(xml[:-20]) + client.close()),
        client.ask(server.address, client.config_text("CANARYTEXT") + client.close()),
        client.ask(server.address, client.Scan(xml, scan.acquisitions[:9]).stream("sense")),
        client.ask(server.address, client.Scan(everywhere, scan.acquisitions).stream("sense")),
    ]
    assert [len(r.images) for r in replies] == [3, 0, 0, 0, 0, 0, 3]
    assert all(r.closed for r in replies)
    everything = server.log + "".join(
        "\n".join(r.texts) + "".join(i.attribute_string + bytes(i.getHead()).decode("latin-1") for i in r.images)
        for r in replies
    )
    assert [name for name in CANARIES if name in everything.replace("-", "")] == []
    assert leaks(everything) == []


@pytest.mark.parametrize(
    ("stream", "problem"),
    [
        (client.config_text("<gadgetron/>"), "takes no configuration from a client"),
        (client.config_name("broken"), "not on offer; this server has fails, sense, unfolded-fast"),
        (client.config_name("retrospective-r4-wavelet"), "not on offer"),
        (b"\xe7\x03", "999 is not known"),
        (client.config_name("sense") + client.header(b"<x"), "not well-formed"),
    ],
)
def test_refusals_are_said_and_closed(server, stream, problem):
    said = client.ask(server.address, stream)
    assert problem in said.text("ERROR")
    assert said.closed


def test_an_incomplete_scan_is_refused(server, scan):
    said = client.ask(server.address, client.Scan(scan.xml, scan.acquisitions[:40]).stream("sense"))
    assert said.closed
    assert "stream" in said.text("ERROR")
    assert str(server.spool) not in said.text("ERROR")
    assert not said.images


def test_a_stream_that_breaks_off_ends_its_session_alone(server, scan):
    stream = scan.stream("sense")
    with socket.create_connection(server.address, timeout=60) as sock:
        sock.sendall(stream[: len(stream) // 2])
        sock.shutdown(socket.SHUT_WR)
        said = client.reply(sock)
    assert "the stream ended" in said.text("ERROR")
    assert said.closed
    with socket.create_connection(server.address, timeout=60) as sock:  # and one that does not wait for an answer
        sock.sendall(stream[: len(stream) // 3])
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    assert client.ask(server.address, scan.stream("sense")).closed
    assert server.tidy()


def test_clients_at_once_and_one_too_many(server, scan):
    assert server.tidy()
    replies = [None] * 3

    def ask(i):
        replies[i] = client.ask(server.address, scan.stream("sense"))

    waiting = [socket.create_connection(server.address, timeout=120) for _ in range(3)]
    with contextlib.ExitStack() as sockets:
        for sock in waiting:
            sockets.enter_context(sock)
            sock.sendall(client.config_name("sense"))
        said = client.ask(server.address, b"")
        assert "all 3 connections" in said.text("ERROR")
        assert said.closed
        for sock in waiting:
            sock.sendall(client.close())
            assert client.reply(sock).closed
    assert server.tidy()
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for reply in replies:
        assert reply.closed
        for image, other in zip(reply.images, replies[0].images, strict=True):
            np.testing.assert_array_equal(image.data, other.data)


def test_what_is_not_offered_is_said_at_the_start(server):
    assert "broken.yaml is not offered" in server.log
    assert "retrospective-r4-wavelet.yaml is not offered: `undersampling`" in server.log
    assert "configurations: fails, sense, unfolded-fast" in server.log


def test_a_server_that_stops_says_goodbye_to_its_clients(tmp_path, configs, scan):
    running = Server(tmp_path / "run", configs)
    with socket.create_connection(running.address, timeout=120) as sock:
        sock.sendall(client.config_name("sense") + client.header(scan.xml) + b"".join(scan.acquisitions[:20]))
        for _ in range(600):
            if list(running.spool.glob("*/client-1/*")):
                break
            time.sleep(0.1)
        ended = threading.Thread(target=running.end)
        ended.start()
        said = client.reply(sock)
        ended.join()
    assert "the server is stopping" in said.text("ERROR")
    assert said.closed
    assert running.process.returncode == 0
    assert not list(running.spool.iterdir())
