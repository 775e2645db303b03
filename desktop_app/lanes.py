"""The charts' memory: one ring of samples a lane, thinned to pixel columns, cut at every gap.  No Qt.

What is drawn of a lane is a line where it was measured, nothing across a gap,
and stretches of another kind: out of range, or fault and stale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from desktop_app.view import Sample
from pynet_car.messages import Description, ReadingState

LONGEST_S: Final = 600.0
MOST_SAMPLES: Final = 36_000  # 10 min at 60 Hz; above that the oldest go sooner
ENCODER: Final = "encoder"
_STATES: Final = tuple(ReadingState)
_OK: Final = _STATES.index(ReadingState.OK)
_CLEAR: Final = _STATES.index(ReadingState.OUT_OF_RANGE)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LaneInfo:
    """What a lane shows, and how it is called."""

    stream: str
    channel: str
    title: str
    unit: str
    under: str  # "m · proximity"
    period_s: float
    low: float  # of the scale; low == high: from what is seen
    high: float

    @property
    def key(self) -> tuple[str, str]:
        return (self.stream, self.channel)

    @property
    def gap_s(self) -> float:
        """A longer pause between two samples is a gap."""
        return max(0.25, 3 * self.period_s)


def lanes_of(description: Description | None) -> tuple[LaneInfo, ...]:
    """A lane for each number the robot streams."""
    lanes: list[LaneInfo] = []
    for stream in description.streams if description else ():
        if stream.name == ENCODER:
            for channel, title, unit in (
                ("velocity_mps", "Wheel speed", "m/s"),
                ("yaw_rate_radps", "Yaw rate", "rad/s"),
            ):
                under = f"{unit} · encoder"
                lanes.append(LaneInfo(stream.name, channel, title, unit, under, stream.period_s, 0.0, 0.0))
            continue
        if not stream.unit or stream.name == "camera":
            continue
        low, high = (stream.minimum, stream.maximum) if stream.maximum > stream.minimum else (0.0, 0.0)
        for channel in stream.channels or ("",):
            title = channel.replace("_", " ").capitalize() or stream.title or stream.name
            under = f"{stream.unit} · {stream.name}"
            lanes.append(
                LaneInfo(stream.name, channel, title, stream.unit, under, stream.period_s, low, high)
            )
    # Motion first: that is what one looks for.
    return tuple(sorted(lanes, key=lambda lane: lane.stream != ENCODER))


@dataclass(frozen=True, slots=True)
class Trace:
    """What to draw of one lane: x is seconds before the right edge (<= 0), NaN breaks the line."""

    x: Floats
    y: Floats
    clear: tuple[tuple[float, float], ...]  # stretches out of range
    bad: tuple[tuple[float, float], ...]  # fault, stale or silent
    low: float
    high: float
    newest: float | None  # the value at the right edge; None: nothing to believe there
    newest_is_clear: bool = False


@dataclass(slots=True)
class Lane:
    """The samples of one channel, oldest overwritten first."""

    info: LaneInfo
    _times: Floats = field(init=False)
    _values: Floats = field(init=False)
    _states: NDArray[np.uint8] = field(init=False)
    _next: int = 0
    _count: int = 0
    _newest_s: float = -math.inf

    def __post_init__(self) -> None:
        size = MOST_SAMPLES
        if self.info.period_s > 0:
            size = min(MOST_SAMPLES, math.ceil(LONGEST_S / self.info.period_s) + 64)
        self._times = np.zeros(size)
        self._values = np.zeros(size)
        self._states = np.zeros(size, np.uint8)

    def add(self, sample: Sample) -> None:
        """One sample; one that is older than the newest is taken to be as old as that."""
        state = _STATES.index(sample.state)
        if not math.isfinite(sample.value):
            state = _STATES.index(ReadingState.FAULT)
        self._newest_s = max(self._newest_s, sample.at_s)
        at = self._next
        self._times[at] = self._newest_s
        self._values[at] = sample.value if state in (_OK, _CLEAR) else 0.0
        self._states[at] = state
        self._next = (at + 1) % len(self._times)
        self._count = min(self._count + 1, len(self._times))

    @property
    def is_empty(self) -> bool:
        return self._count == 0

    def _between(self, from_s: float, to_s: float) -> tuple[Floats, Floats, NDArray[np.uint8]]:
        """Samples in this stretch and one before it, oldest first."""
        order = (self._next - self._count + np.arange(self._count)) % len(self._times)
        times = self._times[order]
        first = max(0, int(np.searchsorted(times, from_s)) - 1)
        last = int(np.searchsorted(times, to_s, side="right"))
        part = order[first:last]
        return times[first:last], self._values[part], self._states[part]

    def trace(self, now_s: float, span_s: float, columns: int) -> Trace:
        """What to draw of the last `span_s` before `now_s` on so many pixel columns."""
        times, values, states = self._between(now_s - span_s, now_s)
        ok = states == _OK
        low, high = self._scale(values[ok])
        clear, bad = self._stretches(times, states, now_s, span_s)
        x, y = _thin(times[ok], values[ok], span_s / max(1, columns), self._breaks(times, ok))
        newest: float | None = None
        newest_is_clear = False
        if len(times) and now_s - times[-1] <= self.info.gap_s and states[-1] in (_OK, _CLEAR):
            newest, newest_is_clear = float(values[-1]), bool(states[-1] == _CLEAR)
        return Trace(np.minimum(x - now_s, 0.0), y, clear, bad, low, high, newest, newest_is_clear)

    def _scale(self, values: Floats) -> tuple[float, float]:
        if self.info.high > self.info.low:
            return self.info.low, self.info.high
        if not len(values):
            return 0.0, 1.0
        low, high = min(0.0, float(np.min(values))), max(0.0, float(np.max(values)))
        step = 10.0 ** math.floor(math.log10(max(high - low, 0.1)))  # whole steps: the scale does not shiver
        return math.floor(low / step) * step, max(math.ceil(high / step) * step, low + step)

    def _breaks(self, times: Floats, ok: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """For each ok sample: whether the line starts anew there."""
        breaks = np.ones(len(times), bool)
        if len(times) > 1:
            breaks[1:] = (np.diff(times) > self.info.gap_s) | ~ok[:-1]
        return breaks[ok]

    def _stretches(
        self, times: Floats, states: NDArray[np.uint8], now_s: float, span_s: float
    ) -> tuple[tuple[tuple[float, float], ...], tuple[tuple[float, float], ...]]:
        clear: list[tuple[float, float]] = []
        bad: list[tuple[float, float]] = []
        if not len(times):
            return (), ()
        # Runs of one kind, cut at silences too.
        cut = np.flatnonzero((np.diff(states) != 0) | (np.diff(times) > self.info.gap_s)) + 1
        starts = np.concatenate(([0], cut))
        ends = np.concatenate((cut, [len(times)]))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            state = int(states[start])
            until = float(times[end]) if end < len(times) else min(now_s, float(times[-1]) + self.info.gap_s)
            silent_from = float(times[end - 1])
            is_silent = (until if end < len(times) else now_s) - silent_from > self.info.gap_s
            if state != _OK:
                stop = silent_from if is_silent else until
                (clear if state == _CLEAR else bad).append((float(times[start]), stop))
            if is_silent:
                bad.append((silent_from, float(times[end]) if end < len(times) else now_s))
        oldest = now_s - span_s

        def relative(found: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
            return tuple((max(a, oldest) - now_s, b - now_s) for a, b in found if b > oldest)

        return relative(clear), relative(bad)


def _thin(times: Floats, values: Floats, column_s: float, breaks: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """At most two points a column, its lowest and its highest, NaN before each break."""
    starts = np.flatnonzero(breaks)
    runs = np.cumsum(breaks)
    # Columns stand still in time, not on the screen: the thinned line scrolls without shimmering.
    column = np.floor(times / column_s) if len(times) else times
    new = np.ones(len(times), bool)
    new[1:] = (np.diff(column) != 0) | (np.diff(runs) != 0)
    firsts = np.flatnonzero(new)
    if len(firsts) * 2 < len(times):
        lows, highs = np.minimum.reduceat(values, firsts), np.maximum.reduceat(values, firsts)
        x = np.repeat(times[firsts], 2)
        x[1::2] += column_s / 2
        y = np.empty(len(x))
        y[0::2], y[1::2] = lows, highs
        starts = np.flatnonzero(breaks[firsts]) * 2
    else:
        x, y = times, values
    starts = starts[starts > 0]
    return np.insert(x, starts, np.nan), np.insert(y, starts, np.nan)
