"""Streams that are fed from outside, for data that comes by itself: a driver's thread, another process."""

from __future__ import annotations

import itertools
import operator
import time
from typing import Any, Literal, NamedTuple

from pynet_core.items import MAX_IDENT
from pynet_core.mailbox import Broadcast, KeyedMailbox, Mailbox, Queue
from pynet_core.payload import as_bytes

Keep = Literal["every", "latest"]


class Item(NamedTuple):
    """What a stream carries, and when it came: monotonic ns of this machine."""

    ident: int
    body: bytes
    stamp_ns: int


Subscriber = Mailbox[Item] | KeyedMailbox[Item] | Queue[Item]


def box_for(keep: Keep, keyed: bool) -> Subscriber:
    if keep == "every":
        return Queue()
    return KeyedMailbox() if keyed else Mailbox()


class Feed:
    """A stream for all subscribers: what any thread puts in, each of them gets.

    Register it in place of a generator: `gateway.add_subroutine("scan", feed, keep="latest")`.
    With no thread of its own it costs a hand-over less than a shared generator.
    """

    def __init__(self) -> None:
        self._broadcast: Broadcast[Item] = Broadcast()
        self._count = itertools.count()

    def put(self, buffer: Any, ident: int | None = None) -> None:
        """Give every subscriber this item, bytes or a payload; never waits.  Without an ident it is counted.

        Raises:
            TypeError, ValueError: It is neither, or cannot travel, or the ident is no integer of 64 bits.
        """
        number = next(self._count) if ident is None else operator.index(ident)
        if not -MAX_IDENT <= number <= MAX_IDENT:  # said here, and not to every subscriber
            raise ValueError(f"ident {ident} does not fit a signed 64-bit integer")
        self._broadcast.put(Item(number, as_bytes(buffer), time.monotonic_ns()))

    def close(self) -> None:
        """End the stream of every subscriber; later ones end at once."""
        self._broadcast.close()

    @property
    def is_heard(self) -> bool:
        """Somebody is subscribed: what is put is not in vain."""
        return self._broadcast.is_heard

    def subscribe(self, keep: Keep, keyed: bool = False) -> Subscriber:
        """A box that gets the newest item, that of each ident, or every item, from now on."""
        box = box_for(keep, keyed)
        self._broadcast.add(box)
        return box

    def unsubscribe(self, box: Subscriber) -> None:
        """Forget the box."""
        self._broadcast.remove(box)
