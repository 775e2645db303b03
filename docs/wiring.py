"""The wiring pictures of the tutorial: `python -m docs.wiring` draws docs/pictures/wiring-*.svg and .png.

Each is a Pi's header with the pins it uses, some parts, and the wires between
them.  The pins are those of the settings in examples/l293d, so that picture and
settings cannot disagree.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

from pi_agent.config import AgentConfig, load_config

FOLDER: Final = Path("docs/pictures")
EXAMPLES: Final = Path("examples/l293d")
PNG_SCALE: Final = 1.5

# Physical pin of the header: what it is.
HEADER: Final = dict(
    enumerate(
        [
            "3V3",
            "5V",
            "2",
            "5V",
            "3",
            "GND",
            "4",
            "14",
            "GND",
            "15",
            "17",
            "18",
            "27",
            "GND",
            "22",
            "23",
            "3V3",
            "24",
            "10",
            "GND",
            "9",
            "25",
            "11",
            "8",
            "GND",
            "7",
            "ID",
            "ID",
            "5",
            "GND",
            "6",
            "12",
            "13",
            "GND",
            "19",
            "16",
            "26",
            "20",
            "GND",
            "21",
        ],
        1,
    )
)
BLACK, RED, WHITE = "#22272e", "#d1242f", "#ffffff"
BLUE, ORANGE, GREEN, PURPLE = "#0969da", "#c45c00", "#1a7f37", "#8250df"
PAPER, INK, FAINT, BOARD, PAD = "#ffffff", "#1f2328", "#8c959f", "#eef4ee", "#d8b04a"

ROW, TOP = 30, 150  # of the header's rows, px
TAG_HEIGHT = 24


@dataclass(frozen=True)
class Terminal:
    """One screw or pin of a part."""

    name: str
    x: float
    y: float


@dataclass
class Drawing:
    """An SVG in the making."""

    width: int
    height: int
    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        self.lines.append(line)

    def box(
        self, x: float, y: float, width: float, height: float, fill: str, edge: str = INK, r: float = 8
    ) -> None:
        self.add(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{r:g}" '
            f'fill="{fill}" stroke="{edge}" stroke-width="1.5"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        size: int = 14,
        at: str = "start",
        fill: str = INK,
        bold: bool = False,
    ) -> None:
        weight = ' font-weight="bold"' if bold else ""
        self.add(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" text-anchor="{at}" fill="{fill}"{weight}>'
            f"{escape(words)}</text>"
        )

    def tag(self, x: float, y: float, words: str, colour: str, *, width: float, at: str = "middle") -> None:
        """A label on its colour, `x` its left end, `y` its middle."""
        self.box(x, y - TAG_HEIGHT / 2, width, TAG_HEIGHT, colour, colour, r=5)
        self.text(x + width / 2, y + 5, words, at="middle", fill=WHITE, bold=True, size=13)

    def wire(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        """Straight pieces with round corners, on a white seam where it crosses another."""
        path = _rounded(points)
        for stroke, width, cap in ((PAPER, 9, "butt"), (colour, 4.5, "round")):
            self.add(
                f'<path d="{path}" fill="none" stroke="{stroke}" stroke-width="{width}" '
                f'stroke-linecap="{cap}"/>'
            )

    def dot(self, x: float, y: float, colour: str) -> None:
        self.add(f'<circle cx="{x:g}" cy="{y:g}" r="6" fill="{colour}"/>')

    def svg(self) -> str:
        body = "\n".join(self.lines)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="DejaVu Sans, Verdana, sans-serif">\n'
            f'<rect width="{self.width}" height="{self.height}" fill="{PAPER}"/>\n{body}\n</svg>\n'
        )


def _rounded(points: Sequence[tuple[float, float]], radius: float = 12) -> str:
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        ends = []
        for other in (before, after):
            dx, dy = other[0] - corner[0], other[1] - corner[1]
            length = max(abs(dx), abs(dy)) or 1.0
            step = min(radius, length / 2)
            ends.append((corner[0] + dx / length * step, corner[1] + dy / length * step))
        path += f" L{ends[0][0]:g} {ends[0][1]:g} Q{corner[0]:g} {corner[1]:g} {ends[1][0]:g} {ends[1][1]:g}"
    return path + f" L{points[-1][0]:g} {points[-1][1]:g}"


def physical(bcm: int | str, nth: int = 0) -> int:
    """The header pin that carries this GPIO, or the nth one of this supply."""
    return [pin for pin, name in HEADER.items() if name == str(bcm)][nth]


class Header:
    """The Pi's 40 pins, seen from above, with the board's edge at the right."""

    TAG_WIDTH: Final = 116

    def __init__(self, drawing: Drawing, x: float) -> None:
        self._drawing, self._x = drawing, x
        drawing.box(x - 26, TOP - 26, 96, 20 * ROW + 20, "#2d6a4f", "#1b4332", r=10)
        drawing.text(x + 22, TOP - 80, "Raspberry Pi", at="middle", bold=True, size=16)
        drawing.text(x + 22, TOP - 60, "pin 1: the SD card's end", at="middle", size=12, fill=FAINT)
        drawing.text(x + 22, TOP + 20 * ROW + 14, "the USB sockets' end", at="middle", size=12, fill=FAINT)
        for pin in HEADER:
            px, py = self._pad(pin)
            shape = "rect" if pin == 1 else "circle"
            place = (
                f'x="{px - 9:g}" y="{py - 9:g}" width="18" height="18"'
                if shape == "rect"
                else f'cx="{px:g}" cy="{py:g}" r="9"'
            )
            drawing.add(f'<{shape} {place} fill="{PAD}" stroke="#8a6d1f"/>')
            drawing.text(px, py + 3.5, str(pin), at="middle", size=9)

    def _pad(self, pin: int) -> tuple[float, float]:
        return self._x + (0 if pin % 2 else 44), TOP + (pin - 1) // 2 * ROW

    def use(self, pin: int, colour: str) -> Terminal:
        """Tag this pin; the terminal is where its wire begins: left of odd pins, right of even ones."""
        px, py = self._pad(pin)
        name = HEADER[pin]
        words = f"GPIO {name}" if name.isdecimal() else {"3V3": "3.3 V", "5V": "5 V"}.get(name, name)
        self._drawing.add(
            f'<circle cx="{px:g}" cy="{py:g}" r="12" fill="none" stroke="{colour}" stroke-width="4"/>'
        )
        width = self.TAG_WIDTH
        x = px - 34 - width if pin % 2 else px + 34
        self._drawing.tag(x, py, f"{words} · {pin}", colour, width=width)
        return Terminal(words, x if pin % 2 else x + width, py)


class Part:
    """A board with terminals on its sides."""

    def __init__(
        self, drawing: Drawing, x: float, y: float, width: float, height: float, title: str, note: str
    ) -> None:
        self._drawing = drawing
        self.x, self.y, self.width, self.height = x, y, width, height
        drawing.box(x, y, width, height, BOARD)
        drawing.text(x + width / 2, y + 30, title, at="middle", bold=True, size=17)
        for number, line in enumerate(note.split("\n")):
            drawing.text(x + width / 2, y + 52 + 18 * number, line, at="middle", size=12, fill="#57606a")

    def right(self, y: float, name: str, colour: str, what: str = "") -> Terminal:
        x = self.x + self.width
        self._drawing.tag(x - 58, y, name, colour, width=58)
        self._drawing.text(x - 66, y + 5, what, at="end", size=12)
        return Terminal(name, x, y)

    def left(self, y: float, name: str, colour: str, what: str = "") -> Terminal:
        self._drawing.tag(self.x, y, name, colour, width=58)
        self._drawing.text(self.x + 66, y + 5, what, size=12)
        return Terminal(name, self.x, y)

    def below(self, x: float, name: str, colour: str) -> Terminal:
        y = self.y + self.height
        self._drawing.tag(x - 29, y - TAG_HEIGHT / 2, name, colour, width=58)
        return Terminal(name, x, y)


def motor(drawing: Drawing, x: float, y: float, name: str) -> tuple[Terminal, Terminal]:
    drawing.add(f'<circle cx="{x:g}" cy="{y:g}" r="52" fill="#f6f8fa" stroke="{INK}" stroke-width="2.5"/>')
    drawing.text(x, y + 9, "M", at="middle", size=26, bold=True)
    drawing.text(x, y + 78, name, at="middle", size=14, bold=True)
    for dy in (-22, 22):
        drawing.dot(x + 47, y + dy, INK)
    return Terminal("+", x + 47, y - 22), Terminal("-", x + 47, y + 22)


def draw_l293d(config: AgentConfig) -> str:
    """Two motors on an L293D board."""
    drawing = Drawing(1270, 870)
    left, right = config.drive.left, config.drive.right
    title = f"L293D board: left motor on GPIO {left.forward_pin}/{left.backward_pin}, "
    title += f"right motor on GPIO {right.forward_pin}/{right.backward_pin}"
    drawing.text(40, 50, title, size=20, bold=True)
    header = Header(drawing, 1040)
    board = Part(drawing, 330, 180, 300, 440, "L293D motor board", "both EN jumpers stay on")
    vcc, supply = board.right(270, "VCC", RED, "logic supply"), header.use(physical("5V"), RED)
    over, down = TOP - 40, supply.x - Header.TAG_WIDTH / 2
    drawing.wire(
        [(vcc.x, vcc.y), (670, vcc.y), (670, over), (down, over), (down, supply.y - TAG_HEIGHT / 2)], RED
    )
    rows = (
        (physical("GND", 1), "GND", BLACK, "ground", 310),
        (physical(_pin(right.forward_pin)), "IN3", GREEN, "right forward", 370),
        (physical(_pin(right.backward_pin)), "IN4", PURPLE, "right backward", 410),
        (physical(_pin(left.backward_pin)), "IN2", ORANGE, "left backward", 470),
        (physical(_pin(left.forward_pin)), "IN1", BLUE, "left forward", 510),
    )
    for number, (pin, name, colour, what, y) in enumerate(rows):
        here, there = board.right(y, name, colour, what), header.use(pin, colour)
        turn = 710 + 36 * number  # each further out than the one above: none crosses another
        drawing.wire([(here.x, here.y), (turn, here.y), (turn, there.y), (there.x, there.y)], colour)
    for y, name, ends in ((330, "right motor", ("OUT3", "OUT4")), (490, "left motor", ("OUT1", "OUT2"))):
        plus, minus = motor(drawing, 110, y, name)
        for terminal, label, offset in ((plus, ends[0], -22), (minus, ends[1], 22)):
            end = board.left(y + offset, label, "#57606a")
            drawing.wire([(terminal.x, terminal.y), (end.x, end.y)], "#57606a")
    battery(drawing, board, 740)
    for number, words in enumerate(
        (
            "GPIO 17 · 11 is GPIO 17, which is pin 11 of the header.",
            "The grounds of battery, board and Pi meet on the board.",
            "The battery's + goes to the board only, never to the Pi.",
            "10 kΩ from each IN to GND keep the motors still while no program runs.",
        )
    ):
        drawing.text(700, 790 + 22 * number, "•  " + words, size=13)
    return drawing.svg()


def battery(drawing: Drawing, board: Part, y: float) -> None:
    """The motors' own supply below the board, with its switch."""
    plus, minus = board.below(400, "VM", RED), board.below(560, "GND", BLACK)
    drawing.box(330, y - 28, 300, 56, "#f6f8fa")
    drawing.text(480, y + 6, "motor battery, 6-9 V", at="middle", size=15, bold=True)
    drawing.wire([(plus.x, plus.y), (plus.x, y - 28)], RED)
    drawing.wire([(minus.x, minus.y), (minus.x, y - 28)], BLACK)
    drawing.box(352, y - 90, 96, 30, PAPER, RED, r=15)
    drawing.text(400, y - 70, "switch", at="middle", size=13, fill=RED, bold=True)
    drawing.text(378, y - 36, "+", at="middle", size=18, bold=True, fill=RED)
    drawing.text(582, y - 36, "−", at="middle", size=18, bold=True)


