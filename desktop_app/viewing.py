"""One View out of everything there is: what the robot said, what the hands ask, how old the picture is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from desktop_app.actions import Actions
from desktop_app.belief import SILENT_S
from desktop_app.frames import Frames
from desktop_app.link import Link
from desktop_app.pad_mapping import USUAL, Role, input_of, words
from desktop_app.teleop import Decision, Source
from desktop_app.view import Connection, DriveView, EventView, LinkView, PadInputs, View
from desktop_app.words import silence_words

LOST_WORDS_S: Final = 2.0


def view_of(
    robot: Actions | None,
    frames: Frames,
    *,
    decision: Decision,
    limit: float,
    events: Iterable[EventView],
    error: str,
    now_s: float,
    pads: tuple[PadInputs, ...] = (),
) -> View:
    """What the window shows at `now_s`, our monotonic clock.  `error` is ours: an address that is none."""
    description = robot.link.heard.description if robot is not None else None
    mapping = next((pad.mapping for pad in pads if pad.mapping), USUAL)
    hold = words(Role.HOLD, input_of(mapping, Role.HOLD))
    drive = DriveView(
        source=f"Gamepad · hold {hold}" if decision.source is Source.GAMEPAD else decision.source.value,
        hold=hold,
        throttle=decision.throttle,
        steering=decision.steering,
        limit=limit,
        hint=decision.hint,
        full_throttle=description.max_throttle if description else 1.0,
        top_speed_mps=(description.top_speed_mps or None) if description else None,
    )
    told = tuple(events)
    if robot is None:
        return View(drive=drive, events=told, connection_error=error, pads=pads)
    link = robot.link
    heard, connection = link.heard, link.connection
    newest = heard.odometry
    return View(
        connection=connection,
        address=link.address,
        robot_name=link.robot_name,
        simulated=description.simulated if description else False,
        connection_error=error or _error(link, connection, now_s),
        pairing=link.pairing,
        status=heard.status.message if heard.status else None,
        status_age_s=heard.status_age_s(now_s),
        state=heard.state(now_s),
        is_assumed=heard.status is not None and heard.status_age_s(now_s) > SILENT_S,
        has_lease=heard.has_lease,
        is_arming=robot.is_arming,
        e_stop_unconfirmed=robot.is_stop_unconfirmed(now_s),
        link=_link_view(link, frames, now_s),
        drive=drive,
        odometry=newest.message if newest else None,
        odometry_age_s=heard.age_s(newest.message.captured_ns, newest.at_s, now_s) if newest else 0.0,
        ranges=heard.range_views(now_s),
        description=description,
        events=told,
        picture_age_s=frames.age_s(now_s),
        picture=frames.figures(now_s),
        pads=pads,
        waiting_s=now_s - link.since_s,
    )


def _error(link: Link, connection: Connection, now_s: float) -> str:
    if link.error or connection is not Connection.LOST:
        return link.error
    silent_s = link.heard.gauge.silent_s(now_s)
    return silence_words(silent_s) if silent_s > LOST_WORDS_S else ""


def _link_view(link: Link, frames: Frames, now_s: float) -> LinkView:
    gauge, status = link.heard.gauge, link.heard.status
    rtt_ns = link.operator.rtt_ns if link.operator else None
    rtt_ms = None if rtt_ns is None else rtt_ns / 1e6
    gauge.look(now_s, rtt_ms)
    worst_s = gauge.worst_gap_s(now_s)
    age_ns = status.message.command_age_ns if status else -1
    return LinkView(
        quality=gauge.quality(now_s),
        rtt_ms=rtt_ms,
        silent_s=gauge.silent_s(now_s),
        worst_gap_ms=None if worst_s is None else worst_s * 1000,
        command_age_ms=age_ns / 1e6 if age_ns >= 0 else None,
        pictures_dropped=frames.dropped(),
        failsafe_trips=status.message.counters.failsafe_trips if status else 0,
        history=gauge.history(now_s),
    )
