"""The program: its windows, the gamepads, what it remembers, and what happens when something fails."""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from typing import Final

from msgspec.structs import replace
from PyQt5.QtCore import QObject, Qt, QTimer, pyqtSignal
from PyQt5.QtWidgets import QApplication

from desktop_app.address import format_address, parse_address
from desktop_app.cockpit import Cockpit
from desktop_app.crash import CrashReporter
from desktop_app.finder import Finder
from desktop_app.folders import Folders
from desktop_app.gamepad import Gamepads
from desktop_app.keyring import Keyring
from desktop_app.keys import Deed, KeyMap
from desktop_app.main_window import MainWindow
from desktop_app.pairing import PairingOutcome
from desktop_app.robot_rows import SIMULATED_HOST, robot_rows
from desktop_app.settings import PadMapping, Robot, SettingsFile
from desktop_app.simulated import SimulatedStarter
from desktop_app.sounds import Alarm
from desktop_app.speaker import Speaker
from desktop_app.teleop import NS_PER_MS, PERIOD_NS
from desktop_app.theme import ThemeChoice
from desktop_app.view import Connection, Focus
from desktop_app.window_memory import WindowMemory
from desktop_app.x11 import FocusWatch, KeyState, RepeatMender
from pynet_core.errors import ConfigError

_log = logging.getLogger(__name__)

SAVE_AFTER_MS: Final = 500  # settings, after the last change


