"""A few files at the controller, over one pair: ask for them, send them.  In the thread that calls.

They travel as the files of a tree do; what differs is where they land (flat.py) and what the caller hears.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from pynet_core.errors import FilesError, FilesInterrupted, LinkError, RemoteProtocolError
from pynet_core.exchange import check
from pynet_core.rawfile import Drain
from pynet_core.transfer.flat import Flat
from pynet_core.transfer.folder import DEFAULT_FOLDER, CannotStore, Folder
from pynet_core.transfer.found import send_found
from pynet_core.transfer.incoming import bring
from pynet_core.transfer.intake import Intake
from pynet_core.transfer.jail import PathRefused, Roots, without_dots
from pynet_core.transfer.listing import limited, look_at, receive_list
from pynet_core.transfer.messages import MAX_PATH_BYTES, Missed, Node, Nodes, Query, Report, Store
from pynet_core.transfer.meter import Meter, OnProgress, Stopped
from pynet_core.transfer.plan import as_text, joined, plan
from pynet_core.transfer.sender import Sender
from pynet_core.transfer.storing import FullLink
from pynet_core.wire import Frame, Kind, pack_body, unpack_body

_log = logging.getLogger(__name__)

_DOWNLOAD: Final = "get_files_from_gateway"  # as a SubroutineError names it
_UPLOAD: Final = "send_files_to_gateway"
_LOST: Final = "the connection was lost"

StrPath = str | os.PathLike[str]


class Files(list[str]):
    """Local paths of what has arrived; `skipped` maps what was met and is no regular file to the reason."""

    skipped: dict[str, str]


def query_for(regex: str, files: Sequence[StrPath], folder: StrPath, recursive: bool) -> Query:
    """What these arguments of a download mean.

    Raises:
        ValueError, TypeError: Nothing, or nothing that can be asked for.
    """
    if not (regex or folder or len(files)):
        raise ValueError("name files, a folder, or a regex")
    return Query(
        files=_paths(files),
        folder=_paths([folder])[0] if folder else b"",
        regex=regex,
        recursive=recursive,
    )


def _paths(paths: Sequence[StrPath]) -> list[bytes]:
    if isinstance(paths, (str, bytes)):  # its letters would be taken for files
        raise TypeError(f"files is a list of paths, got {paths!r}")
    encoded = [os.fsencode(path) for path in paths]
    if encoded and (longest := max(encoded, key=len)) and len(longest) > MAX_PATH_BYTES:
        raise ValueError(f"a path of {len(longest)} B, limit {MAX_PATH_BYTES} B")
    return encoded


def download(link: FullLink, query: Query, download_dir: StrPath, on_progress: OnProgress | None) -> Files:
    """Fetch what the query means; returns when all of it is here, verified, and outlasts a power cut.

    Raises:
        FilesError: Some files did not arrive, the others have; or two of one name, nothing has moved.
        FilesInterrupted: The connection was lost half-way.
        SubroutineError: The gateway refuses, or cannot list them.
        Stopped: `on_progress` raised.
        LinkError, ProtocolError: The pair has ended.
    """
    began_s = time.monotonic()
    link.send(Frame(Kind.LIST, 0, pack_body(query)))
    found, end = receive_list(link)
    check(end, _DOWNLOAD)
    planned, refused = plan((nodes.base, node) for nodes in found for node in nodes.nodes)
    missed = [one for nodes in found for one in nodes.missed]
    files = Files()
    files.skipped = {as_text(one.path): one.reason for one in missed if not one.wanted}
    failed = {as_text(one.path): one.reason for one in [*missed, *refused] if one.wanted}
    size = 0
    if planned:
        meter = Meter(planned, on_progress)
        try:
            folder = Folder(download_dir or DEFAULT_FOLDER)
        except CannotStore as exc:
            raise FilesError(dict.fromkeys(meter.paths.values(), str(exc)) | failed) from exc
        fetching = _Fetching(folder, meter)
        with contextlib.closing(fetching):
            fetching.fetch(link, found)
        files += fetching.local()
        failed |= meter.failed
        size = fetching.moved.bytes
    _log.info(
        "%d files downloaded: %d B in %.2f s; %d failed, %d skipped",
        len(files),
        size,
        time.monotonic() - began_s,
        len(failed),
        len(files.skipped),
    )
    if failed:
        raise FilesError(failed, files)
    return files


class _Fetching(Intake):
    """What brings the files here, and tells the meter of each step."""

    def __init__(self, folder: Folder, meter: Meter) -> None:
        self._path = folder.path
        self._meter = meter
        flat = Flat(folder, keeps_parts=True)
        super().__init__(flat, checksum=True, arrived=lambda base, node: meter.over(node.path))

    def fetch(self, link: FullLink, found: list[Nodes]) -> None:
        """Bring what is planned of the list.

        Raises:
            As `download`.
        """
        meter = self._meter
        for nodes in found:
            mine = [node for node in nodes.nodes if meter.has(nodes.base, node.path)]
            self.found(msgspec.structs.replace(nodes, nodes=mine, missed=[]))
        self.end_of_list()
        try:
            link.send(Frame(Kind.FETCH))
            with _ending_when_stopped(link):
                odd = bring(self, _Watched(link, meter))
                meter.check()
            if odd is not None:
                check(odd, _DOWNLOAD)
                raise RemoteProtocolError(f"peer sent {Kind(odd.kind).name}, which answers nothing")
            check(_end(link), _DOWNLOAD)
            self._settle()
        except LinkError as exc:
            self._settle()
            if lost := meter.left():  # else it was lost when all had been said
                missing = meter.failed | dict.fromkeys(lost, _LOST)
                failed = {path: missing[path] for path in meter.paths.values() if path in missing}
                raise FilesInterrupted(failed, self.local()) from exc

    def local(self) -> list[str]:
        """The paths of what has arrived, in the order planned."""
        return [str(self._path / as_text(name)) for name in self._meter.here()]

    def _settle(self) -> None:
        """See to it that what has arrived outlasts a power cut; else it counts as failed."""
        try:
            self.finish()
        except CannotStore as exc:
            for name in self._meter.here():
                self._meter.lose(name, str(exc))

    def come(self, pair: int, path: bytes, size: int, *, brought: bool = True) -> None:
        """As it says; a pack's files are told one by one, when they land."""
        super().come(pair, path, size, brought=brought)
        self._meter.come(path, size)

    def fail(self, base: bytes, node: Node, reason: str) -> None:
        """As it says."""
        super().fail(base, node, reason)
        self._meter.lose(node.path, reason)