def draw_sensors(config: AgentConfig) -> str:
    """A ranger behind its divider, and two encoders."""
    drawing = Drawing(1270, 870)
    (head,) = config.proximity.heads
    drawing.text(40, 50, "HC-SR04 ranger and two wheel encoders", size=20, bold=True)
    header = Header(drawing, 1040)
    sonar = Part(drawing, 60, 150, 240, 250, "HC-SR04", "ultrasonic ranger")
    vcc, supply = sonar.right(230, "Vcc", RED), header.use(physical("5V", 1), RED)
    over, down = TOP - 40, supply.x - Header.TAG_WIDTH / 2
    drawing.wire(
        [(vcc.x, vcc.y), (340, vcc.y), (340, over), (down, over), (down, supply.y - TAG_HEIGHT / 2)], RED
    )
    trigger, fires = sonar.right(275, "Trig", GREEN), header.use(physical(head.trigger_pin), GREEN)
    drawing.wire([(trigger.x, trigger.y), (820, trigger.y), (820, fires.y), (fires.x, fires.y)], GREEN)
    echo, ground = sonar.right(320, "Echo", PURPLE), sonar.right(365, "Gnd", BLACK)
    hears, earth = header.use(physical(head.echo_pin), PURPLE), header.use(physical("GND", 4), BLACK)
    drawing.wire([(ground.x, ground.y), (360, ground.y), (360, earth.y), (earth.x, earth.y)], BLACK)
    drawing.wire([(echo.x, echo.y), (700, echo.y), (700, hears.y), (hears.x, hears.y)], PURPLE)
    drawing.wire([(520, echo.y), (520, earth.y)], BLACK)
    drawing.dot(520, echo.y, PURPLE)
    drawing.dot(520, earth.y, BLACK)
    resistor(drawing, 420, echo.y, "1 kΩ")
    resistor(drawing, 520, (echo.y + earth.y) / 2, "2 kΩ")
    drawing.text(564, 395, "Echo is 5 V, which", size=12)
    drawing.text(564, 412, "kills the pin; two", size=12)
    drawing.text(564, 429, "resistors leave 3.3 V", size=12)
    for x, side, pins, colours, y in (
        (60, "left", config.encoder.left_pins, (BLUE, ORANGE), 470),
        (60, "right", config.encoder.right_pins, ("#0a7d8c", "#bf3989"), 670),
    ):
        part = Part(drawing, x, y, 240, 170, f"{side} encoder", "")
        for number, (channel, pin, colour) in enumerate(zip("AB", pins, colours, strict=True)):
            here, there = part.right(y + 60 + 30 * number, channel, colour), header.use(physical(pin), colour)
            turn = 865 - 25 * number if there.y > here.y else 840 + 25 * number
            drawing.wire([(here.x, here.y), (turn, here.y), (turn, there.y), (there.x, there.y)], colour)
        for number, (name, colour, where) in enumerate(
            (("V", RED, "to 3.3 V · 17"), ("GND", BLACK, "to GND · 39"))
        ):
            end = part.right(y + 120 + 30 * number, name, colour)
            drawing.wire([(end.x, end.y), (end.x + 40, end.y)], colour)
            drawing.tag(end.x + 40, end.y, where, colour, width=Header.TAG_WIDTH)
    header.use(physical("3V3", 1), RED)
    header.use(physical("GND", 7), BLACK)
    return drawing.svg()


