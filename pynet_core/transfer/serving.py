"""Files at the gateway: list them, send them, take them in.  In the thread of the pair's handler."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.digest import agree
from pynet_core.transfer.folder import DEFAULT_FOLDER, Folder
from pynet_core.transfer.frames import Link, receive_offers, send_offers, send_reports
from pynet_core.transfer.jail import PathRefused, Roots, folder_parts
from pynet_core.transfer.listing import find
from pynet_core.transfer.messages import Missed, Placement, Query
from pynet_core.transfer.plan import plan
from pynet_core.transfer.receiver import Receiver
from pynet_core.transfer.sender import Sender
from pynet_core.wire import Frame, Kind, unpack_body

_log = logging.getLogger(__name__)


class CannotList(PynetError):
    """This folder cannot be listed; says why."""


class FileAccess:
    """What a gateway's peers may do with the files of its machine."""

    def __init__(self, roots: Iterable[str | os.PathLike[str]] | None, download_dir: str) -> None:
        self._roots = Roots(roots)
        self.download_dir = download_dir or DEFAULT_FOLDER

    def __str__(self) -> str:
        folders = self._roots.folders
        if folders is None:
            readable = "every file that this user may"
        else:
            readable = ("files in " + ", ".join(folders)) if folders else "no files"
        return f"peers of role admin may read {readable} and write to {Path(self.download_dir).absolute()}"

    def serve(self, request: Frame, link: Link) -> None:
        """Do what a LIST, FETCH or UPLOAD asks, to its end.

        Raises:
            PathRefused, CannotList, BadPattern, ListTooLong, FilesError, CannotStore: It cannot be
                done, and the peer has not been told yet.
            LinkClosed, ProtocolError: The pair has ended.
        """
        match request.kind:
            case Kind.LIST:
                self._list(unpack_body(request.body, Query), link)
            case Kind.FETCH:
                self._send(link)
            case _:
                self._take_in(unpack_body(request.body, Placement), link)
        link.send(Frame(Kind.END))

    def _list(self, query: Query, link: Link) -> None:
        try:
            send_offers(link, find(query, self._roots))
        except OSError as exc:
            raise CannotList(f"cannot list {os.fsdecode(query.folder)!r}: {exc.strerror}") from exc

    def _send(self, link: Link) -> None:
        began_s = time.monotonic()
        steps: Counter[bytes] = Counter()  # bytes of each file
        Sender(link, self._open, lambda path, sent: steps.update({path: sent})).serve()
        _log.info("%d files sent: %d B in %.2f s", len(steps), steps.total(), time.monotonic() - began_s)

    def _open(self, path: bytes) -> int:
        return self._roots.open(self._roots.full_path(path))

    def _take_in(self, placement: Placement, link: Link) -> None:
        began_s = time.monotonic()
        try:
            steps = folder_parts(placement.folder)
        except PathRefused as exc:
            raise PathRefused(f"the folder {placement.folder!r} {exc}") from exc
        with contextlib.closing(Folder(self.download_dir, steps)) as folder:
            offers, _ = receive_offers(link)
            planned, missed = plan(one for offer in offers for one in offer.files)
            digest = agree(name for offer in offers for name in offer.digests)
            if digest is None:
                raise RemoteProtocolError("peer offers files without a digest that we know")
            # What a peer breaks off leaves nothing behind: many such peers would fill the disk.
            receiver = Receiver(planned, folder, digest, keep_parts=False)
            receiver.run(link)
            receiver.settle()
        missed += [Missed(path=planned[file].path, reason=reason) for file, reason in receiver.failed.items()]
        send_reports(link, missed)
        size = sum(planned[file].version.size for file in receiver.arrived)
        _log.info(
            "%d of %d files uploaded to %s: %d B in %.2f s",
            len(receiver.arrived),
            len(planned),
            folder.path,
            size,
            time.monotonic() - began_s,
        )
