"""Files at the gateway: list them, send them, take them in.  In the thread of the pair's handler."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Generator, Iterable
from pathlib import Path

import msgspec

from pynet_core.errors import PynetError, RemoteProtocolError
from pynet_core.transfer.folder import DEFAULT_FOLDER
from pynet_core.transfer.found import send_found, send_round
from pynet_core.transfer.frames import Link, send_reports
from pynet_core.transfer.jail import PathRefused, Roots
from pynet_core.transfer.listing import find
from pynet_core.transfer.messages import Join, Missed, Node, Query, Remove, Report, Store, Tree
from pynet_core.transfer.removing import remove
from pynet_core.transfer.sender import Sender
from pynet_core.transfer.shelf import Shelf
from pynet_core.transfer.storing import FullLink, Stores
from pynet_core.transfer.walk import Walk
from pynet_core.wire import Frame, Kind, pack_body, unpack_body

_log = logging.getLogger(__name__)


class CannotList(PynetError):
    """This folder cannot be listed; says why."""


class Resting:
    """The list of a tree that one pair has asked for, and that rests until it asks for more.  Close it."""

    def __init__(self) -> None:
        self._found: Generator[tuple[bytes, Node | Missed], None, None] | None = None
        self._dense = False

    def begin(self, walk: Walk, link: FullLink, *, dense: bool) -> bool:
        """Send some of it; True when there is more."""
        self.close()
        self._found, self._dense = walk.run(), dense
        return self.send(link)

    def send(self, link: FullLink) -> bool:
        """Send some more of it; True when there is more still.

        Raises:
            RemoteProtocolError: Nothing rests.
        """
        if self._found is None:
            raise RemoteProtocolError("peer wants more of a list, and none rests")
        if send_round(link, self._found, dense=self._dense):
            return True
        self.close()
        return False

    def close(self) -> None:
        """Idempotent."""
        if self._found is not None:
            self._found.close()
            self._found = None


class FileAccess:
    """What a gateway's peers may do with the files of its machine."""

    def __init__(
        self,
        roots: Iterable[str | os.PathLike[str]] | None,
        download_dir: str,
        *,
        allow_remove: bool = False,
    ) -> None:
        self._roots = Roots(roots)
        self._allow_remove = allow_remove
        self.download_dir = download_dir or DEFAULT_FOLDER
        self._stores = Stores()

    def __str__(self) -> str:
        folders = self._roots.folders
        if folders is None:
            readable = "every file that this user may"
        else:
            readable = ("files in " + ", ".join(folders)) if folders else "no files"
        verbs = "read and remove" if self._allow_remove else "read"
        return f"peers of role admin may {verbs} {readable} and write to {Path(self.download_dir).absolute()}"

    def serve(self, request: Frame, link: FullLink, resting: Resting) -> bool:
        """Do what a LIST, TREE, FETCH, STORE, JOIN or REMOVE asks, to its end; False: to that of the pair.

        Raises:
            PathRefused, CannotList, BadPattern, ListTooLong, CannotStore: It cannot be
                done, and the peer has not been told yet.
            LinkClosed, ProtocolError: The pair has ended.
        """
        more = False
        match request.kind:
            case Kind.LIST:
                self._list(unpack_body(request.body, Query), link)
            case Kind.FETCH:
                if self._send(link).kind == Kind.CLOSE_HANDLER:
                    return False
            case Kind.TREE:
                more = self._list_tree(unpack_body(request.body, Tree), link, resting)
            case Kind.STORE:
                self._stores.take_in(unpack_body(request.body, Store), link, self.download_dir)
            case Kind.JOIN:
                self._stores.join(unpack_body(request.body, Join), link)
            case _:
                self._remove(unpack_body(request.body, Remove), link)
        link.send(Frame(Kind.END, int(more)))
        return True

    def is_idle(self) -> bool:
        """No tree is being taken in."""
        return self._stores.is_idle()

    def _list_tree(self, tree: Tree, link: FullLink, resting: Resting) -> bool:
        """True when there is more."""
        if not tree.sources:
            return resting.send(link)
        roots = self._roots
        if tree.landed:
            roots = Roots([self.download_dir])
            tree = msgspec.structs.replace(tree, sources=[self._landed(source) for source in tree.sources])
        if tree.rests:
            return resting.begin(Walk(tree, roots), link, dense=tree.dense)
        send_found(link, Walk(tree, roots).run(), dense=tree.dense)
        return False

    def _landed(self, path: bytes) -> bytes:
        """The full path of what is below the download folder."""
        return os.fsencode(Path(self.download_dir).absolute()) + b"/" + (b"" if path == b"." else path)

    def _remove(self, request: Remove, link: FullLink) -> None:
        if not request.landed and not self._allow_remove:
            raise PathRefused("this gateway lets nobody remove files: see allow_remove of Gateway")
        roots = Roots([self.download_dir]) if request.landed else self._roots
        base = self._landed(request.base) if request.landed else request.base
        missed: list[Missed] = []
        gone = 0
        for one in remove(request, base, roots):
            if one is None:
                gone += 1
            else:
                missed.append(one)
        _log.info("%d removed below %r, %d not", gone, os.fsdecode(base), len(missed))
        send_reports(link, missed)
        link.send(Frame(Kind.REPORT, 0, pack_body(Report(missed=[], failed=len(missed), files=gone))))

    def _list(self, query: Query, link: Link) -> None:
        try:
            send_found(link, find(query, self._roots))
        except OSError as exc:
            raise CannotList(f"cannot list {os.fsdecode(query.folder)!r}: {exc.strerror}") from exc

    def _send(self, link: FullLink) -> Frame:
        """Returns what the peer has ended it with."""
        began_s = time.monotonic()
        files = size = 0

        def sent(_path: bytes, more: int, whole: int) -> None:
            nonlocal files, size
            files, size = files + whole, size + more

        with Shelf(self._roots, follows=self._roots.folders is None) as shelf:
            last_word = Sender(link, shelf, on_sent=sent).serve()
        _log.info("%d files sent: %d B in %.2f s", files, size, time.monotonic() - began_s)
        return last_word