def resistor(drawing: Drawing, x: float, y: float, ohms: str) -> None:
    drawing.box(x - 34, y - 14, 68, 28, "#fff8e6", "#9a6700", r=6)
    drawing.text(x, y + 5, ohms, at="middle", size=13, bold=True)


def _pin(address: int | str | None) -> int:
    if not isinstance(address, int):
        raise ValueError(f"this picture is of plain pins, found {address!r}")
    return address


def pictures() -> Iterator[tuple[str, str]]:
    """(name, SVG) of each."""
    yield "wiring-l293d", draw_l293d(load_config(EXAMPLES / "agent.toml"))
    yield "wiring-sensors", draw_sensors(load_config(EXAMPLES / "with_sensors.toml"))


def save_png(svg: str, path: Path) -> None:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    # Here: who only wants the text of a picture, as the tests do, needs no Qt.
    from PyQt5.QtCore import QByteArray, Qt
    from PyQt5.QtGui import QGuiApplication, QImage, QPainter
    from PyQt5.QtSvg import QSvgRenderer

    application = QGuiApplication([])
    renderer = QSvgRenderer(QByteArray(svg.encode()))
    image = QImage(renderer.defaultSize() * PNG_SCALE, QImage.Format.Format_RGB32)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    renderer.render(painter)
    painter.end()
    # A few flat colours: a quarter of the bytes.
    few = image.convertToFormat(QImage.Format.Format_Indexed8, Qt.ImageConversionFlag.ThresholdDither)
    if not few.save(str(path)):
        raise OSError(f"cannot write {path}")
    del application


def main() -> None:
    argparse.ArgumentParser(prog="python -m docs.wiring", description=__doc__).parse_args()
    for name, svg in pictures():
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
        save_png(svg, FOLDER / f"{name}.png")
        print(f"drew {FOLDER / name}.svg and .png")


if __name__ == "__main__":
    main()
