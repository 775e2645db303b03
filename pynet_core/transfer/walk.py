"""What is in a tree: folders before what is in them, while it is being found."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Final

from pynet_core.transfer.jail import DIRECTORY, OPEN_FLAGS, PART_SUFFIX, PathRefused, Roots
from pynet_core.transfer.messages import FILE, FOLDER, LINK, MAX_PATH_BYTES, Missed, Node, Tree
from pynet_core.transfer.options import FileKind, Found, Select
from pynet_core.transfer.pattern import Pattern
from pynet_core.transfer.plan import as_text, joined
from pynet_core.transfer.shelf import Shelf

SORTED_AT_A_TIME: Final = 10_000  # names of one folder: a million of them must not be in memory
_NAMES: Final = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()  # os.fsencode is slower
_FAR_NS: Final = 2**63
_KINDS: Final[tuple[FileKind, ...]] = ("file", "folder", "link")


def shown(node: Node) -> Found:
    """A node as callers see it."""
    return Found(
        as_text(node.path),
        _KINDS[node.kind],
        node.size if node.kind == FILE else 0,
        node.mtime_ns,
        node.mode & 0o777,
        as_text(node.target),
    )


def split_source(source: bytes, roots: Roots) -> tuple[bytes, bytes]:
    """The base that a source's paths are relative to, and where below it the tree begins: `b''` at the base.

    Raises:
        PathRefused: It has `..` or NUL in it.
    """
    full = roots.full_path(source)
    if source.endswith(b"/") or full.name == "":
        return os.fsencode(full), b""
    return os.fsencode(full.parent), os.fsencode(full.name)


class Walk:
    """Finds what a Tree means.  One thread's."""

    def __init__(self, tree: Tree, roots: Roots, select: Select | None = None) -> None:
        """Raises:
        BadPattern: The regex is none, or costs too much.
        """
        self._tree = tree
        self._roots = roots
        self._select = select
        self._pattern = Pattern(tree.regex) if tree.regex else None

    def run(self) -> Generator[tuple[bytes, Node | Missed], None, None]:
        """Each thing, with its base; and what cannot be had, by its full path, with the reason.

        Of two files that would land under one name, from two sources, the second cannot.

        Raises:
            BadPattern: The regex takes too long.
        """
        with contextlib.closing(self._all()) as found:
            if not self._may_clash():
                yield from found
                return
            bases: dict[bytes, bytes] = {}
            for base, one in found:
                if isinstance(one, Node) and one.kind != FOLDER:
                    first = bases.setdefault(one.path, base)
                    if first != base:
                        why = f"lands under the same name as {as_text(joined(first, one.path))}"
                        yield base, Missed(path=joined(base, one.path), reason=why)
                        continue
                yield base, one

    def _may_clash(self) -> bool:
        """Two sources may have files of one path; else nobody need remember them all."""
        tops = set()
        for source in self._tree.sources:
            with contextlib.suppress(PathRefused):
                tops.add(split_source(source, self._roots))
        starts = [start for _, start in tops]
        return len({base for base, _ in tops}) > 1 and (b"" in starts or len(set(starts)) < len(starts))

    def _all(self) -> Generator[tuple[bytes, Node | Missed], None, None]:
        with Shelf(self._roots) as shelf:
            for source in self._tree.sources:
                try:
                    base, start = split_source(source, self._roots)
                    # A source may itself be reached through links: it is the caller's choice.
                    if start and stat.S_ISLNK(self._roots.lstat(self._roots.full_path(source)).st_mode):
                        yield from self._link_source(base, start, shelf)
                        continue
                    if not self._tree.files:
                        yield from self._from(base, start, shelf)
                    for path in self._tree.files:
                        yield from self._from(base, b"/".join(filter(None, (start, path))), shelf)
                except (OSError, PathRefused) as exc:
                    yield b"", _missed(source, exc)

    def _link_source(self, base: bytes, name: bytes, shelf: Shelf) -> Iterator[tuple[bytes, Node | Missed]]:
        """A source that is a link: itself, if links are wanted."""
        if self._tree.links:
            yield from self._from(base, name, shelf)
        else:
            yield base, Missed(path=joined(base, name), reason="is a link: name what it leads to")

    def _from(self, base: bytes, path: bytes, shelf: Shelf) -> Iterator[tuple[bytes, Node | Missed]]:
        """What somebody has named: that it is no file is no reason to be silent."""
        try:
            found = shelf.look(base, path) if path else os.fstat(shelf.folder(base, b""))
            if stat.S_ISDIR(found.st_mode):
                yield from self._folder(base, path, found, shelf)
            elif isinstance(one := self._judge(base, path, found, shelf), Missed):
                yield base, Missed(path=one.path, reason=one.reason)
            elif one is not None:
                yield base, one
        except (OSError, PathRefused) as exc:
            yield base, _missed(joined(base, path), exc)

    def _folder(
        self, base: bytes, top: bytes, found: os.stat_result, shelf: Shelf
    ) -> Iterator[tuple[bytes, Node | Missed]]:
        todo = [top]
        while todo:
            path = todo.pop()
            inner: list[bytes] = []
            try:
                here = shelf.folder(base, path)
                if path and self._pattern is None:
                    one = node(path, FOLDER, os.fstat(here))
                    if not self._is_wanted(one):
                        continue
                    yield base, one
                # Its own descriptor: the shelf may close its while the list is being read.
                mine = os.open(".", os.O_RDONLY | DIRECTORY | OPEN_FLAGS, dir_fd=here)
                try:
                    with os.scandir(mine) as entries:
                        yield from self._entries(base, path, entries, inner, shelf)
                finally:
                    os.close(mine)
            except (OSError, PathRefused) as exc:
                if not isinstance(exc, FileNotFoundError) or path == top:
                    yield base, _missed(joined(base, path), exc)
            todo += reversed(inner)

    def _entries(
        self,
        base: bytes,
        folder: bytes,
        entries: Iterator[os.DirEntry[str]],
        inner: list[bytes],
        shelf: Shelf,
    ) -> Iterator[tuple[bytes, Node | Missed]]:
        prefix = folder + b"/" if folder else b""
        everything = self._pattern is None and self._select is None
        while some := list(islice(entries, SORTED_AT_A_TIME)):
            some.sort(key=_name)
            for entry in some:
                path = prefix + entry.name.encode(*_NAMES)
                if entry.name.endswith(PART_SUFFIX) and not self._tree.names_folders:
                    yield base, Missed(path=joined(base, path), reason="is unfinished", wanted=False)
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except OSError as exc:
                    # What has gone since the folder was read was not there to be wanted.
                    if not isinstance(exc, FileNotFoundError):
                        yield base, _missed(joined(base, path), exc)
                    continue
                try:
                    if everything and stat.S_ISREG(found.st_mode):
                        yield base, node(path, FILE, found)
                    elif stat.S_ISDIR(found.st_mode):
                        if not self._tree.recursive and self._tree.names_folders:
                            yield base, node(path, FOLDER, found)
                        elif not self._tree.recursive:
                            yield base, Missed(path=joined(base, path), reason="is a folder", wanted=False)
                        elif len(path) > MAX_PATH_BYTES - 256:
                            yield base, Missed(path=path[:MAX_PATH_BYTES], reason="has too long a path")
                        else:
                            inner.append(path)
                    elif (one := self._judge(base, path, found, shelf)) is not None:
                        yield base, one
                except PathRefused as exc:
                    yield base, _missed(joined(base, path), exc)

    def _judge(self, base: bytes, path: bytes, found: os.stat_result, shelf: Shelf) -> Node | Missed | None:
        """What is no folder; None when it is not wanted."""
        if stat.S_ISREG(found.st_mode):
            if self._pattern is not None and not self._pattern.matches(as_text(joined(base, path))):
                return None
            one = node(path, FILE, found)
            return one if self._is_wanted(one) else None
        if self._tree.links and stat.S_ISLNK(found.st_mode):
            try:
                folder, name = shelf.place(base, path)
                target = os.readlink(name, dir_fd=folder)
            except (OSError, PathRefused) as exc:
                return _missed(joined(base, path), exc)
            one = node(path, LINK, found, target)
            return one if self._is_wanted(one) else None
        what = "link" if stat.S_ISLNK(found.st_mode) else "device, pipe or socket"
        return Missed(path=joined(base, path), reason=f"is a {what}", wanted=False)

    def _is_wanted(self, one: Node) -> bool:
        return self._select is None or self._select(shown(one))


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def node(path: bytes, kind: int, found: os.stat_result, target: bytes = b"") -> Node:
    """Raises:
    PathRefused: Its time is more than 292 years from 1970, which cannot travel.
    """
    if not -_FAR_NS < found.st_mtime_ns < _FAR_NS:
        raise PathRefused("has a time more than 292 years from 1970")
    return Node(
        path,
        kind,
        found.st_size,
        found.st_mtime_ns,
        found.st_ctime_ns,
        found.st_ino,
        found.st_mode & 0o7777,
        target,
    )


def _missed(path: bytes, why: Exception) -> Missed:
    reason = (why.strerror if isinstance(why, OSError) else None) or str(why)
    return Missed(path=path, reason=reason)
