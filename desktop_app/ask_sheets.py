"""Two small sheets: taking the lease from somebody, and the link's figures to copy."""

from __future__ import annotations

from PyQt5.QtCore import pyqtSignal
from PyQt5.QtWidgets import QApplication, QPlainTextEdit, QWidget

from desktop_app.button import Button, Tone
from desktop_app.ink import Ink
from desktop_app.lettering import MONO_FACES, find_face, make_font
from desktop_app.sheet import SheetBody
from desktop_app.theme import BODY, Look
from desktop_app.view import View


class TakeSheet(SheetBody):
    """Names who drives, and asks once."""

    title = "Take the lease?"
    taken = pyqtSignal()
    left = pyqtSignal()

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self._who = ""
        self.take = Button(look, "Take", self, tone=Tone.ACCENT)
        self.take.clicked.connect(self.taken)
        self.leave = Button(look, "Cancel", self)
        self.leave.clicked.connect(self.left)

    def ask(self, who: str, robot: str) -> None:
        self._who = who
        self.under = f"{who} drives {robot} now."

    def first(self) -> QWidget:
        return self.leave

    def wanted_height(self, width: float) -> float:
        return 110.0

    def lay_out(self, width: float) -> None:
        self.put(self.take, 4, 52, 130, 40)
        self.put(self.leave, 146, 52, 130, 40)

    def write(self, ink: Ink) -> None:
        words = f"The car stops and is disarmed. {self._who} is told that you took the lease."
        y = 18.0
        for line in self.look.type.wrap(words, BODY, ink.rect.width() - 8):
            ink.text(4, y, line, BODY, self.look.palette.text)
            y += 19


class FiguresSheet(SheetBody):
    """Everything known about the link, as text."""

    title = "Link"
    under = "Select and copy, or copy all. As they were when this opened."

    def __init__(self, look: Look) -> None:
        super().__init__(look)
        self.text = QPlainTextEdit(self)
        self.text.setReadOnly(True)
        self.text.setTabChangesFocus(True)
        self.text.setAccessibleName("Figures of the link")
        self.copy = Button(look, "Copy all", self)
        self.copy.clicked.connect(lambda: QApplication.clipboard().setText(self.text.toPlainText()))

    def first(self) -> QWidget:
        return self.copy

    def show_figures(self, view: View) -> None:
        self.text.setPlainText(figures(view))

    def set_look(self, look: Look) -> None:
        super().set_look(look)
        palette = look.palette
        self.text.setFont(make_font(find_face(MONO_FACES), round(BODY * look.scale), False))
        self.text.setStyleSheet(
            f"QPlainTextEdit {{ background: {palette.window.name()}; color: {palette.text.name()};"
            f" border: 1px solid {palette.edge.name()}; border-radius: 6px; padding: 8px; }}"
            f"QPlainTextEdit:focus {{ border: 2px solid {palette.accent.name()}; }}"
        )

    def wanted_height(self, width: float) -> float:
        return 400.0

    def lay_out(self, width: float) -> None:
        self.put(self.text, 4, 4, width, 336)
        self.put(self.copy, 4, 354, 130, 36)


def figures(view: View) -> str:
    """All figures of the link, one a line."""
    link, status = view.link, view.status
    lines: list[tuple[str, object]] = [
        ("robot", view.robot_name),
        ("address", view.address),
        ("connection", view.connection.name.lower()),
        ("link", link.quality.value.lower()),
        ("round trip ms", link.rtt_ms),
        ("silent s", link.silent_s),
        ("worst gap, 10 s, ms", link.worst_gap_ms),
        ("command age ms", link.command_age_ms),
        ("pictures dropped", link.pictures_dropped),
        ("picture age s", view.picture_age_s),
        ("failsafe trips", link.failsafe_trips),
    ]
    if status is not None:
        counters = status.counters
        lines += [
            ("state", view.state.value if view.state else ""),
            ("status age s", view.status_age_s),
            ("session", status.session),
            ("last seq", status.last_seq),
            ("verdict", status.verdict.name.lower()),
            ("lifespan ms", status.lifespan_ms),
            ("guardian ticks", counters.ticks),
            ("late ticks", counters.late_ticks),
            ("commands", counters.commands),
            ("refused", counters.refused),
            ("e-stops", counters.e_stops),
            ("worker starts", counters.worker_starts),
        ]
    return "\n".join(f"{name:<22} {_written(value)}" for name, value in lines)


def _written(value: object) -> str:
    if value is None or value == "":
        return "–"
    return f"{value:.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
