"""The contract between a car and its driver: every message, its units and its limits.

Each message travels as msgpack (`encode`, `decode`).  Times are integer ns of
the car's monotonic clock.  Throttle, steering and duty are dimensionless in
[-1, 1]: + is forward, + is left (counter-clockwise, REP 103).
"""

from __future__ import annotations

import enum
import math
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

Unit = Annotated[float, Meta(ge=-1.0, le=1.0)]  # dimensionless, [-1, 1]; NaN is refused by `decode` too
MAX_NS: Final = 2**63 - 1
Ns = Annotated[int, Meta(ge=0, le=MAX_NS)]  # the car's monotonic clock
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]

DEFAULT_PORT: Final = 1857
PATH_LIFESPAN_NS: Final = 1_500_000_000  # from t_capture: what a picture showed is no longer so
PATH_REACH_M: Final = 3.0  # and so far no path is driven, however long it is
PATH_MAX_POINTS: Final = 64  # one every 5 cm
PATH_MAX_GAP_M: Final = 1.0  # between two of them: what lies between is a guess
PATH_MIN_GAP_M: Final = 0.001  # nearer, and they have no direction
PATH_MAX_MPS: Final = 20.0
ABSENT: Final = "absent: "  # begins the state of a stream that is not missed


class State(enum.StrEnum):
    """What the motors may do.  The guardian alone moves from one to the next."""

    DISARMED = "DISARMED"
    ARMING = "ARMING"
    ARMED = "ARMED"
    FAILSAFE = "FAILSAFE"
    E_STOP = "E_STOP"


class Verdict(enum.IntEnum):
    """What became of a command or a request; also what the drive subroutines return."""

    TAKEN = 0
    DISARMED = 1
    NO_LEASE = 2
    STALE = 3
    LIMITED = 4


class Priority(enum.IntEnum):
    """Who outranks whom for the lease; equals need an explicit take."""

    SCRIPT = 0
    NETWORK = 1
    HUMAN = 2


class ReadingState(enum.StrEnum):
    """How far to trust a reading: `out_of_range` means clear to the sensor's full range."""

    OK = "ok"
    OUT_OF_RANGE = "out_of_range"
    FAULT = "fault"
    STALE = "stale"


class DriveCommand(Struct, frozen=True, kw_only=True, tag=True):
    """What the driver wants now.

    `answers_ns` is `Status.stamp_ns` of the newest Status seen by whoever
    sampled the stick, in the same tick: its age covers the whole loop.  A
    sender may resend a command, never restamp it.  `session` comes from the
    lease, `seq` counts up inside it.
    """

    session: Seq
    seq: Seq
    throttle: Unit
    steering: Unit
    answers_ns: Ns

    def __post_init__(self) -> None:
        for name in ("throttle", "steering"):
            value = getattr(self, name)
            # msgspec checks limits when decoding only, and a NaN passes every comparison.
            if not (math.isfinite(value) and -1.0 <= value <= 1.0):
                raise ValueError(f"{name} must be in [-1, 1], got {value}")


class PathPoint(Struct, frozen=True, array_like=True):
    """A point from where the camera was: x forward, y left, and the speed to pass it at."""

    x_m: float
    y_m: float
    speed_mps: float


