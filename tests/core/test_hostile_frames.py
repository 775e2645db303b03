"""Wrong frames against the decoder and the session, where Hypothesis can look for the worst.

tests/system/test_frames.py sends them to real gateways.
"""

from __future__ import annotations

import contextlib
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_core.decoder import FrameDecoder
from pynet_core.errors import RemoteProtocolError
from pynet_core.session import Session
from pynet_core.wire import (
    MAX_OPENING_BYTES,
    CallReader,
    Flag,
    Frame,
    Hello,
    Kind,
    unpack_body,
)
from tests.core.hostile_frames import Attack, Ending, attack, closes_gateway, encoded
from tests.core.loopback import hello, request

CONVERSATIONS = [
    [Frame(Kind.PING, 0, b"ping"), Frame(Kind.CLOSE_HANDLER)],
    [request(Kind.BATCH, "f", 1, [2.0], key=b"value"), Frame(Kind.PING)],
    [request(Kind.STREAM, "f"), Frame(Kind.CREDIT, 1), Frame(Kind.CANCEL)],
    [request(Kind.SINK, "f", buffer=b"x" * 100), Frame(Kind.PUT, 0, b"x"), Frame(Kind.END)],
]
# What a gateway that has nothing else to do would answer.
ANSWERS = {
    Kind.PING: Frame(Kind.PONG),
    Kind.BATCH: Frame(Kind.REPLY),
    Kind.SINK: Frame(Kind.REPLY),
    Kind.STREAM: Frame(Kind.ITEM, flags=Flag.CREDITED),
    Kind.CREDIT: Frame(Kind.ITEM, flags=Flag.CREDITED),
    Kind.CANCEL: Frame(Kind.END),
    Kind.END: Frame(Kind.END),
}


def take(one: Attack, split: int) -> int:
    """What a gateway's end makes of it, fed in pieces; returns how many frames it took."""
    decoder, session = FrameDecoder(), Session("gateway")
    taken = 0
    if one.greeted:
        session.receive(hello())
        session.send(Frame(Kind.WELCOME))
        decoder.opening = False
    for at in range(0, len(one.words), split):
        for frame in decoder.feed(one.words[at : at + split]):
            taken += 1
            if session.receive(frame) and frame.kind in ANSWERS:
                session.send(ANSWERS[Kind(frame.kind)])
            if frame.kind == Kind.HELLO:
                unpack_body(frame.body, Hello)
                session.send(Frame(Kind.WELCOME))
                decoder.opening = False
            elif frame.kind in (Kind.STREAM, Kind.BATCH, Kind.BUFFER, Kind.SINK):
                CallReader().read(frame)
    decoder.end()
    return taken


@settings(max_examples=500)
@given(seed=st.integers(0, 2**64), split=st.sampled_from((1, 7, 24, 1000, 2**20)))
def test_wrong_frames_are_taken_or_break_the_protocol_and_nothing_else(seed: int, split: int) -> None:
    one = attack(random.Random(seed), hello(), CONVERSATIONS)
    with contextlib.suppress(RemoteProtocolError):
        take(one, split)


def test_most_of_them_are_really_wrong_and_some_come_before_welcome() -> None:
    rng = random.Random(1)
    broken = early = 0
    for _ in range(1000):
        one = attack(rng, hello(), CONVERSATIONS)
        early += not one.greeted
        try:
            take(one, 1000)
        except RemoteProtocolError:
            broken += 1
    assert broken > 600
    assert 100 < early < 300


def test_untouched_conversations_are_taken_whole() -> None:
    for conversation in CONVERSATIONS:
        one = Attack(True, "nothing", encoded(conversation), Ending.CLOSE)
        assert take(one, 7) == len(conversation)


def test_what_would_stop_the_gateway_is_told_apart() -> None:
    assert closes_gateway(encoded([Frame(Kind.PING, 0, b"x" * 99), Frame(Kind.CLOSE_GATEWAY)]))
    assert not closes_gateway(encoded([Frame(Kind.PING, 0, bytes([Kind.CLOSE_GATEWAY]) * MAX_OPENING_BYTES)]))
