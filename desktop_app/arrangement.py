"""Where everything stands in a window of this size.  Pure: numbers in, rectangles out.

All in design px; `scale` says how many of the window's px one of them is.  The
text zoom is a wish: it is granted as far as the compact layout still has room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

FULL_SIZE: Final = (1240.0, 760.0)  # from here up
SMALLEST_SIZE: Final = (1024.0, 600.0)  # of the compact layout, and of a window whose screen has that room
_LEAST_SCALE: Final = 0.5
DEFAULT_PANEL: Final = 200.0
_PANEL_RANGE: Final = (193.0, 320.0)
_PICTURE_SMALLEST: Final = (640.0, 475.0)
_LEFT_RANGE: Final = (220.0, 256.0, 400.0)  # smallest, usual, largest
_RIGHT_RANGE: Final = (292.0, 336.0, 440.0)
_RIGHT_FULL: Final = (240.0, 292.0, 112.0)  # Proximity, Drive, Robot: smallest heights
_RIGHT_SHARES: Final = (0.58, 0.27, 0.15)  # of what is left over
_RIGHT_COMPACT: Final = (240.0, 220.0, 56.0)
_LINK_HEIGHT: Final = (200.0, 256.0)
_EVENTS_SMALLEST: Final = 200.0
DRAWER_HEIGHT: Final = 240.0
SHEET_LARGEST: Final = (900.0, 634.0)
WINDOW_USUAL: Final = (1440.0, 900.0)


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    def meets(self, other: Box) -> bool:
        return (
            self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """Boxes by name; None is not shown."""

    scale: float
    is_compact: bool
    bar: Box
    menu: Box | None
    chip: Box
    link_badge: Box
    lease: Box
    banner: Box
    e_stop: Box
    picture: Box
    panel: Box | None  # bottom
    splitter: Box | None
    drawer: Box | None  # where it opens, over the picture
    left: tuple[Box, ...]  # Link, Events
    right: tuple[Box, ...]  # Proximity, Drive, Robot
    sheet: Box  # the part of the window that sheets may cover


def granted_scale(width: float, height: float, zoom: float) -> float:
    """The zoom, as far as the compact layout has room for it; on a screen without that room, less than 1."""
    return max(_LEAST_SCALE, min(zoom, width / SMALLEST_SIZE[0], height / SMALLEST_SIZE[1]))


def arrange(
    width_px: float,
    height_px: float,
    *,
    zoom: float = 1.0,
    panel_height: float = DEFAULT_PANEL,
    shows_left: bool = True,
    shows_panel: bool = True,
    is_full_picture: bool = False,
) -> Arrangement:
    """Lay out a window of this many px."""
    scale = granted_scale(width_px, height_px, zoom)
    width, height = width_px / scale, height_px / scale
    is_compact = width < FULL_SIZE[0] or height < FULL_SIZE[1]
    bar = _bar(width, is_compact)
    gap = 8.0 if is_compact else 12.0
    top = bar["bar"].bottom + gap
    left: tuple[Box, ...] = ()
    right: tuple[Box, ...] = ()
    panel: Box | None = None
    splitter: Box | None = None
    drawer: Box | None = None
    if is_full_picture:
        picture = Box(0, bar["bar"].bottom, width, height - bar["bar"].bottom)
        sheet = picture
    else:
        room = height - top - gap
        left_width, right_width = _columns(
            width, room, gap, panel_height, shows_left, shows_panel, is_compact
        )
        right_x = width - gap - right_width
        right = _right(right_x, top, right_width, room, gap, is_compact)
        x = gap
        if left_width:
            left = _left(gap, top, left_width, room, gap)
            x += left_width + gap
        picture = Box(x, top, right_x - gap - x, room)
        if is_compact:
            depth = min(DRAWER_HEIGHT, room)
            drawer = Box(x, top + room - depth, picture.width, depth)
        elif shows_panel:
            depth = _panel_height(room, gap, panel_height)
            panel = Box(x, top + room - depth, picture.width, depth)
            picture = Box(x, top, picture.width, room - depth - gap)
            splitter = Box(x, picture.bottom, picture.width, gap)
        sheet = Box(0, bar["bar"].bottom, right_x - gap / 2, height - bar["bar"].bottom)
    return Arrangement(
        scale=scale,
        is_compact=is_compact,
        bar=bar["bar"],
        menu=bar.get("menu"),
        chip=bar["chip"],
        link_badge=bar["link_badge"],
        lease=bar["lease"],
        banner=bar["banner"],
        e_stop=bar["e_stop"],
        picture=picture,
        panel=panel,
        splitter=splitter,
        drawer=drawer,
        left=left,
        right=right,
        sheet=sheet,
    )


def sheet_box(area: Box, wanted_height: float) -> Box:
    """Where a sheet of this height stands in the area, both in design px."""
    width = min(SHEET_LARGEST[0], area.width - 16)
    height = min(SHEET_LARGEST[1], wanted_height, area.height - 16)
    return Box(
        round(area.x + (area.width - width) / 2), round(area.y + (area.height - height) / 2), width, height
    )


def _bar(width: float, is_compact: bool) -> dict[str, Box]:
    """The top bar's slots; each keeps its place whatever it shows."""
    if is_compact:
        banner_x = 344.0
        stop = Box(width - 8 - 136, 8, 136, 36)
        return {
            "bar": Box(0, 0, width, 52),
            "menu": Box(8, 8, 36, 36),
            "chip": Box(52, 8, 108, 36),
            "link_badge": Box(172, 8, 92, 36),
            "lease": Box(272, 8, 64, 36),
            "banner": Box(banner_x, 8, stop.x - 8 - banner_x, 36),
            "e_stop": stop,
        }
    banner_x = 464.0
    stop = Box(width - 12 - 176, 8, 176, 48)
    return {
        "bar": Box(0, 0, width, 64),
        "chip": Box(12, 8, 188, 48),
        "link_badge": Box(212, 8, 106, 48),
        "lease": Box(328, 8, 124, 48),
        "banner": Box(banner_x, 8, stop.x - 12 - banner_x, 48),
        "e_stop": stop,
    }


