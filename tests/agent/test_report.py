"""What the agent says of itself: rates fall when items stop, and the socket answers all who ask."""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from pi_agent.__main__ import main
from pi_agent.cli import agent
from pi_agent.cli_status import duration, render, why_silent
from pi_agent.places import LOCK_FILE
from pi_agent.report import (
    REPORT_SOCKET,
    Pulse,
    Report,
    ReportServer,
    StreamReport,
    ask_report,
    lock_holder,
    rate_hz,
    uptime_s,
)
from pynet_car.messages import Counters, State, Status, StreamInfo, Verdict
from pynet_core.errors import DeadlineExceeded, LinkError, RemoteProtocolError

MS = 1_000_000
STATUS = Status(
    boot=1,
    stamp_ns=5,
    state=State.ARMED,
    reason="Driving.",
    holder="ab" * 16,
    holder_name="laptop",
    command_age_ns=23 * MS,
    verdict=Verdict.LIMITED,
    duty=0.3,
    blocked_forward=True,
    counters=Counters(ticks=72000, late_ticks=3, commands=1200, refused=4, failsafe_trips=2, e_stops=1),
)
REPORT = Report(
    name="rover",
    version="0.1.0",
    board="Raspberry Pi 4",
    simulated=False,
    host="",
    port=1857,
    keys="identity",
    guardian_pid=10,
    worker_pid=11,
    uptime_s=3 * 3600 + 12 * 60,
    status=STATUS,
    status_age_s=0.02,
    streams=(
        StreamReport(name="camera", state="ok", period_s=1 / 30, per_s=29.8, age_s=0.031),
        StreamReport(name="gps", state="no such device", period_s=0.0, per_s=0.0, age_s=None),
    ),
    peers={"laptop (driver)": 8},
)


def test_a_rate_is_that_of_the_newest_items() -> None:
    stamps = [n * 20 * MS for n in range(64)]
    assert rate_hz(stamps, stamps[-1] + 15 * MS) == pytest.approx(50.0)


def test_a_rate_falls_as_soon_as_the_next_item_is_overdue() -> None:
    stamps = [n * 20 * MS for n in range(64)]
    rates = [rate_hz(stamps, stamps[-1] + wait * MS) for wait in (20, 100, 1000, 60_000)]
    assert rates == sorted(rates, reverse=True)
    assert rates[1] < 49 and rates[3] < 1.1


def test_one_item_has_no_rate_and_no_item_has_no_age() -> None:
    pulse = Pulse()
    info = StreamInfo(name="x", title="X", unit="", period_s=1.0)
    assert pulse.report(info, 7).age_s is None
    pulse.beat(7)
    seen = pulse.report(info, 7 + 500 * MS)
    assert (seen.per_s, seen.age_s) == (0.0, 0.5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReportServer]:
    server = ReportServer(tmp_path / REPORT_SOCKET, lambda: REPORT)
    server.listen()
    server.start()
    yield server
    server.stop()


def test_who_asks_gets_the_whole_report(server: ReportServer, tmp_path: Path) -> None:
    assert ask_report(tmp_path) == REPORT
    assert ask_report(tmp_path) == REPORT


def test_somebody_who_does_not_read_delays_nobody_for_long(server: ReportServer, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(tmp_path / REPORT_SOCKET))
        assert ask_report(tmp_path) == REPORT


def test_a_socket_left_by_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / REPORT_SOCKET))
    with pytest.raises(LinkError):
        ask_report(tmp_path)
    server = ReportServer(tmp_path / REPORT_SOCKET, lambda: REPORT)
    server.listen()
    server.start()
    assert ask_report(tmp_path) == REPORT
    server.stop()
    assert not (tmp_path / REPORT_SOCKET).exists()


def test_where_it_cannot_listen_the_worker_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = ReportServer(tmp_path / "none" / REPORT_SOCKET, lambda: REPORT)
    server.listen()
    server.start()
    server.stop()
    assert "will find nobody" in caplog.text


