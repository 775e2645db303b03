"""Trees that a controller sends: one pair lists them, and all bring what the gateway pulls."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Sequence
from typing import Final

from pynet_core.channel import PlainChannel
from pynet_core.errors import LinkError, RemoteProtocolError, SubroutineError
from pynet_core.exchange import check
from pynet_core.transfer.asking import StrPath
from pynet_core.transfer.carriers import FIRST_PAIRS, Carriers, Pair, PairTuner, run
from pynet_core.transfer.found import send_round
from pynet_core.transfer.ground import staging_name
from pynet_core.transfer.intake import within_itself
from pynet_core.transfer.jail import PathRefused, Roots
from pynet_core.transfer.limit import Limit
from pynet_core.transfer.messages import FILE, FOLDER, LINK, Join, Missed, Node, Report, Store, Tree
from pynet_core.transfer.moving import Movables, safer
from pynet_core.transfer.options import Moved, OnTreeProgress, Options, Select, TreeProgress, miss
from pynet_core.transfer.plan import as_text
from pynet_core.transfer.sender import Sender
from pynet_core.transfer.shelf import Shelf
from pynet_core.transfer.tree_asking import cancelled, failed, interrupted
from pynet_core.transfer.walk import Walk, node, shown, split_source
from pynet_core.wire import Frame, Kind, pack_body, unpack_body

PUT_NAME: Final = "put_files"


class _Admission:
    """Only what the caller has named and selected may leave this machine, whatever the gateway asks for."""

    def __init__(self, tops: list[tuple[bytes, bytes]], select: Select | None) -> None:
        self._tops = tops
        self._select = select
        self._folders: dict[tuple[bytes, bytes], bool] = {}

    def __call__(self, shelf: Shelf, base: bytes, path: bytes, found: os.stat_result) -> None:
        """Raises:
        PathRefused: It is not that.
        """
        for top_base, top in self._tops:
            if base == top_base and (not top or path == top or path.startswith(top + b"/")):
                break
        else:
            raise PathRefused("was not offered")
        if self._select is not None:
            parent = path.rpartition(b"/")[0]
            if not (self._has_selected(shelf, base, parent) and self._select(shown(node(path, FILE, found)))):
                raise PathRefused("was not offered")

    def _has_selected(self, shelf: Shelf, base: bytes, folder: bytes) -> bool:
        asked: list[bytes] = []  # the innermost first
        while folder and (base, folder) not in self._folders:
            asked.append(folder)
            folder = folder.rpartition(b"/")[0]
        yes = not folder or self._folders[base, folder]
        while asked:
            folder = asked.pop()
            assert self._select is not None
            yes = yes and self._select(shown(node(folder, FOLDER, os.fstat(shelf.folder(base, folder)))))
            self._folders[base, folder] = yes
        return yes


class Putting:
    """One upload: what its pairs do, and how far it is."""

    def __init__(self, tree: Tree, dirname: StrPath, options: Options) -> None:
        self._tree = tree
        self._options = options
        self._roots = Roots(None)
        sources = hashlib.sha256(pack_body([socket.gethostname(), tree.sources, os.fspath(dirname)]))
        self._store = Store(
            transfer=os.urandom(16),
            key=sources.digest()[:16],
            folder=os.fspath(dirname).replace(os.sep, "/"),
            preserve=options.preserve,
            fsync=options.fsync,
            checksum=options.checksum,
            sparse=options.sparse,
            compress=options.compress,
            moves=options.delete_source,
        )
        self._staging = b"/" + staging_name(b"put\0" + self._store.key).encode()
        self.movables = Movables()
        self.limit = Limit(options.limit_bytes_per_s)
        self._tops = [split_source(source, self._roots) for source in tree.sources]
        self._lock = threading.Lock()
        self.moved = Moved()
        self._finding = self._found()
        self.is_listed = self.has_ended = False
        self.is_over = False  # well or not, the first pair has come back
        self.found_files = self.found_bytes = 0
        self.sent_files = 0
        self.pair_bytes: list[int] = []
        self._carriers: dict[
            int, int
        ] = {}  # their numbers as pairs: each has one, though it is lost and back
        self.now_path = b""

    def close(self) -> None:
        """All pairs have come back."""
        self._finding.close()

    def has_more(self, number: int) -> bool:
        """With the first pair the transfer itself is lost."""
        return number != 0 and not self.has_ended

    def stop(self) -> None:
        """Nothing more is to go out."""
        self.limit.stop()

    def work(self, link: PlainChannel, number: int) -> None:
        """The first pair lists, then brings what is pulled, as all others do."""
        try:
            self._work(link, number)
        finally:
            if number == 0:
                self.is_over = True

    def _work(self, link: PlainChannel, number: int) -> None:
        with self._lock:
            pair = self._carriers.setdefault(number, len(self.pair_bytes))
            if pair == len(self.pair_bytes):
                self.pair_bytes.append(0)
        if number == 0:
            link.send(Frame(Kind.STORE, 0, pack_body(self._store)))
            self._list_on(link, Kind.END)
        else:
            link.send(Frame(Kind.JOIN, 0, pack_body(Join(transfer=self._store.transfer))))

        def sent(path: bytes, size: int, files: int) -> None:
            self.pair_bytes[pair] += size
            with self._lock:
                self.sent_files += files
            self.now_path = path

        with Shelf(self._roots, _Admission(self._tops, self._options.select)) as shelf:
            while True:
                frame = Sender(link, shelf, pace=self.limit.pace, on_sent=sent).serve()
                if frame.kind != Kind.MORE:
                    break
                self._list_on(link, Kind.MORE)
        while frame.kind == Kind.REPORT:
            self._hear(unpack_body(frame.body, Report))
            frame = link.receive()
        if number == 0 or not self.has_ended:
            check(frame, PUT_NAME)
        if number == 0:
            self.has_ended = True

    def _list_on(self, link: PlainChannel, end: Kind) -> None:
        """Some of the tree; where there is more, the gateway asks for it when it has room."""
        more = send_round(link, self._finding, dense=self._options.compress != "never")
        self.is_listed = not more
        link.send(Frame(end, int(more)))

    def _found(self) -> Generator[tuple[bytes, Node | Missed], None, None]:
        with contextlib.closing(Walk(self._tree, self._roots, self._options.select).run()) as walk:
            for base, one in walk:
                if isinstance(one, Missed):
                    if one.path.endswith(self._staging) and one.path != base.rstrip(b"/") + self._staging:
                        raise within_itself(one.path.removesuffix(self._staging))
                    with self._lock:
                        miss(self.moved, as_text(one.path), one.reason, wanted=one.wanted)
                    continue
                if one.kind == FILE:
                    self.found_files += 1
                    self.found_bytes += one.size
                if self._options.delete_source:
                    self.movables.add(base, one)
                self.moved.folders += one.kind == FOLDER
                self.moved.links += one.kind == LINK
                yield base, one

    def _hear(self, report: Report) -> None:
        for one in report.missed:
            self.moved.failed[as_text(one.path)] = one.reason
        self.moved.failed_count += report.failed
        self.moved.files += report.files
        self.moved.bytes += report.bytes
        self.moved.same += report.same

    def amounts(self) -> tuple[int, int | None]:
        """Bytes that were sent, and how many are left at most, None while that is not known."""
        done = sum(self.pair_bytes)
        return done, self.found_bytes - done if self.is_listed else None

    def progress(self, began_s: float, *, is_over: bool = False) -> TreeProgress:
        """How far it is; before the end, what the gateway had already is not known."""
        done = self.moved.files + self.moved.same + self.moved.failed_count if is_over else self.sent_files
        return TreeProgress(
            "" if is_over else as_text(self.now_path),
            done,
            self.found_files,
            self.found_bytes if is_over else sum(self.pair_bytes),
            self.found_bytes,
            self.is_listed,
            time.monotonic() - began_s,
            tuple(self.pair_bytes),
        )


def put_tree(
    open_pair: Callable[[int], Pair],
    tree: Tree,
    dirname: StrPath,
    *,
    pairs: int | None,
    options: Options,
    on_progress: OnTreeProgress | None,
    cancel: threading.Event | None,
) -> Moved:
    """As `Controller.put_files`."""
    putting = Putting(tree, dirname, safer(options) if options.delete_source else options)
    client = open_pair(0)
    carriers = Carriers(open_pair)
    began_s = time.monotonic()
    is_cancelled = False

    def tick() -> None:
        nonlocal is_cancelled
        if putting.is_over:
            carriers.abort()  # pairs that came too late, or wait to join what is lost
        if cancel is not None and cancel.is_set() and not is_cancelled:
            is_cancelled = True
            carriers.abort()
        if on_progress is not None:
            on_progress(putting.progress(began_s))

    try:
        carriers.begin(putting, client)
        for _ in range((pairs or FIRST_PAIRS) - 1):
            carriers.add()
        run(carriers, PairTuner() if pairs is None else None, putting.amounts, tick)
    finally:
        putting.close()
    moved = putting.moved
    moved.seconds = time.monotonic() - began_s
    moved.pair_bytes = tuple(putting.pair_bytes)
    if not putting.has_ended:
        if is_cancelled:
            raise cancelled(moved)
        why = reason_of(carriers.problems)
        if why is not None and not isinstance(why, LinkError):
            raise why
        raise interrupted(moved) from why
    told = moved.files + moved.same + moved.failed_count
    if told < putting.found_files:
        raise RemoteProtocolError(f"the gateway was offered {putting.found_files} files and tells of {told}")
    if on_progress is not None:
        on_progress(putting.progress(began_s, is_over=True))
    putting.movables.remove_here(moved)
    if moved.failed_count:
        raise failed(moved)
    return moved


def reason_of(problems: Sequence[BaseException]) -> BaseException | None:
    """Of what pairs have ended with, what ended the transfer: not that others then found nothing to join."""
    whys = [
        one for one in problems if not (isinstance(one, SubroutineError) and one.error == "UnknownTransfer")
    ]
    return next((one for one in whys if not isinstance(one, LinkError)), whys[0] if whys else None)
