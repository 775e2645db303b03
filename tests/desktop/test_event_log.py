"""The events, and the words for what went wrong."""

from __future__ import annotations

import socket

import pytest

from desktop_app.event_log import MAX_EVENTS, MAX_TEXT, EventLog
from desktop_app.events import row_of
from desktop_app.words import connection_words
from pynet_car.messages import Event, Severity
from pynet_core.errors import (
    DeadlineExceeded,
    LinkError,
    PoolFull,
    Refused,
    RemoteProtocolError,
    SubroutineError,
)


def event(text: str, kind: str = "test") -> Event:
    return Event(captured_ns=1, severity=Severity.INFO, kind=kind, text=text)


def test_the_newest_comes_first_and_the_same_is_counted() -> None:
    log = EventLog()
    for i, text in enumerate(["a", "b", "b", "b"]):
        log.add(event(text), float(i))
    assert [(e.event.text, e.count, e.at_s) for e in log.events] == [("b", 3, 3.0), ("a", 1, 0.0)]


def test_stuck_windows_of_one_minute_are_one_line_with_the_newest_figure() -> None:
    log = EventLog()
    for at_s, ms in ((0.0, 140), (20.0, 410), (75.0, 240)):
        log.add(event(f"Window stuck {ms} ms; no command went out.", "window_stuck"), at_s)
        log.add(event("Failsafe.", "failsafe_on"), at_s)
    stuck = [e for e in log.events if e.event.kind == "window_stuck"]
    assert [(e.count, e.at_s, e.event.text[:19]) for e in stuck] == [(3, 75.0, "Window stuck 240 ms")]
    log.add(event("Window stuck 180 ms; no command went out.", "window_stuck"), 140.0)
    assert [e.count for e in log.events if e.event.kind == "window_stuck"] == [1, 3]


def test_what_is_counted_stands_in_the_second_line() -> None:
    log = EventLog()
    for at_s in (0.0, 1.0):
        log.add(event("Window stuck 240 ms; no command went out.", "window_stuck"), at_s)
    row = row_of(log.events[0])
    assert (row.head, row.more) == ("Window stuck 240 ms", "no command went out × 2")


def test_nothing_new_is_the_same_tuple() -> None:
    log = EventLog()
    log.add(event("a"), 0.0)
    assert log.events is log.events


def test_a_flood_and_a_novel_are_bounded() -> None:
    log = EventLog()
    for i in range(2 * MAX_EVENTS):
        log.add(event(f"{i}" * 10_000), 0.0)
    assert len(log.events) == MAX_EVENTS
    assert max(len(e.event.text) for e in log.events) <= MAX_TEXT


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Refused(401, "unknown"), "rover-7 does not know this laptop. Pair it."),
        (
            Refused(403, "role viewer"),
            "You may watch, not drive. An admin of rover-7 can change that.",
        ),
        (
            PoolFull(503, "the pool of 64 is full; close a pair or raise max_poolsize"),
            "rover-7 is full: 64 of 64 connections.",
        ),
        (
            Refused(426, "peer speaks wire 1, this gateway 2"),
            "rover-7 speaks wire 2, this window 1. Update this laptop.",
        ),
        (
            Refused(426, "peer speaks wire 1, this gateway 0"),
            "rover-7 speaks wire 0, this window 1. Update the robot.",
        ),
        (
            SubroutineError("status", "NoSuchSubroutine", "there is no subroutine 'status'", 404),
            "What answers at pi.local:1857 is a gateway of pynet's, but no robot.",
        ),
        (SubroutineError("status", "ValueError", "it broke", 500), "rover-7 failed: it broke."),
        (
            DeadlineExceeded("no answer"),
            "No robot answers at pi.local:1857. Is it switched on, and on this network?",
        ),
        (
            RemoteProtocolError("HTTP"),
            "What answers at pi.local:1857 is no robot. Check the address and the port.",
        ),
    ],
)
def test_each_refusal_has_the_words_of_the_look(error: Exception, words: str) -> None:
    assert connection_words(error, "rover-7", "pi.local:1857") == words


@pytest.mark.parametrize(
    ("cause", "next_step"),
    [
        (ConnectionRefusedError(), "systemctl start pynet-agent"),
        (socket.gaierror(-2, "x"), "Try its address."),
    ],
)
def test_a_computer_without_an_agent_and_a_name_without_a_computer_are_told_apart(
    cause: OSError, next_step: str
) -> None:
    error = LinkError("x")
    error.__cause__ = cause
    words = connection_words(error, "", "pi.local")
    assert words.startswith("No robot answers at pi.local") and words.endswith(next_step)


def test_other_link_errors_keep_what_the_system_said() -> None:
    words = connection_words(LinkError("cannot reach pi.local: Name or service not known"), "", "pi.local")
    assert "No robot answers at pi.local." in words
    assert "Name or service not known" in words
