"""A tree's list leaves while it is being made: first a little of it, so that what it names can be fetched."""

from __future__ import annotations

from collections.abc import Iterator

from pynet_core.transfer.frames import LIST_FRAME_BYTES
from pynet_core.transfer.messages import FILE, Missed, Node, Nodes
from pynet_core.transfer.walk import FIRST_FRAME_BYTES, send_found
from pynet_core.wire import Frame, Kind, unpack_body

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


def test_all_that_was_found_is_in_the_list_in_order() -> None:
    link = Sent()
    send_found(link, link.found())
    assert {frame.kind for frame in link.frames} == {Kind.FOUND}
    listed = [node for frame in link.frames for node in unpack_body(frame.body, Nodes).nodes]
    assert listed == NODES
