"""Views of every state the window can be in, for the look's tests and for looking at it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Final

from desktop_app.settings import PadMapping
from desktop_app.view import (
    Connection,
    DriveView,
    EventView,
    LinkView,
    PadInputs,
    Pairing,
    PictureView,
    Quality,
    RangeView,
    Sample,
    View,
)
from pynet_car.messages import (
    Counters,
    Description,
    Event,
    Odometry,
    Reading,
    ReadingState,
    Severity,
    State,
    Status,
    StreamInfo,
    Verdict,
)

AT_S: Final = datetime(2026, 11, 22, 14, 2, 51).timestamp()
BEARINGS: Final = {
    "front_left": 50,
    "front_mid_left": 15,
    "front_mid_right": -15,
    "front_right": -50,
    "rear": 180,
}

DESCRIPTION: Final = Description(
    name="rover-7",
    board="Raspberry Pi 5",
    simulated=False,
    has_camera=True,
    streams=(
        StreamInfo(
            name="proximity",
            title="Proximity",
            unit="m",
            period_s=0.06,
            maximum=3.0,
            channels=tuple(BEARINGS),
            bearings_rad=tuple(math.radians(b) for b in BEARINGS.values()),
        ),
        StreamInfo(name="encoder", title="Wheel encoders", unit="m", period_s=0.02),
        StreamInfo(name="ina219", title="Motor current", unit="A", period_s=0.1, maximum=5.0),
    ),
    max_throttle=1.0,
    lifespan_ms=200,
    version="0.1.0",
)


def ranges(**values: float | str) -> tuple[RangeView, ...]:
    """A view of each head: metres, or the name of a state."""
    found = []
    for name, bearing in BEARINGS.items():
        value = values.get(name)
        if value is None:
            continue
        state = ReadingState.OK if not isinstance(value, str) else ReadingState(value)
        reading = Reading(
            channel=name,
            seq=1,
            captured_ns=1,
            value=value if not isinstance(value, str) else 3.0,
            unit="m",
            state=state,
        )
        found.append(
            RangeView(
                reading=reading,
                bearing_rad=math.radians(bearing),
                age_s=0.03,
                is_stale=state is ReadingState.STALE,
            )
        )
    return tuple(found)


def event(
    text: str, kind: str = "note", severity: Severity = Severity.INFO, ago_s: float = 0, count: int = 1
) -> EventView:
    return EventView(
        event=Event(captured_ns=1, severity=severity, kind=kind, text=text), at_s=AT_S - ago_s, count=count
    )


EVENTS: Final = (
    event("Armed: Ada, this laptop drives.", "armed"),
    event("Ada has the lease.", "lease_taken", ago_s=3),
    event("front_left stale: forward is blocked.", "sensor_fault", Severity.WARNING, 91, 3),
    event("Failsafe: the newest command is 412 ms old, limit 200 ms.", "failsafe_on", Severity.WARNING, 100),
    event("Snapshot saved: snap-140112.png", "snapshot", ago_s=110),
    event("E-stop pressed by Grace, truck-tablet.", "e_stop", Severity.ERROR, 290),
    event("Connected to rover-7.", ago_s=300),
)

HISTORY: Final = tuple(
    (30 - i * 0.25, 24 + 6 * math.sin(i / 9) + (38 if i in (44, 45) else 0)) for i in range(121)
)

ARMED_STATUS: Final = Status(
    boot=1,
    stamp_ns=10**9,
    state=State.ARMED,
    reason="Ada drives.",
    holder="aa",
    holder_name="Ada",
    session=7,
    last_seq=90,
    command_age_ns=31_000_000,
    verdict=Verdict.TAKEN,
    duty=0.35,
    steering=0.39,
    counters=Counters(),
)

ARMED: Final = View(
    connection=Connection.UP,
    address="192.168.1.37",
    robot_name="rover-7",
    status=ARMED_STATUS,
    status_age_s=0.02,
    state=State.ARMED,
    has_lease=True,
    link=LinkView(
        quality=Quality.GOOD,
        rtt_ms=24,
        worst_gap_ms=61,
        command_age_ms=31,
        pictures_dropped=0.004,
        failsafe_trips=0,
        history=HISTORY,
    ),
    drive=DriveView(source="Gamepad · hold LB", throttle=0.38, steering=0.46, limit=0.75, top_speed_mps=2.0),
    odometry=Odometry(
        seq=1,
        captured_ns=1,
        left_ticks=0,
        right_ticks=0,
        distance_m=0,
        x_m=0,
        y_m=0,
        heading_rad=0,
        velocity_mps=1.42,
        yaw_rate_radps=0.86,
    ),
    odometry_age_s=0.02,
    ranges=ranges(
        front_left=0.71, front_mid_left=1.34, front_mid_right=1.62, front_right=1.02, rear="out_of_range"
    ),
    description=DESCRIPTION,
    events=EVENTS,
    picture_age_s=0.043,
    picture=PictureView(fps=30, width_px=640, height_px=480, bits_per_s=6.9e6, last_at_s=AT_S + 28.4),
)


def status(view: View, **changes: object) -> View:
    assert view.status is not None
    fields = {name: getattr(view.status, name) for name in view.status.__struct_fields__}
    return replace(view, status=Status(**{**fields, **changes}))


def _in(state: State, reason: str, view: View = ARMED, **changes: object) -> View:
    told = status(view, state=state, reason=reason, duty=0.0, steering=0.0, **changes)
    return replace(told, state=state, drive=replace(view.drive, throttle=0.0, steering=0.0))


DISARMED: Final = _in(State.DISARMED, "disarmed by Ada: Ada may arm.")
ARMING: Final = _in(State.ARMING, "Ada is arming: center the throttle.")
FAILSAFE: Final = replace(
    _in(State.FAILSAFE, "no fresh command: waiting for commands to go on.", command_age_ns=412_000_000),
    drive=replace(ARMED.drive, throttle=0.0, steering=0.0, hint="Let go first"),
)
E_STOP: Final = _in(State.E_STOP, "E-stop pressed by Grace, truck-tablet: reset it, then arm.")
SILENT: Final = replace(
    ARMED,
    state=State.FAILSAFE,
    is_assumed=True,
    status_age_s=0.9,
    odometry_age_s=0.9,
    picture_age_s=0.9,
    connection=Connection.UP,
    link=replace(
        ARMED.link,
        quality=Quality.LOST,
        silent_s=0.9,
        failsafe_trips=1,
        history=(*HISTORY[:-4], (0.9, None)),
    ),
    drive=replace(ARMED.drive, hint="Let go first"),
)
LOST: Final = replace(
    SILENT,
    connection=Connection.LOST,
    state=State.DISARMED,
    status_age_s=4.2,
    odometry_age_s=4.2,
    link=replace(SILENT.link, silent_s=4.2),
)
NONE: Final = View()
CONNECTING: Final = View(connection=Connection.CONNECTING, address="rover.local:1857", waiting_s=2.0)
REFUSED: Final = View(
    connection=Connection.CONNECTING,
    address="192.168.1.37:1857",
    robot_name="rover-7",
    connection_error="rover-7 speaks wire 2, this window 1. Update this laptop.",
)
PAIR: Final = replace(
    REFUSED, pairing=Pairing.WANTED, connection_error="rover-7 does not know this laptop. Pair it."
)
OTHER_KEY: Final = replace(
    REFUSED,
    pairing=Pairing.CHANGED,
    connection_error="This is not the rover-7 you paired with. Do not drive it unless you reinstalled it.",
)
LOST_PAIR: Final = replace(LOST, pairing=Pairing.WANTED, connection_error=PAIR.connection_error)
NO_LEASE: Final = replace(
    status(
        DISARMED,
        holder="",
        holder_name="",
        session=0,
        reason="just started: take the lease and arm to drive.",
    ),
    has_lease=False,
)
GRACE_DRIVES: Final = replace(
    status(ARMED, holder="bb", holder_name="Grace", reason="Grace drives."), has_lease=False
)
BLOCKED: Final = replace(
    status(ARMED, blocked_forward=True, duty=0.0, reason="Ada drives."),
    ranges=ranges(
        front_left=0.92, front_mid_left=0.34, front_mid_right=0.55, front_right="fault", rear="stale"
    ),
)
UNCONFIRMED: Final = replace(ARMED, e_stop_unconfirmed=True)
OLD_PICTURE: Final = replace(ARMED, picture_age_s=0.9)
NO_CAMERA: Final = replace(
    ARMED,
    picture_age_s=None,
    description=Description(
        **{
            **{name: getattr(DESCRIPTION, name) for name in DESCRIPTION.__struct_fields__},
            "has_camera": False,
        }
    ),
)
WAITING: Final = replace(ARMED, picture_age_s=None, waiting_s=2.0)
SIMULATED: Final = replace(
    ARMED,
    simulated=True,
    address="localhost:1857",
    robot_name="Simulated car",
    description=Description(
        **{
            **{name: getattr(DESCRIPTION, name) for name in DESCRIPTION.__struct_fields__},
            "simulated": True,
            "name": "Simulated car",
            "board": "simulated board",
        }
    ),
)

PAD: Final = PadInputs(
    guid="03000000",
    name="Xbox Wireless Controller",
    mapping=PadMapping(),
    axes=(
        ("leftx", -0.62), ("lefty", 0.1), ("rightx", 0.0), ("righty", -0.3), ("lefttrigger", 0.0),
        ("righttrigger", 0.55),
    ),
    buttons=tuple(
        (name, name == "leftshoulder")
        for name in (
            "a", "b", "x", "y", "back", "guide", "start", "leftstick", "rightstick", "leftshoulder",
            "rightshoulder", "dpup", "dpdown", "dpleft", "dpright",
        )
    ),
)  # fmt: skip
JOYSTICK: Final = PadInputs(
    guid="05000000",
    name="Logitech Extreme 3D",
    mapping=None,
    axes=(("a0", 0.3), ("a1", 0.0), ("a2", -0.7), ("a3", -1.0)),
    buttons=(*((f"b{i}", i == 2) for i in range(12)), *((f"h0.{way}", False) for way in (1, 2, 4, 8))),
)

STATES: Final[dict[str, View]] = {
    "none": NONE,
    "connecting": CONNECTING,
    "refused": REFUSED,
    "lost, and not paired any more": LOST_PAIR,
    "disarmed": DISARMED,
    "arming": ARMING,
    "armed": ARMED,
    "failsafe": FAILSAFE,
    "e_stop": E_STOP,
    "silent": SILENT,
    "lost": LOST,
    "no_lease": NO_LEASE,
    "grace_drives": GRACE_DRIVES,
    "blocked": BLOCKED,
    "unconfirmed": UNCONFIRMED,
    "old_picture": OLD_PICTURE,
    "no_camera": NO_CAMERA,
    "waiting": WAITING,
    "simulated": SIMULATED,
}


def samples(now_s: float, span_s: float = 32.0) -> list[Sample]:
    """Half a minute of every channel, with a stretch out of range and a fault."""
    found: list[Sample] = []
    for i in range(int(span_s / 0.06)):
        at_s = now_s - span_s + i * 0.06
        for k, name in enumerate(BEARINGS):
            state = ReadingState.OK
            if k == 0 and 10 < now_s - at_s < 17:
                state = ReadingState.OUT_OF_RANGE
            if k == 1 and 5 < now_s - at_s < 7:
                state = ReadingState.FAULT
            value = 1.3 + 0.5 * math.sin(i / 40 + k)
            found.append(Sample(stream="proximity", channel=name, at_s=at_s, value=value, state=state))
    for i in range(int(span_s / 0.02)):
        at_s = now_s - span_s + i * 0.02
        found.append(
            Sample(stream="encoder", channel="velocity_mps", at_s=at_s, value=1.4 + 0.2 * math.sin(i / 90))
        )
        found.append(
            Sample(stream="encoder", channel="yaw_rate_radps", at_s=at_s, value=0.9 * math.sin(i / 130))
        )
        if i % 5 == 0:
            found.append(Sample(stream="ina219", channel="", at_s=at_s, value=2.0 + math.sin(i / 70)))
    return found
