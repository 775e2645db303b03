"""The sending end alone, on a link made by hand: what it sends was all read from one state of the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from pynet_core.transfer.digest import digest_of
from pynet_core.transfer.frames import CHUNK_BYTES, unpack_chunk
from pynet_core.transfer.messages import Take, Wanted
from pynet_core.transfer.sender import MAX_WAITING, Sender, version_of
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body
from tests.core.loopback import open_files

DIGEST: Final = "blake2b-128"
END: Final = Frame(Kind.END)


class Link:
    """Gives one frame after the other; in between calls `on_poll`, which may give some as well."""

    def __init__(self, *frames: Frame, on_poll: Callable[[], Frame | None] = lambda: None) -> None:
        self.sent: list[Frame] = []
        self._frames = iter(frames)
        self.poll = on_poll

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    def receive(self) -> Frame:
        return next(self._frames)

    @property
    def kinds(self) -> list[Kind]:
        return [Kind(frame.kind) for frame in self.sent]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(3 * CHUNK_BYTES))
    return path


def wanted(path: Path, **changes: object) -> Wanted:
    found = path.stat()
    fields = {"offset": 0, "length": found.st_size, "have": b"", **changes}
    return Wanted(path=os.fsencode(path), version=version_of(found), **fields)  # type: ignore[arg-type]


def take(*pieces: Wanted) -> Frame:
    return Frame(Kind.TAKE, 0, pack_body(Take(digest=DIGEST, pieces=list(pieces))))


def opened(path: bytes) -> int:
    return os.open(path, os.O_RDONLY)


def test_a_piece_comes_in_chunks_that_make_it_up_each_with_its_digest(file: Path) -> None:
    link = Link(take(wanted(file, offset=100, length=2 * CHUNK_BYTES)), END)
    assert Sender(link, opened).serve() is END
    whole, at = b"", 100
    for frame in link.sent:
        digest, data = unpack_chunk(frame)
        assert frame.ident == at
        assert digest == digest_of(DIGEST, data)
        whole += data
        at += len(data)
    assert whole == file.read_bytes()[100 : 100 + 2 * CHUNK_BYTES]


def test_pieces_are_answered_in_order_each_on_its_own(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    have = digest_of(DIGEST, content[:50])
    pieces = [
        wanted(file, length=50, have=have),
        wanted(file, length=51, have=have),
        wanted(file, length=0),
        wanted(tmp_path / "file"),
    ]
    gone = Wanted(path=b"/nothing", version=pieces[0].version, offset=0, length=1)
    link = Link(take(*pieces[:2]), take(gone, *pieces[2:]), END)
    Sender(link, opened).serve()
    assert link.kinds == [Kind.SAME, Kind.CHUNK, Kind.LOST, Kind.CHUNK, *[Kind.CHUNK] * 3]


def test_nothing_is_sent_of_what_changed_in_the_middle_of_a_piece(file: Path) -> None:
    """Written to after the first chunk, and its time set back: what follows would be of another file."""
    was = file.stat()

    def write() -> None:
        with file.open("r+b") as changing:
            changing.write(b"another")
        os.utime(file, ns=(was.st_mtime_ns, was.st_mtime_ns))

    link = Link(take(wanted(file)), END, on_poll=write)
    Sender(link, opened).serve()
    assert link.kinds == [Kind.CHUNK, Kind.LOST]
    assert unpack_body(link.sent[-1].body, Failure).error == "Changed"


def test_an_end_in_the_middle_of_a_piece_stops_it(file: Path) -> None:
    link = Link(take(wanted(file)), on_poll=lambda: END)
    assert Sender(link, opened).serve() is END
    assert link.kinds == [Kind.CHUNK]


def test_only_so_many_pieces_are_read_ahead(file: Path) -> None:
    """A peer that asks faster than it reads fills its own buffers, not our memory."""
    polled = 0

    def ask_more() -> Frame:
        nonlocal polled
        polled += 1
        return take(*[wanted(file, length=2 * CHUNK_BYTES)] * 50)

    class Enough(Exception): ...

    class Limited(Link):
        def send(self, frame: Frame) -> None:
            super().send(frame)
            if len(self.sent) > 100:
                raise Enough

    with pytest.raises(Enough):
        Sender(Limited(ask_more(), on_poll=ask_more), opened).serve()
    assert polled * 50 <= MAX_WAITING + 100


def test_steps_are_told_with_their_bytes(file: Path) -> None:
    steps: list[int] = []
    link = Link(take(wanted(file), wanted(file, have=digest_of(DIGEST, file.read_bytes()))), END)
    Sender(link, opened, lambda path, sent: steps.append(sent)).serve()
    assert steps == [*[CHUNK_BYTES] * 3, 3 * CHUNK_BYTES]


def test_no_descriptor_stays_open_whatever_happens(file: Path) -> None:
    before = open_files()
    link = Link(take(wanted(file), wanted(file, offset=5, length=5)), on_poll=lambda: END)
    Sender(link, opened).serve()
    assert open_files() == before
