"""Which frame is legal when, for both ends of a pair.  No sockets, no threads, no clock.

One operation at a time: a controller asks, the gateway answers, the pair is
idle again.  What one end sends may cross what the other has sent: a CREDIT or
CANCEL that crosses END, a PUT or END that crosses ERROR.  Those are legal, and
`receive` says that they mean nothing.

Files: the end that wants them sends TAKE, the other answers each piece of it
in order (see transfer/receiver.py); the controller's END says that it is done,
or will have no more.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final, Literal

from pynet_core.errors import LocalProtocolError, RemoteProtocolError
from pynet_core.wire import Flag, Frame, Kind

STREAM_WINDOW: Final = 1  # credited items in flight: then a thin link is one item stale, not seconds


class State(enum.Enum):
    OPENING = "before HELLO"
    GREETED = "between HELLO and WELCOME"
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
    CLOSED = "closed"

    __hash__ = object.__hash__  # Enum's own is a Python function, and states are looked up often


_Row = Mapping[int, State]  # kind: the state after it
_Table = dict[State, _Row]
_NOTHING: Final[_Row] = {}
# On 3.11 a member of an enum class is found by a Python function; these are asked for with every frame.
_ITEM: Final = Kind.ITEM
_CREDIT: Final = Kind.CREDIT
_CREDITED: Final = Flag.CREDITED


def _answers(state: State) -> _Row:
    """To TAKE: the state stays."""
    return {Kind.CHUNK: state, Kind.SAME: state, Kind.LOST: state}


_CONTROLLER_SENDS: Final[_Table] = {
    State.OPENING: {Kind.HELLO: State.GREETED},
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
        Kind.UPLOAD: State.OFFERING,
    },
    State.STREAMING: {Kind.CREDIT: State.STREAMING, Kind.CANCEL: State.CANCELLED},
    State.SINKING: {Kind.PUT: State.SINKING, Kind.END: State.SINK_ENDING},
    State.FETCHING: {Kind.TAKE: State.FETCHING, Kind.END: State.FETCH_ENDING},
    State.OFFERING: {Kind.OFFER: State.OFFERING, Kind.END: State.UPLOADING},
    State.UPLOADING: {**_answers(State.UPLOADING), Kind.END: State.UPLOAD_ENDING},
}
_GATEWAY_SENDS: Final[_Table] = {
    State.OPENING: {Kind.REFUSAL: State.CLOSED},  # who does not say HELLO, or something else instead
    State.GREETED: {Kind.WELCOME: State.IDLE, Kind.REFUSAL: State.CLOSED},
    State.PINGING: {Kind.PONG: State.IDLE},
    State.CALLING: {Kind.REPLY: State.IDLE, Kind.ERROR: State.IDLE},
    State.STREAMING: {Kind.ITEM: State.STREAMING, Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.CANCELLED: {Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.SINK_OPENING: {Kind.REPLY: State.SINKING, Kind.ERROR: State.IDLE},
    State.SINKING: {Kind.ERROR: State.IDLE},
    State.SINK_ENDING: {Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.LISTING: {Kind.OFFER: State.LISTING, Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.FETCHING: {**_answers(State.FETCHING), Kind.ERROR: State.IDLE},
    State.FETCH_ENDING: {Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
    State.OFFERING: {Kind.ERROR: State.IDLE},
    State.UPLOADING: {
        Kind.TAKE: State.UPLOADING,
        Kind.REPORT: State.UPLOADING,
        Kind.END: State.IDLE,
        Kind.ERROR: State.IDLE,
    },
    State.UPLOAD_ENDING: {Kind.REPORT: State.UPLOAD_ENDING, Kind.END: State.IDLE, Kind.ERROR: State.IDLE},
}
# What the controller may still see after its CANCEL or END is what the gateway sent before reading it.
_CONTROLLER_RECEIVES: Final[_Table] = {
    **_GATEWAY_SENDS,
    State.CANCELLED: {**_GATEWAY_SENDS[State.CANCELLED], Kind.ITEM: State.CANCELLED},
    State.FETCH_ENDING: {**_GATEWAY_SENDS[State.FETCH_ENDING], **_answers(State.FETCH_ENDING)},
    State.UPLOAD_ENDING: {**_GATEWAY_SENDS[State.UPLOAD_ENDING], Kind.TAKE: State.UPLOAD_ENDING},
}


class Session:
    """One end of a pair: checks every frame that leaves or arrives, and counts credit.

    Owned by the thread that owns the pair.
    """

    def __init__(self, role: Literal["controller", "gateway"]) -> None:
        self._at_gateway = role == "gateway"
        self._sends = _GATEWAY_SENDS if self._at_gateway else _CONTROLLER_SENDS
        self._receives = _CONTROLLER_SENDS if self._at_gateway else _CONTROLLER_RECEIVES
        # Where the controller still believes to be when the gateway has just ended an operation:
        # until its next request, frames of that operation may arrive.
        self._believed = State.IDLE
        self._in_flight = 0  # credited items sent (gateway) or received (controller), credit not yet returned
        self._enter(State.OPENING)

    def _enter(self, state: State) -> None:
        self.state = state
        self._may_send: _Row = self._sends.get(state, _NOTHING)  # looked up here, not for each frame
        self._may_receive: _Row = self._receives.get(state, _NOTHING)

    @property
    def credit(self) -> int:
        """How many more credited items the gateway's end may send now."""
        return STREAM_WINDOW - self._in_flight

    def send(self, frame: Frame) -> None:
        """We are about to send this.

        Raises:
            LocalProtocolError: It is not our turn; nothing may be sent.
        """
        kind = frame.kind
        after = self._may_send.get(kind)
        if after is None:
            raise LocalProtocolError(
                f"cannot send {Kind(kind).name}: this pair is {self.state.value}; "
                "one thing at a time, get another client for the other"
            )
        if kind == _ITEM:
            if frame.flags & _CREDITED:
                if not self.credit:
                    raise LocalProtocolError("no credit left for another item")
                self._in_flight += 1
        elif kind == _CREDIT:
            if frame.ident != 1 or not self._in_flight:
                raise LocalProtocolError("credit for an item that did not come")
            self._in_flight -= 1
        if after is not self.state:
            if self._at_gateway and after is State.IDLE:
                self._believed = self.state
            self._move(after)

    def receive(self, frame: Frame) -> bool:
        """The peer has sent this; False when it only crossed what we sent and means nothing.

        Raises:
            RemoteProtocolError: It was not the peer's turn; close the connection.
        """
        kind = frame.kind
        after = self._may_receive.get(kind)
        crossed = None
        if after is None:
            if self._at_gateway and self.state is State.IDLE:
                crossed = _CONTROLLER_SENDS.get(self._believed, _NOTHING).get(kind)
            if crossed is None:
                raise RemoteProtocolError(f"peer sent {Kind(kind).name} while {self.state.value}")
        if kind == _ITEM:
            if frame.flags & _CREDITED:
                if not self.credit:
                    raise RemoteProtocolError("peer sent an item without credit")
                self._in_flight += 1
        elif kind == _CREDIT:
            if frame.ident != 1 or not self._in_flight:
                raise RemoteProtocolError(f"peer gave credit {frame.ident} with {self._in_flight} in flight")
            self._in_flight -= 1
        if after is None:
            assert crossed is not None
            self._believed = crossed
            return False
        if after is not self.state:
            self._move(after)
        return True

    def _move(self, after: State) -> None:
        if self.state is State.IDLE:  # a new operation: nothing of the one before can arrive any more
            self._believed = State.IDLE
            self._in_flight = 0
        self._enter(after)
