"""The frames in which files travel, and the link they need.  No files here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Protocol, TypeVar

from msgspec import Struct

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.digest import DIGEST_BYTES, HASHERS
from pynet_core.transfer.messages import Missed, Offer, Offered, Report
from pynet_core.wire import Frame, Kind, pack_body, unpack_body

CHUNK_BYTES: Final = 256 * 1024  # of a file in one frame: what an end holds of it in memory
LIST_FRAME_BYTES: Final = 32 * 1024  # half of what a control frame may have: one entry more always fits
MAX_LIST_BYTES: Final = 64 * 1024 * 1024  # of one list, in all its frames: about 300,000 files


class ListTooLong(PynetError):
    """More files than one transfer takes."""


class Link(Protocol):
    """A channel, or what behaves like one.  All three raise LinkClosed and ProtocolError."""

    def send(self, frame: Frame) -> None: ...
    def receive(self) -> Frame: ...
    def poll(self) -> Frame | None: ...


def pack_chunk(offset: int, digest: bytes, data: bytes) -> Frame:
    return Frame(Kind.CHUNK, offset, digest + data)


def unpack_chunk(frame: Frame) -> tuple[bytes, memoryview]:
    """Digest and data of a CHUNK.

    Raises:
        RemoteProtocolError: Too short to be one, or larger than we care to hold.
    """
    if not DIGEST_BYTES <= len(frame.body) <= DIGEST_BYTES + CHUNK_BYTES:
        raise RemoteProtocolError(f"peer sent a chunk of {len(frame.body)} B, limit {CHUNK_BYTES} B")
    return frame.body[:DIGEST_BYTES], memoryview(frame.body)[DIGEST_BYTES:]


def send_offers(link: Link, found: Iterable[Offered | Missed]) -> None:
    """A list of files, while it is being made.

    Raises:
        ListTooLong: It is longer than the other end takes.
    """
    total = 0
    for batch in _batches(found):
        offer = Offer(
            digests=list(HASHERS),
            files=[one for one in batch if isinstance(one, Offered)],
            missed=[one for one in batch if isinstance(one, Missed)],
        )
        body = pack_body(offer)
        total += len(body)
        if total > MAX_LIST_BYTES:
            raise ListTooLong(f"more than {MAX_LIST_BYTES} B of names; ask for fewer files at a time")
        link.send(Frame(Kind.OFFER, 0, body))


def receive_offers(link: Link) -> tuple[list[Offer], Frame]:
    """The list that the other end sends, and the frame that ends it.

    Raises:
        RemoteProtocolError: It has no end.
    """
    offers: list[Offer] = []
    total = 0
    while (frame := link.receive()).kind == Kind.OFFER:
        offers.append(unpack_body(frame.body, Offer))
        total += len(frame.body)
        if total > MAX_LIST_BYTES:
            raise RemoteProtocolError(f"peer lists files without end: {total} B, limit {MAX_LIST_BYTES} B")
    return offers, frame


def send_reports(link: Link, missed: Iterable[Missed]) -> None:
    for batch in report_batches(missed):
        link.send(Frame(Kind.REPORT, 0, pack_body(Report(missed=batch))))


def report_batches(missed: Iterable[Missed]) -> Iterator[list[Missed]]:
    """As many at a time as fit a REPORT."""
    return _batches(missed)


_One = TypeVar("_One", bound=Struct)


def _batches(found: Iterable[_One]) -> Iterator[list[_One]]:
    """As many at a time as fit a control frame; at least one batch."""
    batch: list[_One] = []
    size = 0
    for one in found:
        batch.append(one)
        size += len(pack_body(one))
        if size >= LIST_FRAME_BYTES:
            yield batch
            batch, size = [], 0
    yield batch
