"""The link that files travel over, and how what did not arrive is told.  No files here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from pynet_core.transfer.messages import Missed, Report
from pynet_core.wire import Frame, Kind, pack_body

LIST_FRAME_BYTES: Final = 32 * 1024  # half of what a control frame may have: one entry more always fits


class Link(Protocol):
    """A channel, or what behaves like one.  All three raise LinkClosed and ProtocolError."""

    def send(self, frame: Frame) -> None: ...
    def receive(self) -> Frame: ...
    def poll(self) -> Frame | None: ...


def send_reports(link: Link, missed: Iterable[Missed]) -> None:
    for batch in report_batches(missed):
        link.send(Frame(Kind.REPORT, 0, pack_body(Report(missed=batch))))


def report_batches(missed: Iterable[Missed]) -> Iterator[list[Missed]]:
    """As many at a time as fit a REPORT; at least one batch."""
    batch: list[Missed] = []
    size = 0
    for one in missed:
        batch.append(one)
        size += len(pack_body(one))
        if size >= LIST_FRAME_BYTES:
            yield batch
            batch, size = [], 0
    yield batch