class App(QObject):
    """Made once, by `__main__`, in the GUI thread.  `start`, run Qt's loop, then `finish`."""

    ended = pyqtSignal()  # the last window has gone
    _failed = pyqtSignal(str)  # these two from whichever thread
    _crashed = pyqtSignal(str)

    def __init__(
        self,
        qt: QApplication,
        folders: Folders,
        *,
        theme: ThemeChoice | None = None,
        finder: Finder | None = None,
    ) -> None:
        """Robots of this network are listed if there is a `finder`."""
        super().__init__()
        self._qt = qt
        qt.setQuitOnLastWindowClosed(False)  # a window that has gone may still be disarming
        self._folders = folders
        self._file = SettingsFile(folders.settings)
        self.settings = self._file.load()
        self._theme = theme  # for this run only: what was typed is not what was set
        self.cockpits: list[Cockpit] = []
        self._waiting: list[Cockpit] = []  # for the simulated car
        self._crashes = CrashReporter(folders.crashes, self._on_crash)
        self._last_crash = self._crashes.install()
        self._keys, self._keys_trouble = KeyMap.from_stored(self.settings.keys)
        self.gamepads = Gamepads(self.settings.pads)
        if self.gamepads.trouble:
            _log.warning("%s", self.gamepads.trouble)
        self._keyring = Keyring()
        self._keyring.look()
        self._speaker = Speaker(self._failed.emit)
        self._simulated = SimulatedStarter()
        self._simulated.finished.connect(self._on_simulated)
        self._failed.connect(self._say_failed)
        self._crashed.connect(self._say_crashed)
        self._focus_watch = FocusWatch(self._on_x11_focus)
        qt.installNativeEventFilter(self._focus_watch)
        self._key_state = KeyState() if qt.platformName() == "xcb" else None
        if self._key_state is not None:
            self._mender = RepeatMender(self._key_state.is_down)
            qt.installEventFilter(self._mender)
        self._finder = finder
        if finder is not None:
            finder.changed.connect(self._show_known)
            finder.listen_while(lambda: any(cockpit.window.is_choosing for cockpit in self.cockpits))
        self._ticks = QTimer(self)
        self._ticks.setTimerType(Qt.PreciseTimer)
        self._ticks.setInterval(PERIOD_NS // NS_PER_MS)
        self._ticks.timeout.connect(self._tick)
        self._saver = QTimer(self)
        self._saver.setSingleShot(True)
        self._saver.setInterval(SAVE_AFTER_MS)
        self._saver.timeout.connect(self._save_in_thread)

    def start(self, address: str = "") -> Cockpit:
        """Open the first window, on the robot of this address if there is one.

        Raises:
            ValueError: It is no address.
        """
        where = parse_address(address) if address else None
        cockpit = self._open()
        if where is not None:
            self._show(cockpit, *where)
        for trouble in (self._last_crash, self._file.trouble, self._keys_trouble, self.gamepads.trouble):
            if trouble:
                cockpit.warn(trouble)
        self._ticks.start()
        return cockpit

    def start_simulated(self, cockpit: Cockpit) -> None:
        """Start this computer's simulated car, and show it in this window."""
        self._waiting.append(cockpit)
        self._simulated.start()
        self._show_known()

    def close(self) -> None:
        """Disarm and close every window; `ended` says when."""
        for cockpit in tuple(self.cockpits):
            cockpit.close()

    def finish(self) -> None:
        """After Qt's loop: keep the settings, end what was started."""
        self._ticks.stop()
        if self._finder is not None:
            self._finder.close()
        self._qt.removeNativeEventFilter(self._focus_watch)
        if self._key_state is not None:
            self._qt.removeEventFilter(self._mender)
            self._key_state.close()
        self._saver.stop()
        self._file.save(self.settings)
        self._speaker.close()
        self.gamepads.close()
        self._simulated.close()
        self._crashes.uninstall()

    # Windows.

    def _open(self) -> Cockpit:
        settings = self.settings
        window = MainWindow(
            WindowMemory(
                theme=self._theme or ThemeChoice(settings.theme),
                zoom=settings.zoom,
                panel_height=settings.panel_height,
                shows_left=settings.shows_left,
                shows_panel=settings.shows_panel,
                sounds=settings.sounds,
                width=settings.width,
                height=settings.height,
            ),
            keys=self._keys,
        )
        cockpit = Cockpit(
            window,
            name=socket.gethostname(),
            limit=settings.limit,
            pictures=self._folders.pictures,
            pads=self.gamepads.inputs,
            keyring=self._keyring,
        )
        window.memory_changed.connect(self._remember_window)
        window.limit_asked.connect(lambda: self._remember(limit=cockpit.hands.teleop.limit))
        window.connect_asked.connect(lambda address: self._connect(cockpit, address))
        window.forget_asked.connect(self._forget)
        window.keys_asked.connect(self._set_keys)
        window.mapping_asked.connect(self._set_mapping)
        window.connect_sheet.pair_asked.connect(lambda address: self._connect(cockpit, address, pairs=True))
        window.pair_sheet.forget_asked.connect(lambda: self._pair_anew(cockpit))
        cockpit.described.connect(self._remember_robot)
        cockpit.paired.connect(self._on_paired)
        cockpit.alarmed.connect(self._alarm)
        cockpit.closed.connect(self._on_closed)
        self.cockpits.append(cockpit)
        self._show_known()
        window.show()
        return cockpit

    def _connect(self, cockpit: Cockpit, address: str, *, pairs: bool = False) -> None:
        """In this window, or in one of its own when this one has a robot; '' is the simulated car.

        `pairs`: do not wait until the robot refuses, ask for its code now.
        """
        try:
            where = parse_address(address) if address else None
        except ValueError as exc:
            cockpit.fail(str(exc))
            return
        there = where or (SIMULATED_HOST, self._simulated.port)
        for other in self.cockpits:
            if other.robot is not None and (other.robot.link.host, other.robot.link.port) == there:
                other.window.raise_()
                other.window.activateWindow()
                if pairs and other.robot.link.connection is not Connection.UP:
                    other.window.open_pairing()
                return
        if cockpit.was_reached:
            cockpit = self._open()
        if where is None:
            self.start_simulated(cockpit)
        else:
            self._show(cockpit, *where)
            if pairs:
                cockpit.window.open_pairing()

    def _show(self, cockpit: Cockpit, host: str, port: int) -> None:
        cockpit.connect_to(host, port, known=self.settings.robot_at(host, port))

    def _on_paired(self, cockpit: Cockpit, outcome: PairingOutcome) -> None:
        link = cockpit.robot.link if cockpit.robot is not None else None
        if link is None or outcome.paired is None or link.host != outcome.host:
            return
        # Its key is remembered when it has shown it: who paired may be another program on that machine.
        self._know(link.known or Robot(host=link.host, port=link.port, name=outcome.paired.gateway.name))
        if link.connection is not Connection.UP:
            self._show(cockpit, link.host, link.port)

    def _pair_anew(self, cockpit: Cockpit) -> None:
        """With a robot that has another key than it had."""
        link = cockpit.robot.link if cockpit.robot is not None else None
        if link is not None and link.known is not None:
            self._know(replace(link.known, fingerprint=""))
            self._forget_key(link.known.fingerprint)
            self._show(cockpit, link.host, link.port)

    def _on_simulated(self, port: int, error: str) -> None:
        for cockpit in self._waiting:
            if cockpit not in self.cockpits:
                continue
            if error:
                cockpit.fail(error)
            else:
                cockpit.connect_to(SIMULATED_HOST, port, keyring=self._simulated.keyring)
        self._waiting.clear()
        self._show_known()

    def _on_closed(self, cockpit: Cockpit) -> None:
        self.cockpits.remove(cockpit)
        self._show_known()
        if not self.cockpits:
            self.ended.emit()

    # The hands of all windows: one timer, so that the gamepads are read once for all.

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        pad = self.gamepads.poll(now_ns)
        pressed = self.gamepads.take_pressed()
        for words in self.gamepads.take_news():
            for cockpit in self.cockpits:
                cockpit.warn(f"{words} {self._keys.cap(Deed.GAMEPAD)} sets it up.")
        front = [cockpit for cockpit in self.cockpits if cockpit.window.isActiveWindow()]
        for cockpit in front or self.cockpits:  # an E-STOP with no window in front is for all of them
            for button in pressed:
                cockpit.take_button(button)
        for cockpit in self.cockpits:
            cockpit.hands.tick(now_ns, pad)

    def _on_x11_focus(self, window: int, has_it: bool) -> None:
        for cockpit in self.cockpits:
            if int(cockpit.window.winId()) == window:
                cockpit.window.keyboard.forget_keys()
                cockpit.hands.set_focus(cockpit.window.focus if has_it else Focus.AWAY)

    def _alarm(self, alarm: Alarm) -> None:
        if self.settings.sounds:
            self._speaker.play(alarm)

    # What is remembered.

    def _remember_window(self, memory: WindowMemory) -> None:
        if self._theme is None or memory.theme is not self._theme:
            self._theme = None
            self._remember(theme=memory.theme.value)
        if memory.sounds and not self.settings.sounds:
            self._speaker.play(Alarm.FAILSAFE)  # so that one hears that one will
        self._remember(
            sounds=memory.sounds,
            zoom=memory.zoom,
            panel_height=memory.panel_height,
            shows_left=memory.shows_left,
            shows_panel=memory.shows_panel,
            width=memory.width,
            height=memory.height,
        )

    def _set_keys(self, keys: KeyMap) -> None:
        self._keys = keys
        for cockpit in self.cockpits:
            cockpit.set_keys(keys)
        self._remember(keys=keys.stored())

    def _set_mapping(self, guid: str, mapping: PadMapping) -> None:
        try:
            self.gamepads.set_mapping(guid, mapping)
        except ValueError as exc:
            self._say_failed(str(exc))
            return
        self.settings = self.settings.with_pad(guid, mapping)
        self._saver.start()

    def _remember_robot(self, cockpit: Cockpit) -> None:
        robot = cockpit.robot
        description = robot.link.heard.description if robot else None
        if robot is None or description is None:
            return
        known = Robot(
            host=robot.link.host,
            port=robot.link.port,
            name=description.name,
            board=description.board,
            simulated=description.simulated,
            fingerprint=robot.link.fingerprint,
        )
        # A simulated car has another port each time, unless somebody has paired with it.
        if not description.simulated or robot.link.known is not None:
            self._know(known)
            robot.link.known = known  # from now on another key at this address is a warning
        self._show_known()

    def _know(self, robot: Robot) -> None:
        self._remember(robots=self.settings.with_robot(robot).robots)
        self._show_known()

    def _forget(self, address: str) -> None:
        gone = [r for r in self.settings.robots if format_address(r.host, r.port) == address]
        self._remember(robots=tuple(r for r in self.settings.robots if r not in gone))
        for robot in gone:
            self._forget_key(robot.fingerprint)
        self._show_known()

    def _forget_key(self, fingerprint: str) -> None:
        """Unless the robot that has it is remembered at another address."""
        if not fingerprint or any(robot.fingerprint == fingerprint for robot in self.settings.robots):
            return

        def forget() -> None:
            try:
                self._keyring.forget(fingerprint)
            except ConfigError as exc:
                self._failed.emit(f"{exc}.")

        threading.Thread(target=forget, name="pynet forget", daemon=True).start()

    def _show_known(self) -> None:
        links = [cockpit.robot.link for cockpit in self.cockpits if cockpit.robot is not None]
        rows = robot_rows(
            self.settings.robots,
            connected={(link.host, link.port) for link in links if link.operator is not None},
            is_paired=self._keyring.is_known,
            found=self._finder.found if self._finder is not None else (),
            simulated_port=self._simulated.port,
            is_starting=bool(self._waiting),
        )
        for cockpit in self.cockpits:
            cockpit.window.set_known(rows)

    def _remember(self, **changes: object) -> None:
        self.settings = replace(self.settings, **changes)
        self._saver.start()

    def _save_in_thread(self) -> None:
        threading.Thread(target=self._save, args=(self._file.trouble,), name="pynet settings").start()

    def _save(self, known_trouble: str) -> None:
        self._file.save(self.settings)
        if self._file.trouble and not known_trouble:
            self._failed.emit(self._file.trouble)

    # Failures.

    def _on_crash(self, words: str) -> None:
        """In whichever thread failed: the cars first."""
        for cockpit in tuple(self.cockpits):
            cockpit.panic()
        self._crashed.emit(words)

    def _say_crashed(self, words: str) -> None:
        for cockpit in self.cockpits:
            cockpit.hands.stop()
        self._say_failed(words)

    def _say_failed(self, words: str) -> None:
        print(f"pynet-desktop: {words}", file=sys.stderr)
        for cockpit in self.cockpits:
            cockpit.warn(words)
