"""Trees that a gateway takes in: one pair brings the list, others join it, each in its handler's thread."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Final, Protocol, get_args

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.flat import Flat
from pynet_core.transfer.folder import Folder
from pynet_core.transfer.found import unpack_found
from pynet_core.transfer.frames import send_reports
from pynet_core.transfer.ground import Ground
from pynet_core.transfer.incoming import RawLink as ReceivingLink
from pynet_core.transfer.incoming import bring
from pynet_core.transfer.intake import Intake
from pynet_core.transfer.jail import PathRefused, folder_parts
from pynet_core.transfer.landing import Landing
from pynet_core.transfer.listing import MAX_LIST_BYTES
from pynet_core.transfer.messages import Join, Missed, Report, Store
from pynet_core.transfer.options import MAX_NAMED, Compress, Fsync
from pynet_core.transfer.sender import RawLink as SendingLink
from pynet_core.wire import Frame, Kind, pack_body

_log = logging.getLogger(__name__)

JOIN_WAIT_S: Final = 5.0  # a pair that joins may be heard before the one with the list
MAX_OVER: Final = 64  # transfers that are remembered when they have ended: who joins late need not wait


class FullLink(SendingLink, ReceivingLink, Protocol):
    """A channel, or what behaves like one."""


class UnknownTransfer(PynetError):
    """Nobody stores anything under this id."""


class Stores:
    """The transfers that run.  Any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[bytes, Intake] = {}
        self._joined: dict[bytes, int] = {}  # pairs, besides the one with the list
        self._over: deque[bytes] = deque(maxlen=MAX_OVER)

    def take_in(self, store: Store, link: FullLink, download_dir: str) -> None:
        """Do what a STORE asks, up to the last REPORT.

        What is broken off stays in its staging folder: the same upload again goes on from there.
        Of a flat one nothing stays.

        Raises:
            PathRefused, CannotStore, RemoteProtocolError, LinkClosed: It cannot be done, or is over.
        """
        try:
            self._take_in(store, link, download_dir)
        finally:
            with self._changed:  # refused or over: nobody need wait to join it
                self._over.append(store.transfer)
                self._changed.notify_all()

    def _take_in(self, store: Store, link: FullLink, download_dir: str) -> None:
        try:
            steps = folder_parts(store.folder)
        except PathRefused as exc:
            raise PathRefused(f"the folder {store.folder!r} {exc}") from exc
        if store.fsync not in get_args(Fsync):
            raise RemoteProtocolError(f"peer wants fsync {store.fsync[:32]!r}")
        fsync: Fsync = store.fsync  # type: ignore[assignment]
        if store.compress not in get_args(Compress):
            raise RemoteProtocolError(f"peer wants compress {store.compress[:32]!r}")
        compress: Compress = store.compress  # type: ignore[assignment]
        folder = Folder(download_dir, steps)
        with contextlib.ExitStack() as stack:
            ground: Landing
            if store.flat:
                ground = Flat(folder, keeps_parts=False)  # many who break off would fill the disk
            else:
                ground = Ground(folder, b"put\0" + store.key, preserve=store.preserve, fsync=fsync)
            stack.callback(ground.close)
            intake = Intake(
                ground,
                checksum=store.checksum,
                compress=compress,
                sparse=store.sparse,
                moves=store.moves,
                # Who sends a few takes for arrived what is not named; their list is short.
                most_named=sys.maxsize if store.flat else MAX_NAMED,
            )
            stack.callback(intake.close)
            stack.enter_context(self._open(store.transfer, intake))
            end = _receive_list(intake, link, MAX_LIST_BYTES if store.flat else None)
            goes_on = True
            while goes_on and end.ident:  # the list rests
                if intake.stock.needs_lister():
                    goes_on = _bring(intake, link, carrier=0, rests=True)
                if goes_on:
                    link.send(Frame(Kind.MORE))
                    end = _receive_list(intake, link, None)
                    goes_on = end.kind == Kind.MORE
            intake.end_of_list()
            if goes_on and _bring(intake, link, carrier=0):
                self._await_others(store.transfer)
                intake.finish()
            moved = intake.result()
            _log.info(
                "%d files uploaded to %s over %d pairs: %d B in %.2f s; %d failed, %d were there",
                moved.files,
                folder.path,
                len(moved.pair_bytes),
                moved.bytes,
                moved.seconds,
                moved.failed_count,
                moved.same,
            )
        missed = [Missed(path=os.fsencode(path), reason=why) for path, why in moved.failed.items()]
        send_reports(link, missed)
        last = Report(
            missed=[], failed=moved.failed_count, files=moved.files, bytes=moved.bytes, same=moved.same
        )
        link.send(Frame(Kind.REPORT, 0, pack_body(last)))

    def join(self, join: Join, link: FullLink) -> None:
        """Bring files of that transfer over this pair, too.

        Raises:
            UnknownTransfer: It is over, or never was.
            RemoteProtocolError, LinkClosed: The pair has ended.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: join.transfer in self._running or join.transfer in self._over, JOIN_WAIT_S
            )
            if join.transfer in self._over:  # it was done before this pair was there
                return
            intake = self._running.get(join.transfer)
            if intake is None:
                raise UnknownTransfer("there is no such upload")
            self._joined[join.transfer] += 1
        try:
            _bring(intake, link)
        finally:
            with self._changed:
                self._joined[join.transfer] -= 1
                self._changed.notify_all()

    def is_idle(self) -> bool:
        """No transfer runs."""
        with self._changed:
            return not self._joined

    @contextlib.contextmanager
    def _open(self, transfer: bytes, intake: Intake) -> Iterator[None]:
        with self._changed:
            if transfer in self._running:
                raise RemoteProtocolError("peer uploads two trees under one id")
            self._running[transfer] = intake
            self._joined[transfer] = 0
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                del self._running[transfer]  # nobody joins any more
                self._over.append(transfer)
                self._changed.notify_all()
            intake.stop()
            self._await_others(transfer)
            with self._changed:
                del self._joined[transfer]

    def _await_others(self, transfer: bytes) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._joined[transfer])


def _receive_list(intake: Intake, link: FullLink, most_bytes: int | None) -> Frame:
    """What the controller lists now; returns the END or MORE behind it."""
    listed = 0  # bytes
    while (frame := link.receive()).kind == Kind.FOUND:
        listed += max(len(frame.body), frame.ident)
        if most_bytes is not None and listed > most_bytes:
            raise RemoteProtocolError(f"peer lists {listed} B of files, limit {most_bytes} B")
        intake.found(unpack_found(frame))
    if frame.kind not in (Kind.END, Kind.MORE):
        raise RemoteProtocolError(f"peer sent {Kind(frame.kind).name} in the middle of a list")
    return frame


def _bring(intake: Intake, link: FullLink, *, carrier: int | None = None, rests: bool = False) -> bool:
    """`bring` at a gateway; False when the controller has given up."""
    odd = bring(intake, link, carrier=carrier, rests=rests)
    if odd is not None and odd.kind != Kind.END:
        raise RemoteProtocolError(f"peer sent {Kind(odd.kind).name}, which answers nothing")
    return odd is None
