"""What the window shows at one moment: plain values, no Qt.

`link.py` builds one View for each repaint from the newest messages; every card
draws from it and keeps no state of the robot of its own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final

from desktop_app.settings import PadMapping
from pynet_car.messages import Description, Event, Odometry, Reading, ReadingState, State, Status

LIVE_STATES: Final = (State.ARMING, State.ARMED, State.FAILSAFE)  # motors turn, or may soon
PICTURE_STALE_S: Final = 0.5  # an older picture is not what the car sees now


class Connection(enum.Enum):
    NONE = "no robot chosen"
    CONNECTING = "first attempt runs"
    UP = "Status comes in"
    LOST = "was up; tries every 0.5 s"


class Pairing(enum.Enum):
    """What stands between this computer and a robot that refuses it."""

    NONE = "nothing, or not that"
    WANTED = "it does not know us, or we do not know it"
    CHANGED = "another answers where one was paired with"


class Quality(enum.Enum):
    """Of the link, by the worst gap between Status messages in the last 10 s."""

    GOOD = "Good"  # < 100 ms
    FAIR = "Fair"  # < 150 ms
    WEAK = "Weak"  # < 250 ms
    BAD = "Bad"
    LOST = "Lost"  # silent for 300 ms


class Focus(enum.Enum):
    """Which controls this window may take for driving."""

    DRIVE = "the picture or the pad has the focus: keys and gamepad"
    ELSEWHERE = "another control of this window has it: gamepad only"
    AWAY = "not in front, or a sheet or text field has it: nothing, neutral at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    quality: Quality = Quality.LOST
    rtt_ms: float | None = None
    silent_s: float = 0.0
    worst_gap_ms: float | None = None  # in the last 10 s
    command_age_ms: float | None = None  # at the guardian
    pictures_dropped: float | None = None  # share, [0, 1]
    failsafe_trips: int = 0
    history: tuple[tuple[float, float | None], ...] = ()  # (seconds ago, rtt ms; None = silence), 30 s


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeView:
    """One proximity channel: where it looks and what it says."""

    reading: Reading
    bearing_rad: float  # 0 ahead, + left
    age_s: float
    is_stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveView:
    """What the driver asks, and what stands in the way."""

    source: str = "Keys"  # or "Gamepad · hold LB", "Pad"
    hold: str = "LB"  # the gamepad's button to hold
    throttle: float = 0.0  # asked, [-1, 1]
    steering: float = 0.0
    limit: float = 0.5  # (0, 1], of throttle
    hint: str = ""  # "Click the picture to drive", "Let go first", ...
    full_throttle: float = 1.0  # (0, 1], where the robot cuts it
    top_speed_mps: float | None = None  # at full_throttle, if the robot says so; the speed bar's end


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    event: Event
    at_s: float  # wall clock, for people
    count: int = 1  # the same text repeated


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureView:
    """The camera stream's figures over the last second."""

    fps: float = 0.0
    width_px: int = 0
    height_px: int = 0
    bits_per_s: float = 0.0
    last_at_s: float = 0.0  # wall clock of the newest picture, for people


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One point for the charts.  `stream` and `channel` as in `describe`; the encoder's channels are
    "velocity_mps" and "yaw_rate_radps"."""

    stream: str
    channel: str
    at_s: float  # this computer's monotonic clock
    value: float
    state: ReadingState = ReadingState.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownRobot:
    """One row of the connect sheet."""

    address: str  # "" is the simulated car of this computer
    name: str = ""
    board: str = ""
    simulated: bool = False
    is_connected: bool = False
    is_starting: bool = False  # the simulated car
    is_paired: bool | None = None  # its key is on our list; None: it has never shown one
    is_found: bool = False  # not remembered: it tells this network of itself, and may be anything


@dataclass(frozen=True, slots=True, kw_only=True)
class PadInputs:
    """One gamepad or joystick as it stands now."""

    guid: str
    name: str
    mapping: PadMapping | None  # None: SDL has none for it, its inputs have numbers
    axes: tuple[tuple[str, float], ...]  # [-1, 1], triggers of a mapped one [0, 1]; + is right and down
    buttons: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything the cards draw from, except the picture and the charts' samples."""

    connection: Connection = Connection.NONE
    address: str = ""
    robot_name: str = ""
    simulated: bool = False
    connection_error: str = ""  # in words for people, with the next step
    pairing: Pairing = Pairing.NONE
    status: Status | None = None
    status_age_s: float = 0.0
    state: State | None = None  # as told, or as the guardian's rules must have made of it
    is_assumed: bool = False  # Status is older than 300 ms
    has_lease: bool = False
    is_arming: bool = False  # an Arm of ours is on its way
    e_stop_unconfirmed: bool = False  # sent 150 ms ago, no Status says so yet
    link: LinkView = field(default_factory=LinkView)
    drive: DriveView = field(default_factory=DriveView)
    odometry: Odometry | None = None
    odometry_age_s: float = 0.0
    ranges: tuple[RangeView, ...] = ()
    description: Description | None = None
    events: tuple[EventView, ...] = ()  # newest first
    picture_age_s: float | None = None  # None before the first
    picture: PictureView = field(default_factory=PictureView)
    pads: tuple[PadInputs, ...] = ()  # the one in use first
    waiting_s: float = 0.0  # for the first picture, or for the first answer of the robot
