"""Which frame is legal when, for both ends of a pair.  No sockets, no threads, no clock.

One operation at a time: a controller asks, the gateway answers, the pair is
idle again.  What one end sends may cross what the other has sent: a CREDIT or
CANCEL that crosses END, a PUT or END that crosses ERROR.  Those are legal, and
`receive` says that they mean nothing.

Files: the end that wants them sends PULLs, the other answers each piece of them
in order (see transfer/incoming.py); the controller's END says that it is done,
or will have no more.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Literal

from pynet_core.errors import LocalProtocolError, RemoteProtocolError
from pynet_core.wire import Flag, Frame, Kind

FIRST_CREDIT: Final = 1  # credited items in flight: then a thin link is one item stale, not seconds
MAX_WINDOW: Final = 16  # what a controller may let it grow to: 30 Hz over half a second there and back


class State(enum.Enum):
    OPENING = "before HELLO"
    GREETED = "between HELLO and WELCOME"
    ASKING = "between HELLO with a TREE and WELCOME"
    IDLE = "idle"
    PINGING = "in a ping"
    CALLING = "in a call"
    STREAMING = "in a stream"
    CANCELLED = "in a cancelled stream"
    SINK_OPENING = "opening a sink"
    SINKING = "in a sink"
    SINK_ENDING = "ending a sink"
    LISTING = "listing files"
    FETCHING = "fetching files"
    FETCH_ENDING = "ending a fetch of files"
    OFFERING = "offering files"
    UPLOADING = "uploading files"
    UPLOAD_ENDING = "ending an upload of files"
    REMOVING = "removing files"
    CLOSED = "closed"


_Row = Mapping[int, State]  # kind: the state after it
_Table = dict[State, _Row]
_NOTHING: Final[_Row] = {}
# On 3.11 a member of an enum class is found by a Python function; these are asked for with every frame.
_ITEM_KINDS: Final = frozenset({Kind.ITEM, Kind.ITEMS})
_CREDIT: Final = Kind.CREDIT
_CREDITED: Final = Flag.CREDITED


def _answers(state: State) -> _Row:
    """To PULL: the state stays."""
    return dict.fromkeys((Kind.PACK, Kind.RAW, Kind.DENSE, Kind.HOLE, Kind.SEAL, Kind.SAME, Kind.LOST), state)


_CONTROLLER_SENDS: Final[_Table] = {
    State.OPENING: {Kind.HELLO: State.GREETED},
    State.GREETED: {Kind.TREE: State.ASKING},
    State.IDLE: {
        Kind.PING: State.PINGING,
        Kind.BATCH: State.CALLING,
        Kind.BUFFER: State.CALLING,
        Kind.STREAM: State.STREAMING,
        Kind.SINK: State.SINK_OPENING,
        Kind.CLOSE_HANDLER: State.CLOSED,
        Kind.CLOSE_GATEWAY: State.CALLING,
        Kind.LIST: State.LISTING,
        Kind.FETCH: State.FETCHING,
        Kind.TREE: State.LISTING,
        Kind.STORE: State.OFFERING,
        Kind.JOIN: State.UPLOADING,
        Kind.REMOVE: State.REMOVING,
    },
    State.STREAMING: {Kind.CREDIT: State.STREAMING, Kind.CANCEL: State.CANCELLED},
    State.SINKING: {Kind.PUT: State.SINKING, Kind.END: State.SINK_ENDING},
    State.FETCHING: {
        Kind.PULL: State.FETCHING,
        Kind.END: State.FETCH_ENDING,
        Kind.CLOSE_HANDLER: State.CLOSED,
    },
    State.OFFERING: {Kind.FOUND: State.OFFERING, Kind.END: State.UPLOADING},
    State.UPLOADING: {
        **_answers(State.UPLOADING),
        Kind.FOUND: State.UPLOADING,
        Kind.MORE: State.UPLOADING,
        Kind.END: State.UPLOAD_ENDING,
    },
}
_GATEWAY_SENDS: Final[_Table] = {
    State.OPENING: {Kind.REFUSAL: State.CLOSED},  # who does not say HELLO, or something else instead
    State.GREETED: {Kind.WELCOME: State.IDLE, Kind.REFUSAL: State.CLOSED},
    State.ASKING: {Kind.WELCOME: State.LISTING, Kind.REFUSAL: State.CLOSED},
    State.PINGING: {Kind.PONG: State.IDLE},
    State.CALLING: {Kind.REPLY: State.IDLE, Kind.ERROR: State.IDLE},
    State.STREAMING: {
        Kind.ITEM: State.STREAMING,
        Kind.ITEMS: State.STREAMING,
        Kind.END: State.IDLE,
        Kind.ERROR: State.IDLE,
    },
    State.CANCELLED: {Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.SINK_OPENING: {Kind.REPLY: State.SINKING, Kind.ERROR: State.IDLE},
    State.SINKING: {Kind.ERROR: State.IDLE},
    State.SINK_ENDING: {Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.LISTING: {Kind.FOUND: State.LISTING, Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.FETCHING: {**_answers(State.FETCHING), Kind.ERROR: State.IDLE},
    State.FETCH_ENDING: {Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.OFFERING: {Kind.ERROR: State.IDLE},
    State.UPLOADING: {
        Kind.PULL: State.UPLOADING,
        Kind.MORE: State.UPLOADING,
        Kind.REPORT: State.UPLOADING,
        Kind.END: State.IDLE,
        Kind.ERROR: State.IDLE,
    },
    State.UPLOAD_ENDING: {Kind.REPORT: State.UPLOAD_ENDING, Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.REMOVING: {Kind.REPORT: State.REMOVING, Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
}
# What the controller may still see after its CANCEL or END is what the gateway sent before reading it.
_CONTROLLER_RECEIVES: Final[_Table] = {
    **_GATEWAY_SENDS,
    State.CANCELLED: {
        **_GATEWAY_SENDS[State.CANCELLED],
        Kind.ITEM: State.CANCELLED,
        Kind.ITEMS: State.CANCELLED,
    },
    State.FETCH_ENDING: {**_GATEWAY_SENDS[State.FETCH_ENDING], **_answers(State.FETCH_ENDING)},
    State.UPLOAD_ENDING: {
        **_GATEWAY_SENDS[State.UPLOAD_ENDING],
        Kind.MORE: State.UPLOAD_ENDING,
        Kind.PULL: State.UPLOAD_ENDING,
    },
}


class Place:
    """A state at one end: what each frame that it may send or receive there leads to."""

    __slots__ = ("passes", "receives", "sends", "state")

    def __init__(self, state: State) -> None:
        self.state = state
        self.sends: dict[int, Place] = {}
        self.receives: dict[int, Place] = {}
        # What may be received here that without flags changes nothing: one need not be told of it.
        self.passes: frozenset[int] = frozenset()


def _places(sends: _Table, receives: _Table) -> dict[State, Place]:
    places = {state: Place(state) for state in State}
    for state, place in places.items():
        place.sends = {kind: places[after] for kind, after in sends.get(state, _NOTHING).items()}
        place.receives = {kind: places[after] for kind, after in receives.get(state, _NOTHING).items()}
        place.passes = frozenset(kind for kind, after in place.receives.items() if after is place) - {_CREDIT}
    return places


_GATEWAY: Final = _places(_GATEWAY_SENDS, _CONTROLLER_SENDS)
_CONTROLLER: Final = _places(_CONTROLLER_SENDS, _CONTROLLER_RECEIVES)


class Session:
    """One end of a pair: checks every frame that leaves or arrives, and counts credit.

    Owned by the thread that owns the pair.
    """

    def __init__(self, role: Literal["controller", "gateway"]) -> None:
        self._at_gateway = role == "gateway"
        places = _GATEWAY if self._at_gateway else _CONTROLLER
        # A controller's call goes from idle to calling and back without asking us; see exchange.py.
        self.idle = places[State.IDLE]
        self.calling = places[State.CALLING]
        self.streaming = places[State.STREAMING]  # where an item without credit can be sent without asking us
        self.here = places[State.OPENING]
        # Where the controller still believes to be when the gateway has just ended an operation:
        # until its next request, frames of that operation may arrive.
        self._believed = self.idle
        self._credit = FIRST_CREDIT  # as this end knows it

    @property
    def state(self) -> State:
        return self.here.state

    @property
    def is_at_rest(self) -> bool:
        """Idle, and nothing of the operation before can arrive any more."""
        return self.here is self.idle is self._believed

    @property
    def credit(self) -> int:
        """How many more credited items the gateway's end may send now."""
        return self._credit

    def send(self, frame: Frame) -> None:
        """We are about to send this.

        Raises:
            LocalProtocolError: It is not our turn; nothing may be sent.
        """
        here, kind = self.here, frame.kind
        after = here.sends.get(kind)
        if after is None:
            raise LocalProtocolError(
                f"cannot send {Kind(kind).name}: this pair is {here.state.value}; "
                "one thing at a time, get another client for the other"
            )
        if after is here:
            if frame.flags & _CREDITED and kind in _ITEM_KINDS:
                if not self._credit:
                    raise LocalProtocolError("no credit left for another item")
                self._credit -= 1
            elif kind == _CREDIT:
                if not 0 < frame.ident <= MAX_WINDOW - self._credit:
                    raise LocalProtocolError(
                        f"cannot give credit {frame.ident}: {self._credit} is out, the window is {MAX_WINDOW}"
                    )
                self._credit += frame.ident
            return
        if here is self.idle:  # a new operation: nothing of the one before can arrive any more
            self._believed = here
            self._credit = FIRST_CREDIT
        elif self._at_gateway and after is self.idle:
            self._believed = here if here.receives else after
        self.here = after

    def receive(self, frame: Frame) -> bool:
        """The peer has sent this; False when it only crossed what we sent and means nothing.

        Raises:
            RemoteProtocolError: It was not the peer's turn; close the connection.
        """
        here, kind = self.here, frame.kind
        after = here.receives.get(kind)
        if after is None or after is here:
            return self._receive_more(frame, after)
        if here is self.idle:
            self._believed = here
            self._credit = FIRST_CREDIT
        self.here = after
        return True

    def _receive_more(self, frame: Frame, after: Place | None) -> bool:
        """One that leaves us where we are, or has crossed, or may not be."""
        kind = frame.kind
        crossed = None
        if after is None:
            if self._at_gateway and self.here is self.idle:
                crossed = self._believed.receives.get(kind)
            if crossed is None:
                raise RemoteProtocolError(f"peer sent {Kind(kind).name} while {self.state.value}")
        if frame.flags & _CREDITED and kind in _ITEM_KINDS:
            if not self._credit:
                raise RemoteProtocolError("peer sent an item without credit")
            self._credit -= 1
        elif kind == _CREDIT:
            if not 0 < frame.ident <= MAX_WINDOW - self._credit:
                raise RemoteProtocolError(
                    f"peer gave credit {frame.ident} with {self._credit} unused, the window is {MAX_WINDOW}"
                )
            self._credit += frame.ident
        if crossed is not None:
            self._believed = crossed
        return after is not None
