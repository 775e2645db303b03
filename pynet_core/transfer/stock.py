"""Share a tree's files among pairs while it is still being listed.  Pure: no sockets, no files."""

from __future__ import annotations

import bisect
import heapq
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from pynet_core.transfer.messages import MAX_PACK_BYTES, MAX_PACK_FILES, Node
from pynet_core.transfer.units import Large, Pack, Range, Unit, cut

SMALL_BYTES: Final = 256 * 1024  # up to here a file travels whole, in a pack
PACK_PATH_BYTES: Final = 6 * 1024  # three requests of this fit the kernel's smallest buffers
HIGH_WATER: Final = 8192  # files that wait; then the list waits, and the memory does not grow
MIN_RANGE_BYTES: Final = 1024 * 1024
LAST_PACK_BYTES: Final = 64 * 1024  # at least, when little is left


class Stock:
    """What waits, and what is out with which pair.  Any number of threads.

    Small files go to one pair at a time while there are large ones for the
    others: more writers of small files are no faster.  Large ones go out
    biggest first, so that no pair is left with a big one in the end.

    Pairs may have several sources, numbered from 0, the one that has listed.
    All of a file comes from one of them; what another cannot give, 0 is asked
    for once more, and when a source has no pairs left, what it had begun
    begins again elsewhere.
    """

    def __init__(self, high_water: int = HIGH_WATER) -> None:
        self._changed = threading.Condition()
        self._high_water = high_water
        self._packs: deque[Pack] = deque()
        self._open: Pack | None = None  # being filled
        self._open_bytes = self._open_path_bytes = 0
        self._late: list[Pack] = []  # for when all else is over
        self._ending = 0  # large files that have failed, and whose parts are still there
        self._large: list[tuple[int, int, Large]] = []  # a heap: -size, serial
        self._serial = 0
        self._out: dict[object, list[Unit]] = {}
        self._sources: dict[object, int] = {}  # of each pair
        self._waiting = 0  # files
        self._lister_comes = False
        self._is_listed = False
        self._is_stopped = False

    def add_small(self, base: bytes, nodes: Iterable[Node]) -> None:
        """Files for the packs; waits while too many are waiting and a pair is there to take them."""
        with self._changed:
            for node in nodes:
                if self._waiting >= self._high_water:
                    self._wait_for_room()
                pack, path_bytes = self._open, len(node.path) + 40
                if pack is not None and (
                    len(pack.nodes) == MAX_PACK_FILES
                    or self._open_bytes + node.size > MAX_PACK_BYTES
                    or self._open_path_bytes + path_bytes > PACK_PATH_BYTES
                    or pack.base != base
                ):
                    self._close_pack()
                    pack = None
                if pack is None:
                    self._open = pack = Pack(base, [])
                    self._changed.notify()  # whoever is idle takes it half full
                pack.nodes.append(node)
                self._open_bytes += node.size
                self._open_path_bytes += path_bytes
                self._waiting += 1

    def add_large(self, large: Large) -> None:
        """A file for the ranges; waits as `add_small`."""
        with self._changed:
            self._wait_for_room()
            self._push(large)
            self._changed.notify()

    def end_of_list(self) -> None:
        """No more files come."""
        with self._changed:
            self._is_listed = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing more goes out; who waits is let go."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()

    def close(self, end: Callable[[Large], object]) -> None:
        """All pairs have come back: `end` is called with each large file that is not over."""
        with self._changed:
            for _, _, large in self._large:
                if not large.is_over:
                    end(large)
            self._large.clear()

    @property
    def is_stopped(self) -> bool:
        return self._is_stopped

    def is_done(self) -> bool:
        """All that was listed has been brought or dropped."""
        with self._changed:
            return self._is_listed and not self._has_work() and not any(self._out.values())

    def enter(self, pair: object, source: int = 0) -> None:
        """This pair will take units."""
        with self._changed:
            self._out[pair] = []
            self._sources[pair] = source

    @property
    def pairs(self) -> int:
        """How many take units."""
        return len(self._out)

    def needs_lister(self) -> bool:
        """Nobody else brings, and much waits: who lists should bring, and list on then."""
        with self._changed:
            return not self._out and self._waiting >= self._high_water // 2

    def take(
        self,
        pair: object,
        *,
        wait: bool,
        range_bytes: int = MIN_RANGE_BYTES,
        pack_bytes: int = MAX_PACK_BYTES,
        rests: bool = False,
    ) -> Unit | None:
        """A unit for this pair, of about so many bytes; None when there is none.

        With `wait`, None means that all is over: until then another pair may
        die and give back what it holds, or the list go on.  But if the list
        `rests`, for this pair is to go on with it, that all that waits is taken.
        """
        with self._changed:
            while not self._is_stopped:
                unit = self._next(pair, wait or self._is_listed, range_bytes, pack_bytes)
                if unit is not None:
                    self._out[pair].append(unit)
                    return unit
                if not wait or rests:
                    return None
                if self._is_listed and not any(self._out.values()) and not self._has_work():
                    self._changed.notify_all()
                    return None
                self._changed.wait()
            return None

    def done(self, pair: object, unit: Unit) -> bool:
        """The pair is through with it; True when it was the last of a large file.

        If that has failed, `ended` is to be called when its part has been seen to.
        """
        with self._changed:
            self._out[pair].remove(unit)
            is_last = False
            if isinstance(unit, Range):
                large = unit.large
                large.out -= 1
                if not (large.is_over or large.out or large.gaps or large.claimed):
                    large.is_over = large.is_whole = True
                is_last = large.is_over and not large.out and not self._begin_again(large)
                self._ending += is_last and not large.is_whole
            if self._is_listed:
                self._changed.notify_all()
            return is_last

    def ended(self) -> None:
        """The part of a large file that has failed takes no more room than it is to."""
        with self._changed:
            self._ending -= 1
            self._changed.notify_all()

    def drop(self, large: Large, *, keep: bool) -> bool:
        """This file has failed: no more of it goes out.  False when that was known."""
        with self._changed:
            was_over, large.is_over, large.keep = large.is_over, True, large.keep and keep
            self._changed.notify_all()
            return not was_over

    def expect_lister(self, *, comes: bool) -> None:
        """The pair that lists will bring as well, from source 0; or it will not, or has come and gone."""
        with self._changed:
            self._lister_comes = comes
            if self._sources and self._living(0) is None:
                self._release(0)
            self._changed.notify_all()

    def again(self, pair: object, unit: Unit, nodes: list[Node]) -> bool:
        """The pair's source cannot give this large file, or these of a pack: 0 may.

        False when nobody else is to be asked.  Before `done`.
        """
        with self._changed:
            other = unit if isinstance(unit, Pack) else unit.large
            if not self._sources[pair] or other.is_again:
                return False
            if isinstance(unit, Pack):
                self._packs.append(Pack(unit.base, nodes, self._living(0), is_again=True))
                self._waiting += len(nodes)
            else:
                unit.large.is_over = unit.large.is_again = unit.large.restarts = True
            self._changed.notify_all()
            return True

    def try_late(self, pack: Pack, nodes: list[Node]) -> bool:
        """These of a pack found no room: once more, when nobody else is using any.  False: that was that."""
        with self._changed:
            if pack.is_late:
                return False
            self._late.append(Pack(pack.base, nodes, pack.source, is_again=True, is_late=True))
            return True

    def _begin_again(self, large: Large) -> bool:
        """If it is to: nobody has a unit of it any more."""
        if not large.restarts:
            return False
        large.is_over = large.restarts = False
        self._restart(large, self._living(0))
        self._changed.notify_all()
        return True

    def _restart(self, large: Large, source: int | None) -> None:
        large.source = source
        large.claimed.clear()
        large.gaps = deque([(0, large.node.size)])
        self._push(large)

    def _living(self, source: int) -> int | None:
        """This source, or None, any, when it has no pairs left."""
        is_there = source in self._sources.values() or (not source and self._lister_comes)
        return source if is_there else None

    def give_back(self, pair: object) -> list[Large]:
        """This pair brings nothing more: what it holds is for the others, first of all.

        Returns the large files that had failed and that nobody writes to any more; `ended` for each.
        """
        ended: list[Large] = []
        with self._changed:
            source = self._sources.pop(pair, 0)
            for unit in reversed(self._out.pop(pair, [])):
                if isinstance(unit, Pack):
                    self._packs.appendleft(unit)
                    self._waiting += len(unit.nodes)
                    continue
                large = unit.large
                large.out -= 1
                if not large.is_over:
                    if unit.claimed:
                        large.claimed.appendleft((unit.offset, unit.length))
                    else:
                        large.gaps.appendleft((unit.offset, unit.offset + unit.length))
                    self._push(large)
                elif not large.out and not self._begin_again(large):
                    ended.append(large)
                    self._ending += 1
            if self._sources and self._living(source) is None:
                self._release(source)
            self._changed.notify_all()
        return ended

    def _release(self, source: int) -> None:
        """It has no pairs left, and others are there."""
        for pack in self._packs:
            if pack.source == source:
                pack.source = None
        for large in {id(one): one for _, _, one in self._large}.values():
            if large.source == source and not large.is_over and not large.out:
                self._restart(large, None)

    def _wait_for_room(self) -> None:
        while self._waiting >= self._high_water and self._out and not self._is_stopped:
            self._changed.wait()

    def _close_pack(self) -> None:
        assert self._open is not None
        self._packs.append(self._open)
        self._open = None
        self._open_bytes = self._open_path_bytes = 0
        self._changed.notify()

    def _push(self, large: Large) -> None:
        self._serial += 1
        self._waiting += 1
        heapq.heappush(self._large, (-large.node.size, self._serial, large))

    def _has_work(self) -> bool:
        packs = self._packs or self._open or self._late
        return bool(packs) or any(not large.is_over for _, _, large in self._large)

    def _next(self, pair: object, takes_open: bool, range_bytes: int, pack_bytes: int) -> Unit | None:
        others_pack = any(
            isinstance(unit, Pack) for who, units in self._out.items() if who != pair for unit in units
        )
        source = self._sources[pair]
        return (
            (None if others_pack else self._next_pack(takes_open, source, pack_bytes))
            or self._next_range(range_bytes, source)
            or (self._next_pack(takes_open, source, pack_bytes) if others_pack else None)
            or self._next_late(source)
        )

    def _next_pack(self, takes_open: bool, source: int, pack_bytes: int = MAX_PACK_BYTES) -> Pack | None:
        if not self._packs and takes_open and self._open is not None:
            self._close_pack()
        mine = (pack for pack in self._packs if pack.source in (None, source))
        pack = next(mine, None)  # nearly always the first
        if pack is None:
            return None
        if (first := self._beginning(pack, pack_bytes)) is not None:
            pack = first
        else:
            self._packs.remove(pack)
        self._took(len(pack.nodes))
        return pack

    def _next_late(self, source: int) -> Pack | None:
        if not self._is_listed or self._ending or any(self._out.values()):
            return None
        self._packs.extend(self._late)
        self._waiting += sum(len(pack.nodes) for pack in self._late)
        self._late.clear()
        return self._next_pack(takes_open=False, source=source)

    def _beginning(self, pack: Pack, wanted: int) -> Pack | None:
        """About so many bytes of it, and the rest stays; None for all of it.

        In the end packs get smaller, so that no pair has much to bring while others have nothing.
        """
        if self._is_listed and 1 < len(self._out) >= len(self._packs):
            left = sum(node.size for one in self._packs for node in one.nodes)
            wanted = min(wanted, max(LAST_PACK_BYTES, left // (2 * len(self._out))))
        if wanted >= MAX_PACK_BYTES:
            return None
        ends = list(itertools.accumulate(node.size for node in pack.nodes))
        count = bisect.bisect_left(ends, wanted) + 1
        if ends[-1] < wanted + wanted // 2 or count >= len(ends):
            return None
        first = Pack(pack.base, pack.nodes[:count], pack.source, pack.is_again, pack.is_late)
        del pack.nodes[:count]
        return first

    def _took(self, files: int) -> None:
        was_full = self._waiting >= self._high_water
        self._waiting -= files
        if was_full and self._waiting < self._high_water:
            self._changed.notify_all()

    def _next_range(self, range_bytes: int, source: int) -> Range | None:
        others: list[tuple[int, int, Large]] = []  # that other sources bring
        unit = None
        while self._large and unit is None:
            large = self._large[0][2]
            if not large.is_over and large.source not in (None, source):
                others.append(heapq.heappop(self._large))
                continue
            # In the end pieces get smaller, so that no pair has much to bring while others have nothing.
            sharers = len(self._out) if len(self._large) == 1 and self._is_listed else 1
            unit = None if large.is_over else cut(large, range_bytes, sharers)
            if large.is_over or not (large.gaps or large.claimed):
                heapq.heappop(self._large)
                self._took(1)
        for other in others:
            heapq.heappush(self._large, other)
        if unit is not None:
            unit.large.source = source
            unit.large.out += 1
        return unit
