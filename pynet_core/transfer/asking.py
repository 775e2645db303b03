"""Files at the controller: ask for them, send them.  In the thread that calls the client."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pynet_core.errors import FilesError, FilesInterrupted, LinkError, RemoteProtocolError, SubroutineError
from pynet_core.transfer.digest import agree
from pynet_core.transfer.folder import DEFAULT_FOLDER, CannotStore, Folder
from pynet_core.transfer.frames import Link, receive_offers, send_offers
from pynet_core.transfer.jail import PathRefused, Roots
from pynet_core.transfer.listing import look_at
from pynet_core.transfer.messages import MAX_PATH_BYTES, Missed, Offered, Placement, Query, Report
from pynet_core.transfer.plan import Planned, Progress, as_text, plan
from pynet_core.transfer.receiver import Receiver
from pynet_core.transfer.sender import Sender
from pynet_core.wire import Failure, Frame, Kind, pack_body, unpack_body

_log = logging.getLogger(__name__)

_DOWNLOAD: Final = "get_files_from_gateway"  # as a SubroutineError names it
_UPLOAD: Final = "send_files_to_gateway"
_LOST: Final = "the connection was lost"

StrPath = str | os.PathLike[str]
OnProgress = Callable[[Progress], object]


class Files(list[str]):
    """Local paths of what has arrived; `skipped` maps what was met and is no regular file to the reason."""

    skipped: dict[str, str]


class Stopped(Exception):
    """`on_progress` has raised `cause`.  The transfer has been ended and the pair is free."""

    def __init__(self, cause: Exception) -> None:
        super().__init__()
        self.cause = cause


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


def download(link: Link, query: Query, download_dir: StrPath, on_progress: OnProgress | None) -> Files:
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
    offers, end = receive_offers(link)
    _check(end, _DOWNLOAD)
    planned, refused = plan(one for offer in offers for one in offer.files)
    missed = [one for offer in offers for one in offer.missed]
    files = Files()
    files.skipped = {as_text(one.path): one.reason for one in missed if not one.wanted}
    failed = {as_text(one.path): one.reason for one in [*missed, *refused] if one.wanted}
    size = 0
    if planned:
        digest = agree(name for offer in offers for name in offer.digests)
        if digest is None:
            raise RemoteProtocolError("the gateway offers files without a digest that we know")
        try:
            folder = Folder(download_dir or DEFAULT_FOLDER)
        except CannotStore as exc:
            raise FilesError({as_text(one.path): str(exc) for one in planned} | failed) from exc
        with contextlib.closing(folder):
            receiver = _fetch(link, planned, folder, digest, on_progress)
        files += _local(receiver, planned, folder)
        failed |= {as_text(planned[file].path): reason for file, reason in receiver.failed.items()}
        size = sum(planned[file].version.size for file in receiver.arrived)
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


def _fetch(
    link: Link, planned: list[Planned], folder: Folder, digest: str, on_progress: OnProgress | None
) -> Receiver:
    def step(one: Planned, come: int) -> None:
        meter.step(as_text(one.path), come, len(receiver.arrived) + len(receiver.failed))

    meter = _Meter(planned, on_progress)
    receiver = Receiver(planned, folder, digest, keep_parts=True, on_step=step)
    try:
        link.send(Frame(Kind.FETCH))
        with _ending_when_stopped(link):
            odd = receiver.run(link)
        if odd is not None:
            _check(odd, _DOWNLOAD)
        _check(_end(link), _DOWNLOAD)
        receiver.settle()
    except LinkError as exc:
        receiver.settle()
        lost = set(range(len(planned))) - set(receiver.arrived) - set(receiver.failed)
        if lost:  # else it was lost when all had been said
            missing = dict.fromkeys(lost, _LOST) | receiver.failed
            raise FilesInterrupted(
                {as_text(planned[file].path): missing[file] for file in sorted(missing)},
                _local(receiver, planned, folder),
            ) from exc
    return receiver


def _local(receiver: Receiver, planned: list[Planned], folder: Folder) -> list[str]:
    return [str(folder.path / planned[file].name) for file in receiver.arrived]


def upload(link: Link, paths: Sequence[StrPath], dirname: StrPath, on_progress: OnProgress | None) -> None:
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
    everywhere = Roots(None)
    found = [look_at(path, everywhere) for path in dict.fromkeys(_paths(paths))]
    planned, missed = plan(one for one in found if isinstance(one, Offered))
    missed += [one for one in found if isinstance(one, Missed)]
    failed = {as_text(one.path): one.reason for one in missed if one.wanted}
    skipped = [as_text(one.path) for one in missed if not one.wanted]
    began_s = time.monotonic()
    if planned:
        by_name = {os.fsencode(one.name): one for one in planned}
        folder = os.fspath(dirname).replace(os.sep, "/")
        failed |= _offer(link, by_name, Placement(folder=folder), on_progress)
    arrived = [path for one in planned if (path := as_text(one.path)) not in failed]
    _log.info(
        "%d files uploaded: %d B in %.2f s; %d failed, skipped: %r",
        len(arrived),
        sum(one.version.size for one in planned),
        time.monotonic() - began_s,
        len(failed),
        skipped,
    )
    if failed:
        raise FilesError(failed, arrived)


def _offer(
    link: Link, by_name: dict[bytes, Planned], placement: Placement, on_progress: OnProgress | None
) -> dict[str, str]:
    """Send these files under their names; returns which have not arrived, and why."""
    meter = _Meter(list(by_name.values()), on_progress)
    left = {name: one.version.size for name, one in by_name.items()}
    done: set[bytes] = set()

    def open_file(name: bytes) -> int:
        if name not in by_name:
            raise PathRefused("was not offered")
        return Roots(None).open(Path(as_text(by_name[name].path)))

    def step(name: bytes, sent: int) -> None:
        left[name] -= sent
        if left[name] <= 0:
            done.add(name)
        meter.step(as_text(by_name[name].path), sent, len(done))

    failed: dict[str, str] = {}
    try:
        link.send(Frame(Kind.UPLOAD, 0, pack_body(placement)))
        send_offers(
            link, (Offered(path=name, name=name, version=one.version) for name, one in by_name.items())
        )
        link.send(Frame(Kind.END))
        with _ending_when_stopped(link):
            frame = Sender(link, open_file, step).serve()
        while frame.kind == Kind.REPORT:
            for one in unpack_body(frame.body, Report).missed:
                if one.path not in by_name:
                    raise RemoteProtocolError("the gateway reports on a file that was not offered")
                failed[as_text(by_name[one.path].path)] = one.reason
            frame = link.receive()
        _check(frame, _UPLOAD)
    except LinkError as exc:
        raise FilesInterrupted({as_text(one.path): _LOST for one in by_name.values()}) from exc
    return failed


class _Meter:
    """Counts, and tells whoever wants to know."""

    def __init__(self, planned: list[Planned], on_progress: OnProgress | None) -> None:
        self._files = len(planned)
        self._bytes = sum(one.version.size for one in planned)
        self._bytes_done = 0
        self._on_progress = on_progress

    def step(self, path: str, come: int, files_done: int) -> None:
        self._bytes_done += come
        if self._on_progress is None:
            return
        try:
            self._on_progress(Progress(path, files_done, self._files, self._bytes_done, self._bytes))
        except Exception as exc:  # not our code
            raise Stopped(exc) from exc


@contextlib.contextmanager
def _ending_when_stopped(link: Link) -> Iterator[None]:
    try:
        yield
    except Stopped:
        with contextlib.suppress(LinkError):  # what `on_progress` raised says more
            _end(link)
        raise


def _end(link: Link) -> Frame:
    """We want no more: read what was on its way, up to the gateway's last word."""
    link.send(Frame(Kind.END))
    while (frame := link.receive()).kind not in (Kind.END, Kind.ERROR):
        pass
    return frame


def _check(frame: Frame, name: str) -> None:
    if frame.kind == Kind.ERROR:
        failure = unpack_body(frame.body, Failure)
        raise SubroutineError(name, failure.error, failure.reason, frame.ident)
