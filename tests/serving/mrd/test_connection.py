"""Whole messages from a stream that the network cuts up, stalls, floods or ends; answers that a client can read."""

import socket
import struct
import threading

import ismrmrd
import numpy as np
import pytest

from mrirecon.errors import ConfigError
from mrirecon.serving.mrd.connection import Connection
from mrirecon.serving.mrd.limits import Limits
from mrirecon.serving.mrd.messages import (
    Acquisition,
    Close,
    ConfigName,
    ConfigText,
    Disconnected,
    Header,
    Ignored,
    Kind,
    StreamError,
    Text,
)
from tests.serving.mrd import client


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def line(n_coils=3, n_samples=16, seed=0, **fields):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n_coils, n_samples, 2)).astype(np.float32).view(np.complex64)[..., 0]
    acquisition = ismrmrd.Acquisition.from_array(values)
    for name, value in fields.items():
        setattr(acquisition, name, value)
    return acquisition, values


@pytest.mark.parametrize("piece", [1, 7, 100, 1 << 20])
def test_every_message_arrives_whole_however_it_is_cut(pair, piece):
    ours, theirs = pair
    readout, values = line(n_samples=300)
    stream = (
        client.config_name("sense") + client.config_text("<x/>") + client.header(b"<h/>") + client.text('{"a": 1}')
        + client.acquisition(readout) + client.waveform(np.ones((2, 5))) + client.image(np.ones((1, 1, 4, 6)))
        + client.close()
    )  # fmt: skip

    def send():
        for start in range(0, len(stream), piece):
            theirs.sendall(stream[start : start + piece])

    sender = threading.Thread(target=send)
    sender.start()
    connection = Connection(ours, Limits())
    got = [connection.receive() for _ in range(8)]
    sender.join()
    assert got[0] == ConfigName("sense")
    assert isinstance(got[1], ConfigText)
    assert isinstance(got[2], Header)
    assert got[2].xml == b"<h/>"
    assert isinstance(got[3], Text)
    assert got[3].content == b'{"a": 1}'
    assert isinstance(got[4], Acquisition)
    assert got[4].head == bytes(readout.getHead())
    np.testing.assert_array_equal(np.frombuffer(got[4].samples, np.complex64).reshape(3, 300), values)
    assert got[5:] == [Ignored(Kind.WAVEFORM), Ignored(Kind.IMAGE), Close()]


def test_a_line_larger_than_the_buffer_and_its_trajectory(pair):
    ours, theirs = pair
    values = np.arange(2 * 32000, dtype=np.float32).astype(np.complex64).reshape(2, 32000)
    readout = ismrmrd.Acquisition.from_array(values, trajectory=np.ones((32000, 2), np.float32))
    sender = threading.Thread(target=theirs.sendall, args=(client.acquisition(readout) + client.close(),))
    sender.start()
    connection = Connection(ours, Limits())
    got = connection.receive()
    np.testing.assert_array_equal(np.frombuffer(got.samples, np.complex64), values.reshape(-1))
    assert connection.receive() == Close()
    sender.join()


def announced(samples, channels, dimensions=0):
    head = ismrmrd.AcquisitionHeader()
    head.number_of_samples, head.active_channels, head.trajectory_dimensions = samples, channels, dimensions
    return struct.pack("<H", 1008) + bytes(head)


def picture_head(data_type=5, channels=1, size=(10, 10, 1), attributes=0):
    head = ismrmrd.ImageHeader()
    head.data_type, head.channels = data_type, channels
    head.matrix_size[:] = size
    return struct.pack("<H", 1022) + bytes(head) + struct.pack("<Q", attributes)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (struct.pack("<H", 999), "999 is not known here"),
        (struct.pack("<H", 0), "0 is not known"),
        (struct.pack("<H", 1018), "1018 is not known"),
        (struct.pack("<HI", 3, 2**32 - 1), "XML header: 4294967295 bytes"),
        (struct.pack("<HI", 2, 2**31), "configuration text"),
        (struct.pack("<HI", 5, 2**31), "text: 2147483648"),
        (announced(65535, 65535), "65535 channels of 65535 samples"),
        (announced(65535, 1, 65535), "1 channels of 65535 samples"),
        (picture_head(attributes=2**63), "images and waveforms"),
        (picture_head(size=(65535, 65535, 65535), channels=65535), "images and waveforms"),
        (picture_head(data_type=9), "data type"),
    ],
)
def test_what_is_too_much_or_unknown_is_refused_before_it_is_read(pair, stream, message):
    ours, theirs = pair
    theirs.sendall(stream)
    with pytest.raises(StreamError, match=message):
        Connection(ours, Limits()).receive()