def _columns(
    width: float,
    room: float,
    gap: float,
    panel_height: float,
    shows_left: bool,
    shows_panel: bool,
    is_compact: bool,
) -> tuple[float, float]:
    """Widths of the left and the right column: what a 4:3 picture cannot use goes to them."""
    if is_compact:
        spare = width - 3 * gap - _RIGHT_RANGE[0] - max(_PICTURE_SMALLEST[0], room * 4 / 3)
        return 0.0, _clamp(_RIGHT_RANGE[0] + spare, _RIGHT_RANGE[0], _RIGHT_RANGE[2])
    left_low, left_usual, left_high = _LEFT_RANGE if shows_left else (0.0, 0.0, 0.0)
    right_low, right_usual, right_high = _RIGHT_RANGE
    gaps = gap * (4 if shows_left else 3)
    picture_height = room - (_panel_height(room, gap, panel_height) + gap if shows_panel else 0)
    picture_width = max(_PICTURE_SMALLEST[0], picture_height * 4 / 3)
    spare = width - gaps - left_usual - right_usual - picture_width
    if spare < 0:  # first the picture down to its smallest, then the columns
        lack = max(0.0, _PICTURE_SMALLEST[0] - (width - gaps - left_usual - right_usual))
        share = (left_usual - left_low) / max(1.0, left_usual - left_low + right_usual - right_low)
        return left_usual - lack * share, right_usual - lack * (1 - share)
    half = spare / 2 if shows_left else 0.0
    left = min(left_high, left_usual + half)
    right = min(right_high, right_usual + spare - (left - left_usual))
    return left, right


def _panel_height(room: float, gap: float, wanted: float) -> float:
    """Between its limits; at 1240x760, where both cannot have theirs, the picture comes first."""
    low, high = _PANEL_RANGE
    left_over = room - gap - _PICTURE_SMALLEST[1]
    return min(_clamp(wanted, low, high), left_over)


def _left(x: float, y: float, width: float, room: float, gap: float) -> tuple[Box, ...]:
    link = _clamp(room - gap - _EVENTS_SMALLEST, *_LINK_HEIGHT)
    return (Box(x, y, width, link), Box(x, y + link + gap, width, room - link - gap))


def _right(x: float, y: float, width: float, room: float, gap: float, is_compact: bool) -> tuple[Box, ...]:
    smallest = _RIGHT_COMPACT if is_compact else _RIGHT_FULL
    spare = max(0.0, room - 2 * gap - sum(smallest))
    # Below the window's minimum everything would overlap: cards then run out of the window instead.
    heights = [height + spare * share for height, share in zip(smallest, _RIGHT_SHARES, strict=True)]
    boxes: list[Box] = []
    for height in heights:
        boxes.append(Box(x, y, width, height))
        y += height + gap
    return tuple(boxes)


def _clamp(value: float, low: float, high: float) -> float:
    return max(low, min(high, value))
