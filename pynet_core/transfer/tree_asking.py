"""Trees at the controller: ask for them, send them, list them, over one to many pairs."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec

from pynet_core.channel import PlainChannel
from pynet_core.errors import (
    FilesCancelled,
    FilesError,
    FilesInterrupted,
    LinkError,
    PoolFull,
    PynetError,
    RemoteProtocolError,
)
from pynet_core.exchange import CLOSE_TIMEOUT_S, check
from pynet_core.transfer.asking import StrPath, query_for
from pynet_core.transfer.carriers import FIRST_PAIRS, Carriers, Pair, PairTuner, run
from pynet_core.transfer.folder import DEFAULT_FOLDER, CannotStore, Folder
from pynet_core.transfer.found import unpack_found
from pynet_core.transfer.ground import Ground
from pynet_core.transfer.incoming import bring
from pynet_core.transfer.intake import Intake
from pynet_core.transfer.limit import Limit
from pynet_core.transfer.messages import Nodes, Tree
from pynet_core.transfer.moving import Movables, safer
from pynet_core.transfer.options import MAX_PAIRS, Found, Moved, OnTreeProgress, Options, TreeProgress
from pynet_core.transfer.plan import as_text
from pynet_core.transfer.tree_removing import ask_leave
from pynet_core.transfer.walk import shown
from pynet_core.wire import Frame, Kind, pack_body

_log = logging.getLogger(__name__)

HONOURED: Final = frozenset(
    {
        "recursive",
        "select",
        "symlinks",
        "preserve",
        "sparse",
        "fsync",
        "checksum",
        "limit_bytes_per_s",
        "compress",
        "delete_source",
    }
)
LIST_NAME: Final = "list_files"
GET_NAME: Final = "get_files"
_LOST: Final = "the connection was lost"


class OpenPair(Protocol):
    """Opens the pair of this number; `ahead` goes out before anything is known of the gateway."""

    def __call__(self, number: int, ahead: Frame | None = None) -> Pair: ...


def tree_of(
    source: StrPath | Sequence[StrPath],
    files: Sequence[StrPath],
    regex: str,
    options: Options,
    *,
    landed: bool = False,
    names_folders: bool = False,
) -> Tree:
    """What these arguments mean.

    Raises:
        ValueError, TypeError: Nothing, or nothing that can be asked for.
    """
    sources = [source] if isinstance(source, (str, os.PathLike)) else source
    query = query_for(regex, [*sources], "", False)  # checks each path
    if not query.files:
        raise ValueError("name a file or a folder")
    if not landed and b"" in query.files:  # an unset variable of a shell must not mean all that is here
        raise ValueError("a path is empty; '.' is the folder itself")
    return Tree(
        sources=query.files,
        files=[path.strip(b"/") for path in query_for("", files, "", False).files] if files else [],
        regex=regex,
        recursive=options.recursive,
        links=options.symlinks == "keep",
        dense=options.compress != "never",
        landed=landed,
        names_folders=names_folders,
    )


def check_pairs(pairs: int | None) -> None:
    """Raises:
    ValueError, TypeError: That is no number of pairs.
    """
    if pairs is not None and not isinstance(pairs, int):
        raise TypeError(f"pairs is a number or None, got {pairs!r}")
    if pairs is not None and not 1 <= pairs <= MAX_PAIRS:
        raise ValueError(f"pairs must be 1 to {MAX_PAIRS}, got {pairs}")


def end_of(link: PlainChannel, name: str) -> None:
    """Nothing more is wanted of this pair: read what was on its way."""
    link.send(Frame(Kind.END))
    while (frame := link.receive()).kind not in (Kind.END, Kind.ERROR):
        pass
    check(frame, name)


def leave(link: PlainChannel) -> None:
    """Nothing more is wanted of this pair, nothing is on its way: its place is free when this returns."""
    link.send(Frame(Kind.CLOSE_HANDLER))
    with contextlib.suppress(LinkError, RemoteProtocolError):  # what it says now is nothing to us
        link.receive(CLOSE_TIMEOUT_S, "the gateway's close")


def listed(link: PlainChannel, tree: Tree, name: str) -> Iterator[Nodes]:
    """What the gateway finds, while it finds it.

    Raises:
        SubroutineError: It refuses.
        LinkError, ProtocolError: The pair has ended.
    """
    link.send(Frame(Kind.TREE, 0, pack_body(tree)))
    while (frame := link.receive()).kind == Kind.FOUND:
        yield unpack_found(frame)
    check(frame, name)


def list_tree(client: Pair, tree: Tree, options: Options) -> Iterator[Found]:
    """Each thing that `get_tree` would move.  One thread's; the pair is closed at the end.

    Raises:
        FilesError: At the end: some could not be looked at.
        SubroutineError, LinkError: As `listed`.
    """
    failed: dict[str, str] = {}
    unselected = ""
    try:
        with client.files_link() as link:
            for nodes in listed(link, tree, LIST_NAME):
                failed |= {as_text(one.path): one.reason for one in nodes.missed if one.wanted}
                for found in map(shown, nodes.nodes):
                    if unselected and found.path.startswith(unselected):
                        continue
                    if options.select is None or options.select(found):
                        yield found
                    elif found.kind == "folder":
                        unselected = found.path + "/"
    finally:
        client.close()
    if failed:
        raise FilesError(failed, what=f"{len(failed)} could not be looked at")


class _Getting:
    """One download: what its pairs do."""

    def __init__(self, intake: Intake, sources: int) -> None:
        self._sources = sources
        intake.stock.expect_lister(comes=True)
        self.intake = intake

    def has_more(self, number: int) -> bool:
        """A list that was cut short is not begun again."""
        stock = self.intake.stock
        return (number != 0 or self.intake.is_listed) and not (stock.is_stopped or stock.is_done())

    def stop(self) -> None:
        """Nothing more is wanted."""
        self.intake.stop()

    def work(self, link: PlainChannel, number: int) -> None:
        """The first pair lists, then brings, as all others do."""
        if number == 0 and not self.intake.is_listed:
            try:
                self._list(link)
                self._bring(link, 0)
            finally:
                self.intake.stock.expect_lister(comes=False)
        else:
            self._bring(link, number)

    def _list(self, link: PlainChannel) -> None:
        stock = self.intake.stock
        try:
            while self._list_round(link):
                if stock.needs_lister():
                    self._bring(link, 0, rests=True)
                if stock.is_stopped:
                    return
                link.send(Frame(Kind.TREE, 0, pack_body(Tree(sources=[], rests=True))))  # go on with it
            self.intake.is_listed = not stock.is_stopped
        finally:
            self.intake.end_of_list()  # or the others would wait for more

    def _list_round(self, link: PlainChannel) -> bool:
        """What the gateway finds now, for it has been asked; True when there is more."""
        while (frame := link.receive()).kind == Kind.FOUND:
            self.intake.found(unpack_found(frame))
            if self.intake.stock.is_stopped:
                return False
        check(frame, GET_NAME)
        return bool(frame.ident)

    def _bring(self, link: PlainChannel, number: int, *, rests: bool = False) -> None:
        if self.intake.stock.is_stopped:
            return
        link.send(Frame(Kind.FETCH))
        if (odd := bring(self.intake, link, number % self._sources, number, rests=rests)) is not None:
            check(odd, GET_NAME)
            raise RemoteProtocolError(f"peer sent {Kind(odd.kind).name}, which answers nothing")
        if self.intake.stock.is_stopped:
            return
        if rests:
            end_of(link, GET_NAME)
        else:
            leave(link)


def get_tree(
    open_pair: OpenPair,
    tree: Tree,
    into: StrPath,
    *,
    pairs: int | None,
    options: Options,
    on_progress: OnTreeProgress | None,
    cancel: threading.Event | None,
    sources: int = 1,
) -> Moved:
    """As `Controller.get_files`; pair n goes to gateway n % sources."""
    limit = Limit(options.limit_bytes_per_s)
    movables = Movables()
    if options.delete_source:
        options = safer(options)
        ask_leave(open_pair(0))
    carriers = Carriers(open_pair)
    ask = Frame(Kind.TREE, 0, pack_body(msgspec.structs.replace(tree, rests=True)))
    client = _opened(open_pair, ask, carriers, (pairs or FIRST_PAIRS) - 1)
    key = b"get\0" + hashlib.sha256(pack_body([tree.sources, tree.files, tree.regex])).digest()
    try:
        ground = Ground(Folder(into or DEFAULT_FOLDER), key, preserve=options.preserve, fsync=options.fsync)
    except BaseException as exc:
        carriers.abort()
        client.close()
        if isinstance(exc, CannotStore):
            raise FilesError(dict.fromkeys(map(as_text, tree.sources), str(exc))) from exc
        raise
    intake = Intake(
        ground,
        checksum=options.checksum,
        links=tree.links,
        select=options.select,
        limit=limit,
        compress=options.compress,
        sparse=options.sparse,
        moves=options.delete_source,
        arrived=movables.add if options.delete_source else None,
    )
    began_s = time.monotonic()
    is_cancelled = False

    def tick() -> None:
        nonlocal is_cancelled
        if cancel is not None and cancel.is_set() and not is_cancelled:
            is_cancelled = True
            carriers.abort()
        if on_progress is not None:
            on_progress(_progress(intake, began_s))

    try:
        carriers.begin(_Getting(intake, sources), client)
        run(carriers, PairTuner() if pairs is None else None, intake.amounts, tick)
        moved = _ended(carriers, intake, is_cancelled=is_cancelled)
    finally:
        carriers.abort()
        carriers.join()
        intake.close()
    if on_progress is not None:
        on_progress(_progress(intake, began_s, is_over=True))
    if "" not in moved.failed:  # else what has come may not outlast a power cut
        movables.remove_there(lambda: open_pair(0), moved)
    if moved.failed_count:
        raise failed(moved)
    return moved


def _opened(open_pair: OpenPair, ask: Frame, carriers: Carriers, others: int) -> Pair:
    """The first pair, with this asked; the others are opened beside it, to be there when files are found."""
    for _ in range(others):
        carriers.add()
    try:
        return open_pair(0, ask)
    except PoolFull:
        if not others:
            raise
        carriers.dismiss()  # they may have taken the last place
        return open_pair(0, ask)
    except BaseException:
        carriers.abort()
        raise


def _ended(carriers: Carriers, intake: Intake, *, is_cancelled: bool) -> Moved:
    moved = intake.result()
    lost = [problem for problem in carriers.problems if isinstance(problem, LinkError)]
    is_done = intake.is_listed and intake.stock.is_done()
    if is_done:
        try:
            intake.finish()
        except CannotStore as exc:
            moved.failed[""] = str(exc)
            moved.failed_count += 1
    elif is_cancelled:
        raise cancelled(moved)
    for problem in carriers.problems:
        if problem in lost:
            continue
        if not (is_done and isinstance(problem, PynetError)):
            raise problem
        _log.warning("a pair has failed, the others have brought all: %s", problem)
    if not is_done:
        raise interrupted(moved) from (lost[0] if lost else None)
    _log.info(
        "%d files downloaded over %d pairs: %d B in %.2f s; %d failed, %d were there",
        moved.files,
        len(moved.pair_bytes),
        moved.bytes,
        moved.seconds,
        moved.failed_count,
        moved.same,
    )
    return moved


def failed(moved: Moved) -> FilesError:
    """Some have not arrived."""
    whole = moved.failed_count + moved.files + moved.same
    error = FilesError(moved.failed, what=f"{moved.failed_count} of {whole} files did not arrive")
    error.moved = moved
    return error


def interrupted(moved: Moved) -> FilesInterrupted:
    """Some may not have arrived, and which is not known."""
    error = FilesInterrupted(moved.failed, what=f"{_LOST} after {moved.files} files, {moved.bytes} B")
    error.moved = moved
    return error


def cancelled(moved: Moved) -> FilesCancelled:
    """Its caller wants no more."""
    error = FilesCancelled(moved.failed, what=f"cancelled after {moved.files} files, {moved.bytes} B")
    error.moved = moved
    return error


def _progress(intake: Intake, began_s: float, *, is_over: bool = False) -> TreeProgress:
    moved = intake.moved
    return TreeProgress(
        "" if is_over else as_text(intake.now_path),
        moved.files + moved.same + moved.failed_count,
        intake.found_files,
        intake.done_bytes,
        intake.found_bytes,
        intake.is_listed,
        time.monotonic() - began_s,
        tuple(intake.pair_bytes),
    )