class _Watched:
    """A link that ends the transfer, between two frames, when `on_progress` has raised."""

    def __init__(self, link: FullLink, meter: Meter) -> None:
        self.send, self.receive, self.poll, self.send_raw = link.send, link.receive, link.poll, link.send_raw
        self._link = link
        self._meter = meter

    def receive_raw(
        self, kind: int, land: Callable[[int, int], int], drain: Drain
    ) -> tuple[Frame, int, OSError | None]:
        self._meter.check()
        return self._link.receive_raw(kind, land, drain)


def upload(
    link: FullLink, paths: Sequence[StrPath], dirname: StrPath, on_progress: OnProgress | None
) -> None:
    """Send files; returns when the gateway has them all, verified, and they outlast a power cut there.

    Raises:
        FilesError: Some did not arrive, the others have; or two of one name, nothing has moved.
        FilesInterrupted: The connection was lost half-way; what has arrived is not known.
        SubroutineError: The gateway refuses.
        Stopped: `on_progress` raised.
        LinkError, ProtocolError: The pair has ended.
        ValueError, TypeError: What is wrong with the arguments.
    """
    if not len(paths):
        raise ValueError("no files to send")
    folder = os.fspath(dirname).replace(os.sep, "/")
    everywhere = Roots(None)
    found = [look_at(without_dots(path), everywhere) for path in dict.fromkeys(_paths(paths))]
    planned, missed = plan((base, one) for base, one in found if isinstance(one, Node))
    missed += [one for _, one in found if isinstance(one, Missed)]
    failed = {as_text(one.path): one.reason for one in missed if one.wanted}
    skipped = [as_text(one.path) for one in missed if not one.wanted]
    began_s = time.monotonic()
    meter = Meter(planned, on_progress)
    if planned:
        failed |= _offer(link, planned, folder, meter)
    arrived = [path for path in meter.paths.values() if path not in failed]
    _log.info(
        "%d files uploaded: %d B in %.2f s; %d failed, skipped: %r",
        len(arrived),
        sum(node.size for _, node in planned),
        time.monotonic() - began_s,
        len(failed),
        skipped,
    )
    if failed:
        raise FilesError(failed, arrived)


def _offer(link: FullLink, planned: list[tuple[bytes, Node]], folder: str, meter: Meter) -> dict[str, str]:
    """Send these files; returns which have not arrived, and why."""
    opening = _Opening(meter)

    def sent(path: bytes, size: int, whole: int) -> None:
        meter.come(path, size)
        if whole:
            for name in (*opening.opened, path):  # all that one pack has held
                meter.over(name)
        opening.opened.clear()
        meter.check()

    failed: dict[str, str] = {}
    offered = set(meter.paths.values())
    try:
        store = Store(
            transfer=os.urandom(16),
            key=bytes(16),
            folder=folder,
            preserve=False,
            fsync="end",
            checksum=True,
            flat=True,
        )
        link.send(Frame(Kind.STORE, 0, pack_body(store)))
        send_found(link, limited(planned))
        link.send(Frame(Kind.END))
        with _ending_when_stopped(link):
            frame = Sender(link, opening, on_sent=sent).serve()
        while frame.kind == Kind.REPORT:
            for one in unpack_body(frame.body, Report).missed:
                path = as_text(one.path)
                if path not in offered:
                    raise RemoteProtocolError("the gateway reports on a file that was not offered")
                failed[path] = one.reason
            frame = link.receive()
        check(frame, _UPLOAD)
    except LinkError as exc:
        raise FilesInterrupted(dict.fromkeys(meter.paths.values(), _LOST)) from exc
    return failed


class _Opening:
    """Opens what is offered and nothing else, whatever the gateway asks for."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._roots = Roots(None)
        self.opened: list[bytes] = []  # names, since that was last cleared

    def open(self, base: bytes, path: bytes) -> tuple[int, os.stat_result]:
        if not self._meter.has(base, path):
            raise PathRefused("was not offered")
        fd = self._roots.open(Path(as_text(joined(base, path))))
        self.opened.append(path)
        return fd, os.fstat(fd)


@contextlib.contextmanager
def _ending_when_stopped(link: FullLink) -> Iterator[None]:
    try:
        yield
    except Stopped:
        with contextlib.suppress(LinkError):  # what `on_progress` raised says more
            _end(link)
        raise


def _end(link: FullLink) -> Frame:
    """We want no more: read what was on its way, up to the gateway's last word."""
    link.send(Frame(Kind.END))
    while (frame := link.receive()).kind not in (Kind.END, Kind.ERROR):
        pass
    return frame