class DrivePath(Struct, frozen=True, kw_only=True, tag=True):
    """A path to follow, from where the camera was at `t_capture_ns`, in order.

    It begins at the camera, whether or not there is a point.  `answers_ns` is
    the stamp of the oldest of all it was made from, the picture's or an older
    one; `session` and `seq` are those of DriveCommands, in one count with them.
    """

    session: Seq
    seq: Seq
    points: tuple[PathPoint, ...]
    t_capture_ns: Ns
    answers_ns: Ns

    def __post_init__(self) -> None:
        """Nothing of a path is driven that is not good as a whole."""
        if not 2 <= len(self.points) <= PATH_MAX_POINTS:
            raise ValueError(f"points must be 2 to {PATH_MAX_POINTS}, got {len(self.points)}")
        # As above: msgspec looks at these when decoding only.
        if not (0 <= self.t_capture_ns <= MAX_NS and self.answers_ns >= 0):
            raise ValueError(
                f"stamps are ns of the car's clock, 0 to 2**63 - 1; got t_capture_ns {self.t_capture_ns}, "
                f"answers_ns {self.answers_ns}"
            )
        if self.answers_ns > self.t_capture_ns:
            raise ValueError(
                f"answers_ns {self.answers_ns} is after t_capture_ns {self.t_capture_ns}: "
                "it is the oldest stamp of all, the picture's too"
            )
        here, ahead = (0.0, 0.0), (1.0, 0.0)
        for i, point in enumerate(self.points):
            # A NaN fails every comparison, so each of these asks for what is good.
            if not 0.0 <= point.speed_mps <= PATH_MAX_MPS:
                raise ValueError(
                    f"points[{i}]: speed_mps must be in [0, {PATH_MAX_MPS:g}], got {point.speed_mps}"
                )
            step = (point.x_m - here[0], point.y_m - here[1])
            gap_m = math.hypot(*step)
            if not gap_m <= PATH_MAX_GAP_M:
                whence = f"points[{i - 1}]" if i else "the camera"
                raise ValueError(f"points[{i}] is {gap_m:g} m from {whence}, allowed is {PATH_MAX_GAP_M:g} m")
            if gap_m < PATH_MIN_GAP_M:
                if i == 0:
                    continue  # a path may begin with where the camera is
                raise ValueError(f"points[{i}] lies on points[{i - 1}]")
            if step[0] * ahead[0] + step[1] * ahead[1] <= 0.0:
                raise ValueError(f"points[{i}] leads back: the car drives forward")
            here, ahead = (point.x_m, point.y_m), step


class Lease(Struct, frozen=True, kw_only=True, tag=True):
    """Ask to be the one driver.  `take` displaces a holder of equal priority."""

    priority: Priority = Priority.SCRIPT
    take: bool = False


class Release(Struct, frozen=True, tag=True):
    """Give the lease back."""


class Arm(Struct, frozen=True, kw_only=True, tag=True):
    """Let the motors turn, once a neutral command has answered; void 1 s after `answers_ns`."""

    answers_ns: Ns


class Disarm(Struct, frozen=True, tag=True):
    """Motors may not turn until armed again."""


class EStop(Struct, frozen=True, tag=True):
    """Stop now and stay stopped until Reset.  Anyone may send it."""


class Reset(Struct, frozen=True, kw_only=True, tag=True):
    """Leave E_STOP for DISARMED; void if the e-stop was pressed after `answers_ns`."""

    answers_ns: Ns = 0  # the stamp of the Status that said E_STOP; 0 is any


class Counters(Struct, frozen=True, kw_only=True):
    """Counted since the guardian started."""

    ticks: int = 0
    late_ticks: int = 0  # came more than 20 ms after the one before
    commands: int = 0  # distinct DriveCommands and DrivePaths of the lease's session
    refused: int = 0  # no lease, old session, stale, repeated seq does not count
    failsafe_trips: int = 0
    e_stops: int = 0
    worker_starts: int = 0


class Status(Struct, frozen=True, kw_only=True, tag=True):
    """All the guardian knows, 50 times a second; `stamp_ns` is what commands answer."""

    boot: int  # random for each start of the guardian
    stamp_ns: Ns
    state: State
    reason: str  # one sentence for a person: why this state, how to leave it
    holder: str = ""  # controller id in hex of who has the lease; '' is nobody
    holder_name: str = ""
    session: int = 0  # 0 while nobody has the lease
    last_seq: int = -1  # newest command of that session; -1 before the first
    command_age_ns: int = -1  # of the newest command at this tick; -1 when there is none
    verdict: Verdict = Verdict.DISARMED  # on the newest command
    duty: float = 0.0  # put out now, [-1, 1]
    steering: float = 0.0  # put out now, [-1, 1]
    blocked_forward: bool = False  # a sensor that looks ahead is close, faulty or stale
    blocked_backward: bool = False
    path_left_m: float = -1.0  # of the path it follows; -1 when it follows none
    lifespan_ms: int = 200
    counters: Counters = Counters()


