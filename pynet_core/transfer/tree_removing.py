"""Removing files at the gateway, from the controller."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from pynet_core.channel import PlainChannel
from pynet_core.errors import RemoteProtocolError
from pynet_core.exchange import check
from pynet_core.transfer.carriers import Pair
from pynet_core.transfer.messages import Doomed, Remove, Report
from pynet_core.transfer.plan import as_text
from pynet_core.transfer.removing import told
from pynet_core.wire import Frame, Kind, pack_body, unpack_body

REMOVE_NAME: Final = "remove_files"
AT_A_TIME_BYTES: Final = 48 * 1024  # of paths: a REMOVE is a control frame of 64 KiB


OpenPair = Callable[[], Pair]


def ask_leave(client: Pair) -> None:
    """May files be removed that are not below the download folder?  The pair is closed at the end.

    Raises:
        SubroutineError: No.
        LinkError, ProtocolError: The pair has ended.
    """
    try:
        with client.files_link() as link:
            _ask(link, Remove(base=b"/", landed=False, things=[]))
    finally:
        client.close()


def remove_tree(client: Pair, things: Iterable[Doomed], base: bytes, *, landed: bool, recursive: bool) -> int:
    """Remove these; returns how many have gone.  The pair is closed at the end.

    Raises:
        FilesError: Some have not.
        SubroutineError: The gateway lets nobody do that.
        LinkError, ProtocolError: The pair has ended.
    """
    failed: dict[str, str] = {}
    count = 0
    try:
        with client.files_link() as link:
            for batch in _batches(things):
                request = Remove(base=base, landed=landed, things=batch, recursive=recursive)
                failed |= _ask(link, request)
                count += len(batch)
    finally:
        client.close()
    return told(count, failed)


def _ask(link: PlainChannel, request: Remove) -> dict[str, str]:
    link.send(Frame(Kind.REMOVE, 0, pack_body(request)))
    failed: dict[str, str] = {}
    named = 0
    while (frame := link.receive()).kind == Kind.REPORT:
        report = unpack_body(frame.body, Report)
        failed |= {as_text(one.path): one.reason for one in report.missed}
        named += report.failed
    check(frame, REMOVE_NAME)
    if len(failed) != named:
        raise RemoteProtocolError(
            f"peer names {len(failed)} files that it could not remove, and counts {named}"
        )
    return failed


def _batches(things: Iterable[Doomed]) -> Iterable[list[Doomed]]:
    batch: list[Doomed] = []
    size = 0
    for one in things:
        batch.append(one)
        size += len(one.path) + 48
        if size >= AT_A_TIME_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
