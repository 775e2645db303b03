"""Pairing whole: the real window, driven by its keys, and a real agent that does not know this laptop."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtTest import QTest
from PyQt5.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop_app.app import App
from desktop_app.cockpit import Cockpit
from desktop_app.connect_sheet import row_words
from desktop_app.folders import Folders
from desktop_app.settings import Robot, Settings, SettingsFile
from desktop_app.view import Connection, Focus, Pairing
from pynet_car.messages import State
from pynet_car.world.launch import SimulatedCar
from pynet_core.errors import PynetError
from pynet_core.keys import Identity, home
from pynet_core.pairing import Invitation
from pynet_core.pairing_link import host_pairing
from pynet_core.trust import TRUST_FILE, Trusted, TrustStore
from tests.desktop.fake_robot import FakeRobot

SOON_MS = 20_000
CODE = "48217730"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folders:
    monkeypatch.setenv("PYNET_HOME", str(tmp_path / "laptop"))
    return Folders(tmp_path / "settings.json", tmp_path / "crashes", tmp_path / "pictures")


@pytest.fixture
def start(qtbot: QtBot, qapp: QApplication, folders: Folders) -> Iterator[Callable[[int], Cockpit]]:
    apps: list[App] = []

    def start(port: int) -> Cockpit:
        apps.append(App(qapp, folders))
        cockpit = apps[-1].start(f"127.0.0.1:{port}")
        cockpit.window.activateWindow()
        return cockpit

    yield start
    for app in apps:
        app.close()
        qtbot.waitUntil(lambda app=app: not app.cockpits, timeout=SOON_MS)  # type: ignore[misc]
        app.finish()


@pytest.fixture
def stranger() -> Iterator[FakeRobot]:
    """A robot with a key of its own that trusts nobody yet."""
    with FakeRobot(identity=Identity.new(), trust=TrustStore()) as robot:
        yield robot


def is_asked(cockpit: Cockpit) -> Callable[[], bool]:
    return lambda: cockpit.window.sheets.body is cockpit.window.pair_sheet


def is_up(cockpit: Cockpit) -> Callable[[], bool]:
    return lambda: cockpit.window.view.connection is Connection.UP


def type_code(cockpit: Cockpit, code: str, port: int) -> None:
    """As a hand would: the port once, the digits, Enter."""
    sheet = cockpit.window.pair_sheet
    if sheet.port.text() != str(port):
        sheet.port.setFocus()
        sheet.port.selectAll()
        QTest.keyClicks(sheet.port, str(port))
    sheet.code.setFocus()
    QTest.keyClicks(sheet.code, code)
    QTest.keyClick(sheet.code, Qt.Key_Return)


def told(cockpit: Cockpit) -> str:
    return cockpit.window.pair_sheet._told


@contextlib.contextmanager
def pairing(state_dir: Path, port: int) -> Iterator[Callable[[], str]]:
    """`pynet-agent pair`; gives the next code that it shows."""
    command = [sys.executable, "-m", "pi_agent", "pair", "--state-dir", str(state_dir), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None

        def next_code() -> str:
            for line in process.stdout or ():
                if line.startswith("Code:"):
                    return line.removeprefix("Code:").strip()
            raise AssertionError("it shows no code")

        try:
            yield next_code
        finally:
            process.kill()


@pytest.mark.system
@pytest.mark.shared
def test_an_agent_that_does_not_know_the_laptop_is_paired_with_and_then_driven(
    qtbot: QtBot, start: Callable[[int], Cockpit], folders: Folders, tmp_path: Path, free_port: int
) -> None:
    with SimulatedCar(runtime_dir=tmp_path / "car", tls=True) as car:
        cockpit = start(car.port)
        qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
        assert cockpit.window.view.connection_error.endswith("does not know this laptop. Pair it.")
        assert not home().exists(), "no key is made before somebody pairs"
        with pairing(car.state_dir, free_port) as next_code:
            code = next_code()
            wrong = f"{(int(code.replace(' ', '')) + 1) % 10**8:08}"
            type_code(cockpit, wrong, free_port)
            qtbot.waitUntil(
                lambda: told(cockpit).startswith("That code was wrong, so it is void."), timeout=SOON_MS
            )
            assert TrustStore(car.state_dir / TRUST_FILE).devices == ()
            type_code(cockpit, next_code(), free_port)
            qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)
        assert not cockpit.window.sheets.is_open
        [laptop] = TrustStore(car.state_dir / TRUST_FILE).devices
        assert laptop.role == "driver"
        known = SettingsFile(folders.settings)
        [trusted] = TrustStore(home() / TRUST_FILE).devices
        robot = Robot(
            host="127.0.0.1",
            port=car.port,
            name="pynet car",
            board="simulated car",
            simulated=True,
            fingerprint=trusted.fingerprint,
        )
        qtbot.waitUntil(lambda: known.load().robots == (robot,), timeout=SOON_MS)
        qtbot.waitUntil(lambda: cockpit.window.view.description is not None, timeout=SOON_MS)
        [(row, _), _] = cockpit.window.connect_sheet._rows
        assert row_words(row.robot) == ("Connected", "key known")

        def is_armed() -> bool:
            if cockpit.window.view.state is State.ARMED:
                return True
            cockpit.hands.set_focus(Focus.DRIVE)
            cockpit.window.arm_asked.emit()  # again and again: a press in a stuck window does not arm
            return False

        qtbot.waitUntil(is_armed, timeout=SOON_MS)


def test_the_loop_runs_on_while_a_robot_says_nothing_and_then_that_is_told(
    qtbot: QtBot,
    start: Callable[[int], Cockpit],
    stranger: FakeRobot,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pynet_core.pairing_link.TALK_S", 1.5)
    cockpit = start(stranger.port)
    qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
    ticks: list[float] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        timer.start(5)
        type_code(cockpit, CODE, silent.getsockname()[1])
        qtbot.waitUntil(
            lambda: told(cockpit) == f"Pairing with 127.0.0.1:{stranger.port}… 1 s", timeout=SOON_MS
        )
        QTest.keyClick(cockpit.window.pair_sheet.code, Qt.Key_F12)  # the E-STOP of a window without a robot
        qtbot.waitUntil(lambda: "broke off" in told(cockpit), timeout=SOON_MS)
    timer.stop()
    assert len(ticks) > 10, "it would be 1 or 2 had the loop waited"


def test_where_nobody_pairs_it_says_what_to_do(
    qtbot: QtBot, start: Callable[[int], Cockpit], stranger: FakeRobot, free_port: int
) -> None:
    cockpit = start(stranger.port)
    qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
    type_code(cockpit, CODE, free_port)
    qtbot.waitUntil(lambda: "does not pair now. Run the command there" in told(cockpit), timeout=SOON_MS)
    assert any("does not pair now" in event.event.text for event in cockpit.events.events)


def test_after_three_wrong_codes_it_says_that_the_robot_takes_no_more(
    qtbot: QtBot, start: Callable[[int], Cockpit], stranger: FakeRobot
) -> None:
    cockpit = start(stranger.port)
    qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
    _, port = shown_by(stranger)
    for words in (
        "The robot now shows a new one.",
        "The robot now shows a new one.",
        "After 3 the robot takes",
    ):
        cockpit.window.pair_sheet.begin()
        type_code(cockpit, "00000000", port)
        qtbot.waitUntil(lambda words=words: words in told(cockpit), timeout=SOON_MS)  # type: ignore[misc]


def test_somebody_in_between_gets_nothing_though_the_code_is_right(
    qtbot: QtBot, start: Callable[[int], Cockpit], stranger: FakeRobot
) -> None:
    cockpit = start(stranger.port)
    qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
    code, port = shown_by(stranger)
    with in_between(port, Identity.new()) as between:
        type_code(cockpit, code, between)
        qtbot.waitUntil(
            lambda: "If you typed it right, somebody stands in between" in told(cockpit), timeout=SOON_MS
        )
    assert stranger.trust is not None and stranger.trust.devices == ()
    assert TrustStore(home() / TRUST_FILE).devices == ()
    assert cockpit.window.view.connection is Connection.CONNECTING


def test_a_robot_with_another_key_is_not_driven_until_the_old_one_is_forgotten_and_a_code_was_typed(
    qtbot: QtBot, start: Callable[[int], Cockpit], stranger: FakeRobot, folders: Folders
) -> None:
    before = remembered(folders, stranger.port)
    cockpit = start(stranger.port)
    qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
    assert cockpit.window.view.connection_error == (
        "This is not the rover-7 you paired with. Do not drive it unless you reinstalled it."
    )
    sheet = cockpit.window.pair_sheet
    assert not sheet.code.isVisible()
    QTest.mouseClick(sheet.forget, Qt.LeftButton)
    qtbot.waitUntil(sheet.code.isVisible, timeout=SOON_MS)
    qtbot.waitUntil(lambda: TrustStore(home() / TRUST_FILE).find(before.fingerprint) is None, timeout=SOON_MS)
    type_code(cockpit, *shown_by(stranger))
    qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)


def test_a_robot_that_is_forgotten_is_trusted_no_longer(
    qtbot: QtBot, start: Callable[[int], Cockpit], stranger: FakeRobot, folders: Folders
) -> None:
    before = remembered(folders, 1)
    cockpit = start(stranger.port)
    [(row, _), _] = cockpit.window.connect_sheet._rows
    assert row_words(row.robot) == ("Connect", "key known")
    cockpit.window.forget_asked.emit("127.0.0.1:1")
    qtbot.waitUntil(lambda: TrustStore(home() / TRUST_FILE).find(before.fingerprint) is None, timeout=SOON_MS)
    assert len(cockpit.window.connect_sheet._rows) == 1, "the simulated car's"


def test_a_laptop_that_is_struck_off_sees_why_and_comes_back_by_a_new_code(
    qtbot: QtBot, start: Callable[[int], Cockpit], stranger: FakeRobot
) -> None:
    cockpit = start(stranger.port)
    qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
    type_code(cockpit, *shown_by(stranger))
    qtbot.waitUntil(lambda: cockpit.window.view.description is not None, timeout=SOON_MS)
    assert stranger.trust is not None
    stranger.trust.remove(stranger.trust.devices[0].name)
    qtbot.waitUntil(lambda: cockpit.window.view.pairing is Pairing.WANTED, timeout=SOON_MS)
    view = cockpit.window.view
    assert (view.connection, view.connection_error) == (
        Connection.LOST,
        "rover-7 does not know this laptop. Pair it.",
    )
    assert not cockpit.window.sheets.is_open, "nothing covers what was seen last"
    QTest.mouseClick(cockpit.window.bar.banner.button, Qt.LeftButton)
    assert is_asked(cockpit)()
    type_code(cockpit, *shown_by(stranger))
    qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)


def test_a_robot_that_stops_asking_for_keys_is_connected_to_without(
    qtbot: QtBot, start: Callable[[int], Cockpit], free_port: int
) -> None:
    Identity.new().save(home())
    with FakeRobot(port=free_port, identity=Identity.new(), trust=TrustStore()):
        cockpit = start(free_port)
        qtbot.waitUntil(is_asked(cockpit), timeout=SOON_MS)
    with FakeRobot(port=free_port):
        qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)
        assert not cockpit.window.sheets.is_open
        cockpit.close()
        qtbot.waitUntil(lambda: not cockpit.window.isVisible(), timeout=SOON_MS)


@pytest.mark.parametrize("has_keys", [True, False], ids=["of another robot that we trust", "none at all"])
def test_a_robot_whose_key_is_known_is_not_taken_for_one_with_another(
    qtbot: QtBot, start: Callable[[int], Cockpit], folders: Folders, free_port: int, has_keys: bool
) -> None:
    remembered(folders, free_port)
    laptop, other = Identity.load(home()), Identity.new()
    assert laptop is not None
    TrustStore(home() / TRUST_FILE).add(Trusted("gateway", "other", other.certificate))
    lets_in = TrustStore(devices=[Trusted("driver", "laptop", laptop.certificate)])
    with FakeRobot(port=free_port, identity=other if has_keys else None, trust=lets_in if has_keys else None):
        cockpit = start(free_port)
        qtbot.waitUntil(lambda: cockpit.window.view.pairing is Pairing.CHANGED, timeout=SOON_MS)
        assert cockpit.window.view.status is None
        QTest.mouseClick(cockpit.window.pair_sheet.forget, Qt.LeftButton)
        qtbot.waitUntil(is_up(cockpit), timeout=SOON_MS)
        cockpit.close()
        qtbot.waitUntil(lambda: not cockpit.window.isVisible(), timeout=SOON_MS)


def test_another_key_is_warned_of_in_the_very_session_that_learnt_the_first(
    qtbot: QtBot, start: Callable[[int], Cockpit], folders: Folders, free_port: int
) -> None:
    laptop, rover = Identity.new(), Identity.new()
    laptop.save(home())
    TrustStore(home() / TRUST_FILE).add(Trusted("gateway", "rover", rover.certificate))
    lets_in = TrustStore(devices=[Trusted("driver", "laptop", laptop.certificate)])
    with FakeRobot(port=free_port, identity=rover, trust=lets_in):
        cockpit = start(free_port)
        qtbot.waitUntil(lambda: cockpit.window.view.description is not None, timeout=SOON_MS)
    with FakeRobot(port=free_port, identity=Identity.new(), trust=lets_in):
        qtbot.waitUntil(lambda: cockpit.window.view.pairing is Pairing.CHANGED, timeout=SOON_MS)


def test_what_was_paired_with_is_remembered_though_its_gateway_is_not_there(
    qtbot: QtBot, start: Callable[[int], Cockpit], stranger: FakeRobot, free_port: int
) -> None:
    cockpit = start(free_port)
    qtbot.waitUntil(lambda: "No robot answers" in cockpit.window.view.connection_error, timeout=SOON_MS)
    cockpit.window.connect_sheet.pair_asked.emit(f"127.0.0.1:{free_port}")
    assert is_asked(cockpit)()
    type_code(cockpit, *shown_by(stranger))
    qtbot.waitUntil(lambda: len(cockpit.window.connect_sheet._rows) == 2, timeout=SOON_MS)
    [(row, _), _] = cockpit.window.connect_sheet._rows
    assert (row.robot.name, row_words(row.robot)) == ("rover", ("Connect", "remembered"))
    assert not cockpit.window.sheets.is_open
    assert [plate.toast.title for plate in cockpit.window.parts.toasts.shown] == [
        "Paired with rover: this laptop may drive."
    ]


def remembered(folders: Folders, port: int) -> Identity:
    """A robot that this laptop was paired with at this port."""
    robot = Identity.new()
    Identity.new().save(home())
    TrustStore(home() / TRUST_FILE).add(Trusted("gateway", "rover", robot.certificate))
    known = Robot(host="127.0.0.1", port=port, name="rover-7", fingerprint=robot.fingerprint)
    SettingsFile(folders.settings).save(Settings(robots=(known,)))
    return robot


def shown_by(robot: FakeRobot) -> tuple[str, int]:
    """The code that this robot shows now, and the port; it pairs until it ends."""
    codes: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
    identity, trust = robot.identity, robot.trust
    assert identity is not None and trust is not None

    def host() -> None:
        with contextlib.suppress(PynetError):
            host_pairing(identity, trust, lambda *code: codes.put(code), name="rover", role="driver", port=0)

    threading.Thread(target=host, daemon=True).start()
    return codes.get(timeout=SOON_MS / 1000)


@contextlib.contextmanager
def in_between(port: int, attacker: Identity) -> Iterator[int]:
    """Passes pairing on to this port, with its own certificate in place of the robot's; gives its port."""

    def passed_on(source: socket.socket, sink: socket.socket, is_invitation: bool = False) -> None:
        (length,) = struct.unpack(">H", source.recv(2, socket.MSG_WAITALL))
        message = source.recv(length, socket.MSG_WAITALL)
        if is_invitation:
            invitation = msgspec.msgpack.decode(message, type=Invitation)
            message = msgspec.msgpack.encode(replace(invitation, certificate=attacker.certificate))
        sink.sendall(struct.pack(">H", len(message)) + message)

    def attack() -> None:
        with listener.accept()[0] as guest, socket.create_connection(("127.0.0.1", port)) as host:
            passed_on(guest, host)
            passed_on(host, guest, is_invitation=True)
            passed_on(guest, host)
            passed_on(host, guest)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        attacking = threading.Thread(target=attack)
        attacking.start()
        yield listener.getsockname()[1]
        attacking.join()