def test_one_who_answers_nonsense_or_not_at_all_is_told_apart(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / REPORT_SOCKET))
        mute.listen()
        with pytest.raises(DeadlineExceeded):
            ask_report(tmp_path, timeout_s=0.1)
        mute.accept()[0].close()  # the one that gave up

        def answer() -> None:
            peer, _ = mute.accept()
            peer.sendall(b"{}")
            peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(RemoteProtocolError, match="2 B that are no report"):
            ask_report(tmp_path)
        thread.join()


def test_the_guardian_is_found_by_its_lock_and_only_while_it_holds_it(tmp_path: Path) -> None:
    path = tmp_path / LOCK_FILE
    with path.open("w") as file:
        assert lock_holder(path, Path("/proc/locks").read_text()) is None
        fcntl.flock(file, fcntl.LOCK_EX)
        assert lock_holder(path, Path("/proc/locks").read_text()) == os.getpid()
        assert "but its worker does not answer" in why_silent(tmp_path, LinkError("refused"))
    assert lock_holder(path, Path("/proc/locks").read_text()) is None
    assert why_silent(tmp_path, LinkError("refused")).startswith(f"no agent runs in {tmp_path}; start it:")


def test_a_user_who_may_not_ask_is_told_to_use_sudo(tmp_path: Path) -> None:
    assert "sudo pynet-agent status" in why_silent(tmp_path, PermissionError(13, "x", str(tmp_path)))


def test_a_person_reads_state_driver_rates_and_counters() -> None:
    lines = list(render(REPORT))
    assert lines[0] == "rover: Raspberry Pi 4, pynet 0.1.0, up 3 h 12 min"
    assert lines[1:] == [
        "state       ARMED: Driving.",
        "driver      laptop; newest command 23 ms old, of 200 at most; limited",
        "outputs     duty +0.30, steering +0.00; blocked ahead",
        "since start 72000 ticks (3 late), 1200 commands (4 refused), failsafe 2 x, e-stop 1 x, "
        + "worker started 0 x",
        "camera      29.8/s, newest 31 ms old",
        "gps         nothing yet (no such device)",
        "gateway     port 1857 on all interfaces; laptop (driver) x8",
        "processes   guardian 10, worker 11",
    ]


def test_a_person_reads_how_old_a_path_may_grow() -> None:
    assert REPORT.status is not None
    report = replace(REPORT, status=replace(REPORT.status, path_left_m=2.4, command_age_ns=310_000_000))
    assert "driver      laptop; newest path 310 ms old, of 1500 at most; limited" in list(render(report))


def test_a_silent_guardian_stands_out() -> None:
    shown = "\n".join(
        render(
            Report(
                **{name: getattr(REPORT, name) for name in REPORT.__struct_fields__} | {"status_age_s": 3.0}
            )
        )
    )
    assert "3.0 s OLD: the guardian is silent" in shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(5.9, "5 s"), (65, "1 min 5 s"), (3600, "1 h 0 min"), (90000, "1 d 1 h")],
)
def test_durations_are_for_people(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_uptime_is_that_of_the_process() -> None:
    assert 0 < uptime_s(os.getpid()) < 3600 * 24
    assert uptime_s(2**22 + 1) == 0.0


def test_the_verb_prints_it_and_as_json_too(server: ReportServer, tmp_path: Path) -> None:
    where = ["status", "--runtime-dir", str(tmp_path)]
    assert CliRunner().invoke(agent, where).output.splitlines() == list(render(REPORT))
    shown = CliRunner().invoke(agent, [*where, "--json"]).output
    assert '"state":"ARMED"' in shown and '"per_s":29.8' in shown


def test_watching_shows_it_again_until_ctrl_c(
    server: ReportServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits = iter([None, KeyboardInterrupt])

    def wait(seconds: float) -> None:
        if end := next(waits):
            raise end

    monkeypatch.setattr("pi_agent.cli_status.time.sleep", wait)
    assert main(["status", "--watch", "--runtime-dir", str(tmp_path)]) == 130
    assert capsys.readouterr().out.count("ARMED: Driving.") == 2


def test_the_verb_fails_where_no_agent_runs(tmp_path: Path) -> None:
    began_s = time.monotonic()
    result = CliRunner().invoke(agent, ["status", "--runtime-dir", str(tmp_path)])
    assert isinstance(result.exception, LinkError)
    assert "no agent runs in" in str(result.exception)
    assert time.monotonic() - began_s < 1.0
