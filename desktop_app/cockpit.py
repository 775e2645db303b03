"""One window and its robot: views come in, and every wish of the person is passed on.  GUI thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

from PyQt5.QtCore import QObject, QSize, QTimer, QUrl, pyqtSignal
from PyQt5.QtGui import QDesktopServices

from desktop_app.actions import Actions, Outcome
from desktop_app.event_log import EventLog
from desktop_app.frames import Frames
from desktop_app.gamepad import PadButton
from desktop_app.hands import Hands
from desktop_app.icons import Icon
from desktop_app.keyring import Keyring
from desktop_app.keys import Deed, KeyMap
from desktop_app.link import Link
from desktop_app.main_window import MainWindow
from desktop_app.pairing import Pairing, PairingOutcome
from desktop_app.samples import Samples
from desktop_app.settings import Robot
from desktop_app.snapshot import SnapshotSaver
from desktop_app.sounds import alarm_of
from desktop_app.toasts import Toast
from desktop_app.view import Focus, PadInputs
from desktop_app.viewing import view_of
from desktop_app.words import no_robot
from pynet_car.messages import Event, Severity

SHOW_MS: Final = 33  # gauges and charts
CLOSE_WITHIN_S: Final = 3.0  # a robot out of reach cannot be disarmed: its failsafe has done that
MAX_NUMBER: Final = 0x7FFF_FFFF  # of a picture, in a signal


class Cockpit(QObject):
    """What `app.py` has one of for each window."""

    described = pyqtSignal(object)  # itself: the robot has said what it is
    paired = pyqtSignal(object, object)  # itself, and a PairingOutcome that went well
    alarmed = pyqtSignal(object)  # Alarm: something that may be heard has happened
    closed = pyqtSignal(object)  # itself: disarmed, and its window gone

    def __init__(
        self,
        window: MainWindow,
        *,
        name: str,
        limit: float,
        pictures: Path,
        keyring: Keyring,
        pads: Callable[[], tuple[PadInputs, ...]] = lambda: (),
    ) -> None:
        """`name` is what others see of us; `pictures` is where snapshots go; `pads` are those there are."""
        super().__init__()
        self.window = window
        self.events = EventLog()
        self.frames = Frames(age_s=self._frame_age_s, on_corrupt=self._on_corrupt)
        self.robot: Actions | None = None
        self.hands = Hands(
            limit,
            robot=lambda: self.robot,
            picture_age_s=self.frames.age_s,
            on_event=lambda text: self.tell(Severity.WARNING, "window_stuck", text),
            on_disarm=self._on_disarm,
        )
        self._name = name
        self._pictures = pictures
        self._pads = pads
        self._samples = Samples()
        self._snapshots = SnapshotSaver()
        self._keyring = keyring
        self._pairing = Pairing(keyring, name)
        self._error = ""
        self._was_described = False
        self._had_lease = False
        self._timer = QTimer(self)
        self._timer.setInterval(SHOW_MS)
        self._timer.timeout.connect(self.show_now)
        self._wire(window)
        self.hands.keys = window.look.keys
        self.hands.set_focus(window.focus)
        self._set_room(window.picture.room_px)
        self._timer.start()
        self.show_now()

    def _wire(self, window: MainWindow) -> None:
        window.e_stop_pressed.connect(self.e_stop)
        window.arm_asked.connect(self.arm)
        window.disarm_asked.connect(self.disarm)
        window.reset_asked.connect(self._reset)
        window.take_asked.connect(self._take)
        window.give_asked.connect(self._give)
        window.limit_asked.connect(self.hands.teleop.set_limit)
        window.pad_dragged.connect(self.hands.teleop.drag)
        window.pad_released.connect(self.hands.drop)
        window.key_pressed.connect(self.hands.press)
        window.key_held_over.connect(self.hands.hold_over)
        window.key_released.connect(self.hands.release)
        window.focus_changed.connect(self.hands.set_focus)
        window.snapshot_asked.connect(self._snapshot)
        window.toast_clicked.connect(self._toast_clicked)
        window.close_asked.connect(self.close)
        window.picture.room_changed.connect(self._set_room)
        self.frames.ready.announced.connect(self._show_picture)
        self._snapshots.saved.connect(self._say_saved)
        window.pair_sheet.set_name(self._name)
        window.pair_sheet.pair_asked.connect(self._pair)
        self._pairing.finished.connect(self._on_paired)

    # The robot.

    def connect_to(
        self, host: str, port: int, *, keyring: Keyring | None = None, known: Robot | None = None
    ) -> None:
        """See this robot; one that was asked for before and never answered is forgotten.

        `keyring` has the keys for it, if they are not the usual ones; `known` is what is remembered of it.
        """
        self._leave()
        self._error = ""
        link = Link(
            host,
            port,
            name=self._name,
            on_frame=self.frames.put,
            events=self.events,
            samples=self._samples,
            keyring=keyring or self._keyring,
            known=known,
        )
        link.news.announced.connect(self._on_news)
        self.robot = Actions(link, lambda: self.window.look.keys)
        self._name_keys()
        self.robot.finished.connect(self._on_outcome)
        self.show_now()

    def set_keys(self, keys: KeyMap) -> None:
        """From now on these are the keys of this window."""
        self.hands.keys = keys
        self.window.set_keys(keys)
        self._name_keys()

    def _name_keys(self) -> None:
        if self.robot is not None:
            self.robot.link.arm_key = self.window.look.keys.cap(Deed.ARM)

    def fail(self, error: str) -> None:
        """There is no robot to connect to; say why."""
        self._error = error
        self.show_now()

    @property
    def was_reached(self) -> bool:
        """Its robot answered once: another one gets a window of its own."""
        return self.robot is not None and self.robot.link.operator is not None

    def _leave(self) -> None:
        self.hands.stop()
        if self.robot is not None:
            self.robot.close()
            self.robot.link.close()
        self.robot = None
        self._was_described = self._had_lease = False

    def _pair(self, code: str, port: int) -> None:
        if self.robot is not None:
            self.window.pair_sheet.show_running()
            self._pairing.start(self.robot.link.host, port, code)

    def _on_paired(self, outcome: PairingOutcome) -> None:
        is_meant = self.robot is not None and self.robot.link.host == outcome.host
        if outcome.error:
            self.tell(Severity.WARNING, "pairing", outcome.error)
            if is_meant:
                self.window.pair_sheet.show_failed(outcome.error)
        else:
            if is_meant:
                self.window.pair_sheet.show_done()
            self.tell(Severity.INFO, "pairing", outcome.words)
            self.toast("pairing", outcome.words)
            self.paired.emit(self, outcome)

    # What the person asks besides driving.

    def e_stop(self) -> None:
        """In the very event of the press: neutral, and E-STOP on every pair until confirmed."""
        self.hands.stop()
        if self.robot is None:
            self.toast("e_stop", no_robot(self.window.look.keys))
        else:
            self.robot.e_stop()
        self.show_now()

    def arm(self) -> None:
        if self.robot is None:
            return
        if self.hands.is_late:  # the press has waited: who knows what it was meant for
            self.toast("arm", "Not armed", "The window was stuck. Press again.")
            return
        self.window.end_toast("disarmed")
        self.robot.arm()

    def disarm(self) -> None:
        self.hands.stop()
        if self.robot is not None:
            self.robot.disarm()

    def take_button(self, button: PadButton) -> None:
        """A button of the gamepad went down."""
        if button is PadButton.E_STOP:
            self.e_stop()
        elif self.hands.gate(time.monotonic()).may_be_armed:
            self.disarm()
        elif self.window.focus is not Focus.AWAY:
            self.arm()

    def _reset(self) -> None:
        if self.robot is not None:
            self.robot.reset()

    def _take(self) -> None:
        if self.robot is not None:
            self.robot.take_lease()

    def _give(self) -> None:
        self._had_lease = False  # given, not lost
        self.hands.stop()
        if self.robot is not None:
            self.robot.give_lease()

    def _on_outcome(self, outcome: Outcome) -> None:
        if outcome.error:
            self.toast(outcome.what, outcome.title, outcome.error)
            self.tell(Severity.WARNING, "refused", outcome.error)

    def _on_disarm(self, reason: str) -> None:
        self.tell(Severity.WARNING, "disarmed_by_window", reason)
        self.toast("disarmed", "Disarmed", reason, is_warning=True)

    # What the window shows.

    def show_now(self) -> None:
        """Build the View; the window draws what has changed."""
        view = view_of(
            self.robot,
            self.frames,
            decision=self.hands.decision,
            limit=self.hands.teleop.limit,
            events=self.events.events,
            error=self._error,
            now_s=time.monotonic(),
            pads=self._pads(),
        )
        alarm = alarm_of(self.window.view, view)
        self.window.show_view(view)
        if alarm is not None:
            self.alarmed.emit(alarm)
        samples = self._samples.take()
        if samples:
            self.window.add_samples(samples)
        holder = view.status.holder_name if view.status else ""
        if self._had_lease and not view.has_lease and holder:
            self.toast("lease", f"{holder} took the lease", "You watch.")
        self._had_lease = view.has_lease
        if view.description is not None and not self._was_described:
            self._was_described = True
            self.described.emit(self)

    def _on_news(self) -> None:
        if self.robot is not None:
            self.robot.link.news.answer()
            self.show_now()

    def _show_picture(self) -> None:
        picture, now_s = self.frames.take(), time.monotonic()
        if picture is not None:
            frame = picture.frame
            captured_s = now_s - self._frame_age_s(frame.captured_ns, picture.arrived_s, now_s)
            self.window.picture.set_picture(picture.image, picture.grey, frame.seq & MAX_NUMBER, captured_s)
            # Now, not when Qt comes round to it: 9.9 -> 7.3 ms from the robot to the end of the paint (p50).
            self.window.picture.repaint()

    def _set_room(self, room: QSize) -> None:
        self.frames.set_target(room.width(), room.height())

    def _frame_age_s(self, captured_ns: int, at_s: float, now_s: float) -> float:
        """Any thread."""
        robot = self.robot
        return now_s - at_s if robot is None else robot.link.heard.age_s(captured_ns, at_s, now_s)

    def _on_corrupt(self) -> None:
        """The decode thread."""
        self.tell(Severity.WARNING, "picture_corrupt", "A picture was corrupt and is not shown.")

    def tell(self, severity: Severity, kind: str, text: str) -> None:
        """An event of this window's own; any thread."""
        event = Event(captured_ns=time.monotonic_ns(), severity=severity, kind=kind, text=text)
        self.events.add(event, time.time())

    def toast(
        self, key: str, title: str, text: str = "", *, action: str = "", is_warning: bool = False
    ) -> None:
        """A short note; a warning stays until its cause ends."""
        icon = Icon.TRIANGLE if is_warning else Icon.INFO
        self.window.show_toast(
            Toast(key=key, title=title, text=text, action=action, is_warning=is_warning, icon=icon)
        )

    def warn(self, text: str) -> None:
        """Something about this computer that the person must know once."""
        self.tell(Severity.WARNING, "window", text)
        self.toast("window", text)

    # Snapshots.

    def _snapshot(self) -> None:
        picture, robot = self.frames.newest, self.robot
        if picture is None or robot is None:
            self.toast("snapshot", "No picture to save yet.")
            return
        description = robot.link.heard.description
        name = description.name if description else robot.link.host
        at = datetime.fromtimestamp(time.time() - (self.frames.age_s(time.monotonic()) or 0.0))
        self._snapshots.save(picture.frame.jpeg, self._pictures, name, at)

    def _say_saved(self, path: Path | None, why: str) -> None:
        if path is None:
            self.toast("snapshot", "Snapshot not saved", why)
            self.tell(Severity.WARNING, "snapshot", f"Snapshot not saved: {why}")
        else:
            self.toast("snapshot", "Snapshot saved", path.name, action="Open folder")
            self.tell(Severity.INFO, "snapshot", f"Snapshot saved: {path}")

    def _toast_clicked(self, key: str) -> None:
        if key == "snapshot":
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._pictures)))

    # The end.

    def panic(self) -> None:
        """Something failed, in whichever thread calls this: neutral and disarm, not by way of the GUI."""
        robot = self.robot
        if robot is not None:
            robot.link.panic()

    def close(self) -> None:
        """Disarm first, then close, no question."""
        if self.robot is None or not self.was_reached:  # who still connects has nothing to disarm
            self._leave()
            self._gone()
            return
        self.robot.link.closed.connect(self._gone)
        QTimer.singleShot(int(CLOSE_WITHIN_S * 1000), self._gone)
        self._leave()

    def _gone(self) -> None:
        if self._timer.isActive():
            self._timer.stop()
            self.frames.close()
            self.window.let_close()
            self.closed.emit(self)
