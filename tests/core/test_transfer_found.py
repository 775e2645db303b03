"""A tree's list leaves while it is being made: first a little of it, so that what it names can be fetched."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest

from pynet_core.errors import RemoteProtocolError
from pynet_core.transfer.found import FIRST_FRAME_BYTES, send_found, unpack_found
from pynet_core.transfer.frames import LIST_FRAME_BYTES
from pynet_core.transfer.messages import FILE, Missed, Node, Nodes
from pynet_core.wire import Frame, Kind, pack_body

NODES = [
    Node(b"folder/file %d" % number, FILE, 4096, 1 << 60, 1 << 60, number, 0o644) for number in range(5000)
]


class Sent:
    """A link of which nobody reads."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.asked = 0  # nodes, until the first frame left

    def send(self, frame: Frame) -> None:
        self.frames.append(frame)

    def receive(self) -> Frame:
        raise AssertionError

    def poll(self) -> Frame | None:
        raise AssertionError

    def found(self) -> Iterator[tuple[bytes, Node | Missed]]:
        for node in NODES:
            self.asked += not self.frames
            yield b"/base", node


def test_the_first_of_a_list_leaves_soon_and_the_rest_in_large_frames() -> None:
    link = Sent()
    send_found(link, link.found())
    sizes = [len(frame.body) for frame in link.frames]
    assert link.asked < 50
    assert sizes[0] < 1.5 * FIRST_FRAME_BYTES
    assert len(sizes) < 20
    assert max(sizes) < 2 * LIST_FRAME_BYTES


@pytest.mark.parametrize("dense", [False, True])
def test_all_that_was_found_is_in_the_list_in_order(dense: bool) -> None:
    link = Sent()
    send_found(link, link.found(), dense=dense)
    assert {frame.kind for frame in link.frames} == {Kind.FOUND}
    listed = [node for frame in link.frames for node in unpack_found(frame).nodes]
    assert listed == NODES


def test_a_dense_list_is_less_than_half_as_long() -> None:
    plain, dense = Sent(), Sent()
    send_found(plain, plain.found())
    send_found(dense, dense.found(), dense=True)
    assert sum(len(frame.body) for frame in dense.frames) < sum(len(frame.body) for frame in plain.frames) / 2


@pytest.mark.parametrize(
    ("body", "ident"),
    [
        (zlib.compress(bytes(10_000_000)), 10_000_000),  # a bomb that says so
        (zlib.compress(bytes(10_000_000)), 1000),  # and one that does not
        (zlib.compress(pack_body(Nodes(base=b"", digests=[]))), 1),
        (zlib.compress(pack_body(Nodes(base=b"", digests=[]))), -1),
        (pack_body(Nodes(base=b"", digests=[])), 100),
        (zlib.compress(b"no list"), 7),
        (b"", 7),
    ],
)
def test_what_stands_for_no_list_or_for_another_size_breaks_the_format(body: bytes, ident: int) -> None:
    with pytest.raises(RemoteProtocolError):
        unpack_found(Frame(Kind.FOUND, ident, body))