def test_dropped_messages_have_a_limit_together(pair):
    ours, theirs = pair
    connection = Connection(ours, Limits(ignored_bytes=100))
    theirs.sendall(2 * client.waveform(np.ones((2, 8))))
    assert connection.receive() == Ignored(Kind.WAVEFORM)
    with pytest.raises(StreamError, match="images and waveforms"):
        connection.receive()


@pytest.mark.parametrize(
    ("cut", "where"), [(0, "without a close message"), (1, "within"), (2, "within"), (700, "within")]
)
def test_a_stream_that_ends_is_no_measurement(pair, cut, where):
    ours, theirs = pair
    theirs.sendall(client.config_name("sense")[:cut])
    theirs.close()
    with pytest.raises(Disconnected, match=where):
        Connection(ours, Limits()).receive()


def test_a_silent_client_is_given_up(pair):
    ours, theirs = pair
    theirs.sendall(struct.pack("<H", 1))
    with pytest.raises(Disconnected, match=r"nothing came for 0\.05 s"):
        Connection(ours, Limits(idle_s=0.05)).receive()


def test_a_slow_client_that_is_never_silent_ends_with_the_total_time(pair):
    ours, theirs = pair
    stop = threading.Event()

    def drip():
        while not stop.wait(0.01):
            theirs.sendall(b"x")

    theirs.sendall(struct.pack("<H", 1))
    dripping = threading.Thread(target=drip)
    dripping.start()
    with pytest.raises(Disconnected, match=r"longer than 0\.2 s"):
        Connection(ours, Limits(idle_s=5.0, total_s=0.2)).receive()
    stop.set()
    dripping.join()


def test_a_client_that_takes_nothing_is_given_up(pair):
    ours, _ = pair
    connection = Connection(ours, Limits(idle_s=0.05))
    with pytest.raises(Disconnected, match="took no data"):
        connection.send_image(bytes(198), "", bytes(50 << 20))


def test_a_client_that_is_gone_is_noticed(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(Disconnected, match="gone"):
        Connection(ours, Limits()).send_text("INFO", "hello")


def test_answers_are_read_by_a_client(pair):
    ours, theirs = pair
    head = ismrmrd.ImageHeader()
    head.version, head.data_type, head.channels = 1, 2, 1
    head.matrix_size[:] = (4, 3, 1)
    pixels = np.arange(12, dtype=np.int16)
    connection = Connection(ours, Limits())
    connection.send_text("WARNING", "größer")
    meta = "<ismrmrdMeta><meta><name>a</name><value>ä</value></meta></ismrmrdMeta>"
    connection.send_image(bytes(head), meta, pixels.tobytes())
    said = []

    def read():
        with theirs:
            said.append(client.reply(theirs))

    reading = threading.Thread(target=read)
    reading.start()
    theirs.sendall(bytes(1000))  # what a client still sends must not take back the answer
    connection.finish()
    reading.join()
    assert said[0].texts == ["WARNING  größer"]
    assert said[0].closed
    np.testing.assert_array_equal(said[0].images[0].data[0, 0], pixels.reshape(3, 4))
    assert ismrmrd.Meta.deserialize(said[0].images[0].attribute_string) == {"a": "ä"}


def test_finishing_with_a_client_that_is_gone_is_quiet(pair):
    ours, theirs = pair
    theirs.close()
    Connection(ours, Limits()).finish()
    assert ours.fileno() == -1


def test_limits_must_be_positive():
    with pytest.raises(ConfigError, match="`idle_s` must be positive"):
        Limits(idle_s=0)
