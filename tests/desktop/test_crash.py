"""Nothing ends silently, and nothing that fails drives on."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from PyQt5.QtCore import QObject, QTimer, pyqtSignal
from pytestqt.qtbot import QtBot

from desktop_app.crash import MAX_REPORTS, CrashReporter


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def reporter(tmp_path: Path, told: list[str]) -> Iterator[CrashReporter]:
    reporter = CrashReporter(tmp_path / "crashes", told.append)
    yield reporter
    reporter.uninstall()


def reports(tmp_path: Path) -> list[str]:
    return [path.read_text() for path in sorted((tmp_path / "crashes").glob("crash-*.txt"))]


def fail(text: str) -> None:
    raise ZeroDivisionError(text)


def caught(text: str) -> BaseException:
    try:
        fail(text)
    except ZeroDivisionError as exc:
        return exc
    raise AssertionError


def test_an_exception_in_a_thread_is_reported_with_its_traceback(
    reporter: CrashReporter, told: list[str], tmp_path: Path
) -> None:
    reporter.install()
    thread = threading.Thread(target=fail, args=("in a thread",), name="some thread")
    thread.start()
    thread.join()
    [report] = reports(tmp_path)
    assert "some thread" in report
    assert "in fail" in report
    assert "ZeroDivisionError: in a thread" in report
    assert len(told) == 1
    assert "the car is disarmed" in told[0]


def test_a_slot_that_fails_fifty_times_a_second_is_one_report(
    reporter: CrashReporter, told: list[str], tmp_path: Path
) -> None:
    for _ in range(50):
        reporter.report(caught("again"), "GUI")
    assert len(reports(tmp_path)) == len(told) == 1


def test_where_no_file_can_be_written_the_person_is_told_all_the_same(
    tmp_path: Path, told: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    reporter = CrashReporter(tmp_path / "file" / "crashes", told.append)
    reporter.report(caught("x"), "GUI")
    assert told == ["Something in this window failed; the car is disarmed. The report is on stderr."]


def test_a_person_that_cannot_be_told_does_not_make_it_worse(tmp_path: Path) -> None:
    reporter = CrashReporter(tmp_path / "crashes", fail)
    reporter.report(caught("x"), "GUI")
    assert len(reports(tmp_path)) == 1


def test_reports_do_not_fill_the_disk(reporter: CrashReporter, tmp_path: Path) -> None:
    folder = tmp_path / "crashes"
    folder.mkdir()
    for i in range(2 * MAX_REPORTS):
        (folder / f"crash-20200101-000000-{i}.txt").write_text("old")
    reporter.report(caught("new"), "GUI")
    assert len(reports(tmp_path)) == MAX_REPORTS
    assert any("new" in report for report in reports(tmp_path))


class Sender(QObject):
    sent = pyqtSignal()


@pytest.mark.qt_no_exception_capture
def test_an_exception_in_a_slot_does_not_end_the_program(
    qtbot: QtBot, reporter: CrashReporter, told: list[str]
) -> None:
    reporter.install()
    sender = Sender()
    sender.sent.connect(lambda: fail("in a slot"))
    QTimer.singleShot(0, sender.sent.emit)
    qtbot.waitUntil(lambda: len(told) == 1, timeout=3000)


def test_a_crash_in_c_is_told_at_the_next_start(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import faulthandler, sys
        from pathlib import Path
        from desktop_app.crash import CrashReporter
        reporter = CrashReporter(Path(sys.argv[1]), print)
        print(reporter.install(), flush=True)
        if sys.argv[2] == "crash":
            faulthandler._sigsegv()
        reporter.uninstall()
    """)

    def run(how: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "crashes"), how],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"QT_QPA_PLATFORM": "offscreen"},
        )

    assert run("crash").returncode != 0
    assert "The window crashed last time. Report: " in run("end well").stdout
    [report] = reports(tmp_path)
    assert "Segmentation fault" in report
    assert run("end well").stdout.strip() == ""
