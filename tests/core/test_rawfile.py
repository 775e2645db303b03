"""Bytes of a file over a socket past our memory, and frames whose body goes into a file."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pynet_core.channel import PlainChannel
from pynet_core.errors import LinkClosed
from pynet_core.rawfile import BLOCK_BYTES, Drain, send_from
from pynet_core.session import Session
from pynet_core.wire import Frame, Kind, encode
from tests.core.loopback import open_files


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    before = open_files()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far = listener.accept()[0]
    with near, far:
        yield near, far
    assert open_files() == before


@pytest.fixture
def source(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(3 * BLOCK_BYTES + 777))
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "sink", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


def test_a_piece_of_a_file_lands_where_it_belongs(
    pair: tuple[socket.socket, socket.socket], source: int, sink: int
) -> None:
    near, far = pair
    length = 2 * BLOCK_BYTES + 5
    sender = threading.Thread(target=send_from, args=(near, source, 100, length))
    sender.start()
    drain = Drain()
    assert drain.receive(far, sink, 7, length) == (length, None)
    drain.close()
    sender.join()
    assert os.pread(sink, length, 7) == os.pread(source, length, 100)


def test_zeros_stand_for_what_a_file_does_not_have(
    pair: tuple[socket.socket, socket.socket], source: int, sink: int
) -> None:
    near, far = pair
    end = os.fstat(source).st_size
    assert send_from(near, source, end - 10, 100) == 10
    drain = Drain()
    assert drain.receive(far, sink, 0, 100) == (100, None)
    drain.close()
    assert os.pread(sink, 100, 0) == os.pread(source, 10, end - 10) + bytes(90)


def test_what_a_file_does_not_take_is_told_and_the_rest_is_taken_from_the_socket(
    pair: tuple[socket.socket, socket.socket], source: int
) -> None:
    near, far = pair
    sender = threading.Thread(target=send_from, args=(near, source, 0, 2 * BLOCK_BYTES))
    sender.start()
    drain = Drain()
    full = os.open("/dev/full", os.O_RDWR)
    come, problem = drain.receive(far, full, 0, 2 * BLOCK_BYTES)
    os.close(full)
    sender.join()
    assert come == 2 * BLOCK_BYTES
    assert problem is not None
    near.sendall(b"next")
    assert far.recv(10) == b"next"
    drain.close()


class Turns:
    """Like a lock; how much of the file was written each time."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.written: list[int] = []

    def __enter__(self) -> None:
        self.before = os.fstat(self.fd).st_size

    def __exit__(self, *_: object) -> None:
        self.written.append(os.fstat(self.fd).st_size - self.before)


@pytest.mark.skipif(not hasattr(os, "splice"), reason="nothing is spliced here")
def test_all_of_a_file_is_written_in_its_writers_turn(
    pair: tuple[socket.socket, socket.socket], source: int, sink: int
) -> None:
    near, far = pair
    sender = threading.Thread(target=send_from, args=(near, source, 0, 2 * BLOCK_BYTES))
    sender.start()
    drain = Drain()
    drain.turn = turns = Turns(sink)
    drain.receive(far, sink, 0, 2 * BLOCK_BYTES)
    drain.close()
    sender.join()
    assert sum(turns.written) == 2 * BLOCK_BYTES
    assert all(turns.written), "nobody waits with it for the socket"


def fetching(sock: socket.socket) -> PlainChannel:
    """A controller's channel in the middle of a fetch."""
    session = Session("controller")
    for frame in (Frame(Kind.HELLO), Frame(Kind.FETCH)):
        session.send(frame)
        if frame.kind == Kind.HELLO:
            session.receive(Frame(Kind.WELCOME))
    channel = PlainChannel(sock, session)
    channel.opened()
    return channel


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.sampled_from([1, 23, 24, 2047, 70_000, 130_000, BLOCK_BYTES]), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 400_000), max_size=8),
)
def test_bodies_land_and_frames_between_them_come_however_the_bytes_are_split(
    sizes: list[int], cuts: list[int], sink: int
) -> None:
    bodies = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    frames = [encode(Frame(Kind.SEAL, 0, b"before"))]
    at = 0
    for body in bodies:
        frames += [encode(Frame(Kind.RAW, at, body)), encode(Frame(Kind.SEAL, 0, b"after"))]
        at += len(body)
    data = b"".join(frames)

    def send() -> None:
        rest = memoryview(data)
        for cut in cuts:
            near.sendall(rest[:cut])
            rest = rest[cut:]
        near.sendall(rest)

    near, far = socket.socketpair()
    with near, far:
        channel, drain = fetching(far), Drain()
        sender = threading.Thread(target=send)
        sender.start()
        seen = [channel.receive_raw(Kind.RAW, lambda at, length: sink, drain) for _ in frames]
        sender.join()
        drain.close()
    assert [frame.kind for frame, _, _ in seen] == [Kind.SEAL, *[Kind.RAW, Kind.SEAL] * len(bodies)]
    assert [length for frame, length, _ in seen if frame.kind == Kind.RAW] == sizes
    assert all(problem is None for _, _, problem in seen)
    assert os.pread(sink, at, 0) == b"".join(bodies)


def test_a_peer_that_closes_in_the_middle_of_a_body_is_a_lost_link(sink: int) -> None:
    near, far = socket.socketpair()
    with near, far:
        channel, drain = fetching(far), Drain()
        near.sendall(encode(Frame(Kind.RAW, 0, bytes(1000)))[:500])
        near.close()
        with pytest.raises(LinkClosed, match="in the middle"):
            channel.receive_raw(Kind.RAW, lambda at, length: sink, drain)
        drain.close()
