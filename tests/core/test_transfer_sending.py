"""The sending end alone, on a link made by hand: what it sends was all read from one state of the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from pynet_core.transfer.digest import digest_of
from pynet_core.transfer.jail import Roots
from pynet_core.transfer.messages import MAX_RAW_BYTES, Bit, Packed, Pull
from pynet_core.transfer.sender import MAX_WAITING, Sender
from pynet_core.transfer.shelf import Shelf
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body
from tests.core.file_frames import DIGEST, END, pull_of
from tests.core.loopback import open_files

SIZE: Final = 3 * MAX_RAW_BYTES


class Link:
    """Gives one frame after the other; in between calls `on_poll`, which may give some as well."""

    def __init__(self, *frames: Frame, on_poll: Callable[[], Frame | None] = lambda: None) -> None:
        self.sent: list[Frame] = []
        self._frames = iter(frames)
        self.poll = on_poll

    def send(self, frame: Frame) -> None:
        self.sent.append(frame)

    def send_raw(self, kind: int, fd: int, offset: int, length: int) -> int:
        data = os.pread(fd, length, offset)
        self.send(Frame(kind, offset, data))
        return len(data)

    def receive(self) -> Frame:
        return next(self._frames)

    @property
    def kinds(self) -> list[Kind]:
        return [Kind(frame.kind) for frame in self.sent]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture(autouse=True)
def all_is_closed() -> Iterator[None]:
    before = open_files()
    yield
    assert open_files() == before


def serve(link: Link, steps: list[tuple[int, int]] | None = None) -> Frame:
    with Shelf(Roots(None)) as shelf:
        told: list[tuple[int, int]] = [] if steps is None else steps
        return Sender(link, shelf, on_sent=lambda _, size, files: told.append((size, files))).serve()


def test_a_piece_comes_in_order_and_is_sealed_with_its_digest(file: Path) -> None:
    link = Link(pull_of(file, offset=100, length=2 * MAX_RAW_BYTES), END)
    assert serve(link) is END
    whole, at = b"", 100
    for frame in link.sent[:-1]:
        assert (frame.kind, frame.ident) == (Kind.RAW, at)
        whole += frame.body
        at += len(frame.body)
    assert whole == file.read_bytes()[100 : 100 + 2 * MAX_RAW_BYTES]
    assert link.sent[-1] == Frame(Kind.SEAL, 0, digest_of(DIGEST, whole))


def test_pieces_are_answered_in_order_each_on_its_own(file: Path) -> None:
    have = digest_of(DIGEST, file.read_bytes()[:50])
    pulls = [
        pull_of(file, length=50, have=have),
        pull_of(file, length=51, have=have),
        pull_of(file, length=50),
    ]
    gone = file.with_name("gone")
    gone.touch()
    pulls.insert(1, pull_of(gone, length=0))
    gone.unlink()
    link = Link(*pulls, END)
    serve(link)
    assert link.kinds == [Kind.SAME, Kind.LOST, Kind.RAW, Kind.SEAL, Kind.RAW, Kind.SEAL]
    assert unpack_body(link.sent[1].body, Failure) == Failure(error="Changed", reason="has vanished")


def test_nothing_is_sealed_of_what_changed_in_the_middle_of_a_piece(file: Path) -> None:
    """Written to after the first bytes, and its time set back: what follows would be of another file."""
    was = file.stat()

    def write() -> None:
        with file.open("r+b") as changing:
            changing.write(b"another")
        os.utime(file, ns=(was.st_mtime_ns, was.st_mtime_ns))

    link = Link(pull_of(file), END, on_poll=write)
    serve(link)
    assert link.kinds == [Kind.RAW, Kind.RAW, Kind.LOST]
    assert unpack_body(link.sent[-1].body, Failure).error == "Changed"


def test_an_end_in_the_middle_of_a_piece_stops_it(file: Path) -> None:
    link = Link(pull_of(file), on_poll=lambda: END)
    assert serve(link) is END
    assert link.kinds == [Kind.RAW]


def test_an_end_in_the_middle_of_a_hole_stops_it(tmp_path: Path) -> None:
    (tmp_path / "hole").touch()
    os.truncate(tmp_path / "hole", 1 << 40)
    link = Link(pull_of(tmp_path / "hole", length=1 << 40), on_poll=lambda: END)
    assert serve(link) is END
    assert link.kinds == [Kind.HOLE]


def test_only_so_many_pulls_are_read_ahead(file: Path) -> None:
    """A peer that asks faster than it reads fills its own buffers, not our memory."""
    polled = 0

    def ask_more() -> Frame:
        nonlocal polled
        polled += 1
        return pull_of(file, length=10)

    class Enough(Exception): ...

    class Limited(Link):
        def send(self, frame: Frame) -> None:
            super().send(frame)
            if len(self.sent) > 100:
                raise Enough

    with pytest.raises(Enough):
        serve(Limited(*[pull_of(file)] * 60, on_poll=ask_more))
    assert polled <= MAX_WAITING + 100


def test_steps_are_told_with_their_bytes_and_what_is_whole(file: Path) -> None:
    steps: list[tuple[int, int]] = []
    serve(Link(pull_of(file), pull_of(file, have=digest_of(DIGEST, file.read_bytes())), END), steps)
    assert steps == [*[(MAX_RAW_BYTES, 0)] * 3, (0, 1), (0, 1)]


def test_links_are_followed_only_for_who_may_read_everything(file: Path) -> None:
    link_path = file.with_name("link")
    link_path.symlink_to(file)
    bit = Bit(b"link", SIZE, file.stat().st_mtime_ns, 0, 0, b"", 0, 10)
    asked = Frame(
        Kind.PULL,
        0,
        pack_body(Pull(base=os.fsencode(file.parent), digest=DIGEST, bits=[bit], packed=False)),
    )
    for follows, kind in ((False, Kind.LOST), (True, Kind.RAW)):
        link = Link(asked, END)
        with Shelf(Roots(None), follows=follows) as shelf:
            Sender(link, shelf).serve()
        assert link.kinds[0] == kind


def test_a_pack_says_of_each_file_what_has_become_of_it(tmp_path: Path) -> None:
    bits = []
    for name, size in ((b"a", 5), (b"b", 7)):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(name * size)
        bits.append(Bit(name, size, path.stat().st_mtime_ns))
    bits.insert(1, Bit(b"gone", 5, 0))
    body = Pull(base=os.fsencode(tmp_path), digest=DIGEST, bits=bits, packed=True)
    link = Link(Frame(Kind.PULL, 0, pack_body(body)), END)
    serve(link)
    (frame,) = link.sent
    head = unpack_body(frame.body[: frame.ident], Packed)
    assert head.sizes == [5, -2, 7]
    assert head.lost == [("Changed", "has vanished")]
    assert frame.body[frame.ident :] == b"aaaaabbbbbbb"
