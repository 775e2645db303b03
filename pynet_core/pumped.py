"""The items of a pump or a feed to one subscriber: the newest for each credit, or every one in its turn."""

from __future__ import annotations

from typing import Final

from pynet_core.channel import PlainChannel
from pynet_core.feed import Item, Subscriber
from pynet_core.items import GATHER_BELOW_BYTES, GATHER_BYTES, ITEM_EXTRA_BYTES, MAX_IDENT, pack_items
from pynet_core.wire import Flag, Frame, Kind

POLL_S: Final = 0.05  # it looks at its socket at least this often
GATHER_NS: Final = 200_000  # items that were made so close together go with one stamp


def send_pumped(channel: PlainChannel, box: Subscriber, *, newest: bool, gathers: bool) -> None:
    """Until the box is closed, or the peer cancels.

    Raises:
        TooSlow, TooManyChannels, UserCodeFailed: What the box was closed with.
        LinkError, ProtocolError: Of the channel.
    """
    if newest:
        channel.keep_latest()
    try:
        while True:
            if newest and not channel.session.credit:
                if channel.receive().kind == Kind.CANCEL:
                    return
                continue
            item = box.take(POLL_S)
            if item is not None:
                _send(channel, item, box, newest, gathers)
            elif box.is_closed:
                return
            while (frame := channel.poll()) is not None:  # afterwards: an item does not wait for it
                if frame.kind == Kind.CANCEL:
                    return
    finally:
        if newest:
            channel.keep_every()


def _send(channel: PlainChannel, item: Item, box: Subscriber, newest: bool, gathers: bool) -> None:
    flags = Flag.CREDITED if newest else Flag.NONE
    more = box.take_more(_Room(item, newest)) if gathers and _is_small(item) else []
    if not more:
        channel.send(Frame(Kind.ITEM, item.ident, item.body, item.stamp_ns, flags, box.skipped))
        return
    oldest_ns = min(item.stamp_ns, *(each.stamp_ns for each in more))
    idents, bodies = zip(*((each.ident, each.body) for each in (item, *more)), strict=True)
    channel.send(pack_items(idents, bodies, max(map(len, bodies)), oldest_ns, flags, box.skipped))


class _Room:
    """What is left in a frame behind its first item."""

    def __init__(self, first: Item, newest: bool) -> None:
        self._bytes = GATHER_BYTES - len(first.body)
        # The newest of many channels are of any age, and are all there is.
        self._until_ns = MAX_IDENT if newest else first.stamp_ns + GATHER_NS

    def __call__(self, item: Item) -> bool:
        self._bytes -= len(item.body) + ITEM_EXTRA_BYTES
        return self._bytes > 0 and item.stamp_ns <= self._until_ns and _is_small(item)


def _is_small(item: Item) -> bool:
    return len(item.body) < GATHER_BELOW_BYTES and -MAX_IDENT <= item.ident <= MAX_IDENT