class Reading(Struct, frozen=True, kw_only=True, tag=True):
    """One measurement of one channel, with how far to trust it."""

    channel: str  # "front_left"
    seq: Seq
    captured_ns: Ns
    value: float  # in `unit`; the maximum range when out_of_range, the last good one (or 0.0) in a fault
    unit: str  # "m"
    state: ReadingState


class Scan(Struct, frozen=True, kw_only=True, tag=True):
    """The newest Reading of every head of a multi-headed sensor."""

    readings: tuple[Reading, ...]


class Odometry(Struct, frozen=True, kw_only=True, tag=True):
    """Motion from the wheel encoders since the agent started; the pose starts at 0, 0, 0."""

    seq: Seq
    captured_ns: Ns
    left_ticks: int
    right_ticks: int
    distance_m: float  # signed, of the middle of the axle
    x_m: float
    y_m: float
    heading_rad: float
    velocity_mps: float
    yaw_rate_radps: float
    state: ReadingState = ReadingState.OK


class CameraFrame(Struct, frozen=True, kw_only=True, tag=True):
    """One picture: JPEG, sRGB.  `captured_ns` is when the first row was exposed."""

    seq: Seq
    captured_ns: Ns
    width_px: int
    height_px: int
    jpeg: bytes


class Severity(enum.StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Event(Struct, frozen=True, kw_only=True, tag=True):
    """Something a person would want to be told once."""

    captured_ns: Ns
    severity: Severity
    kind: str  # "armed", "lease_taken", "sensor_fault", ...: for icons and filters
    text: str  # one sentence


class StreamInfo(Struct, frozen=True, kw_only=True):
    """What one stream of the robot carries; plugins fill it in through their manifest."""

    name: str
    title: str
    unit: str
    period_s: float  # expected gap between items
    minimum: float = 0.0
    maximum: float = 0.0
    channels: tuple[str, ...] = ()
    bearings_rad: tuple[float, ...] = ()  # where each channel looks, 0 ahead, + left
    state: str = "ok"  # or why it does not run; after ABSENT: because the settings say that there is none


class Description(Struct, frozen=True, kw_only=True, tag=True):
    """What this robot is and offers."""

    name: str
    board: str
    simulated: bool
    has_camera: bool
    streams: tuple[StreamInfo, ...]
    max_throttle: float
    lifespan_ms: int
    version: str
    top_speed_mps: float = 0.0  # at max_throttle, on the flat; 0 where nobody has measured it
    why_no_paths: str = ""  # what keeps it from following a DrivePath; '' when nothing does


Command = DriveCommand | DrivePath

_T = TypeVar("_T", bound=Struct)
_encoder: Final = msgspec.msgpack.Encoder()
# WORKAROUND msgspec 0.22: when two threads are the first to decode one Struct class at the same time,
# the process may die of SIGSEGV (3 % of tries with 8 threads).  So every class is looked at here, by one.
_decoders: Final[dict[type[Struct], msgspec.msgpack.Decoder[Any]]] = {
    kind: msgspec.msgpack.Decoder(kind)
    for kind in tuple(globals().values())
    if isinstance(kind, type) and issubclass(kind, Struct) and kind is not Struct
}


_command_decoder: Final = msgspec.msgpack.Decoder(Command)


def encode(message: Struct) -> bytes:
    """The message as msgpack."""
    return _encoder.encode(message)


def decode(data: bytes, kind: type[_T]) -> _T:
    """A message of this kind out of `data`.

    Raises:
        ValueError: (msgspec.ValidationError, DecodeError) it is not one; the text names the field.
    """
    try:
        message: _T = _decoders[kind].decode(data)
    except RecursionError as exc:  # lists nested deeper than the stack, in a field we do not know
        raise ValueError(f"not a {kind.__name__}: {exc}") from exc
    return message


def decode_command(data: bytes) -> Command:
    """A DriveCommand or a DrivePath out of `data`; raises as `decode`."""
    try:
        command: Command = _command_decoder.decode(data)
    except RecursionError as exc:
        raise ValueError(f"not a command: {exc}") from exc
    return command
