"""The self-test reads outputs back past the agent, judges what it saw, and moves nothing without consent."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from pi_agent.cli import agent
from pi_agent.cli_selftest import _show
from pi_agent.neutral import save_plan
from pi_agent.report import REPORT_SOCKET, Report, ReportServer, StreamReport
from pi_agent.selftest.checks import check_outputs, check_stream, check_ticks
from pi_agent.selftest.entry import door_of
from pi_agent.selftest.observer import Look, neutral_after_ms, was_moving_at
from pi_agent.selftest.outputs import load_writes, reader_of
from pi_agent.selftest.stops import STOPS, Trial, free_robot, table, why_not
from pynet_car.messages import State, Status
from pynet_car.world.board import Board
from pynet_core.errors import HardwareError, LinkError
from pynet_core.keys import Identity
from pynet_core.trust import TRUST_FILE, TrustStore
from tests.agent.test_report import REPORT

MS = 1_000_000
FREE = structs.replace(
    REPORT,
    keys="",
    status=Status(boot=1, stamp_ns=1, state=State.DISARMED, reason=""),
    streams=(StreamReport(name="camera", state="ok", period_s=1 / 30, per_s=29.0, age_s=0.02),),
)


# Reading back.


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board.open(tmp_path / "board") as board:
        save_plan(tmp_path, [("board", str(board.path), Board.duty_offset(pin), 0.0) for pin in (12, 13)])
        yield board


def test_a_simulated_output_is_read_where_the_plan_says_it_is(board: Board, tmp_path: Path) -> None:
    forward, backward = [reader_of(write) for write in load_writes(tmp_path)]
    assert callable(forward) and callable(backward)
    assert (forward(), backward()) == (False, False)
    board.set_output(13, 0.2, 100.0)
    assert (forward(), backward()) == (False, True)
    board.set_output(13, 0.0, 100.0)
    assert backward() is False


@pytest.mark.parametrize(("name", "offset"), [("gpiomem", 0x34), ("gpiomem0", 0x10008)])
def test_a_pins_level_is_read_from_the_registers_of_either_pi(tmp_path: Path, name: str, offset: int) -> None:
    registers = tmp_path / name
    registers.write_bytes(bytes(0x30000))

    def put(levels: int) -> None:
        with registers.open("r+b") as file:
            file.seek(offset)
            file.write(struct.pack("<I", levels))

    forward = reader_of(("gpio", "/dev/gpiochip0", 9, 0), tmp_path)
    standby = reader_of(("gpio", "/dev/gpiochip0", 10, 1), tmp_path)  # neutral is high
    assert callable(forward) and callable(standby)
    put(1 << 10)
    assert (forward(), standby()) == (False, False)
    put(1 << 9)
    assert (forward(), standby()) == (True, True)


def test_a_kernel_pwm_moves_while_its_pulses_are_not_the_neutral_ones(tmp_path: Path) -> None:
    (tmp_path / "pwm1").mkdir()
    duty = tmp_path / "pwm1/duty_cycle"
    duty.write_text("1500000\n")
    esc = reader_of(("pwm", str(tmp_path), 1, 1_500_000))
    assert callable(esc)
    assert not esc()
    duty.write_text("1600000\n")
    assert esc()


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    reasons = [
        reader_of(("gpio", "/dev/gpiochip0", 9, 0), tmp_path),
        reader_of(("pca9685", "/dev/i2c-1", 1, 0)),
        reader_of(("board", str(tmp_path / "none"), 1, 0)),
    ]
    assert [isinstance(reason, str) for reason in reasons] == [True] * 3
    assert "no gpiomem" in str(reasons[0])
    assert "kind 'pca9685' cannot be read back" in str(reasons[1])


@pytest.mark.parametrize("plan", [None, "", "[]", '{"writes": [{"kind": "board"}]}'])
def test_a_plan_that_does_not_tell_is_a_sentence(tmp_path: Path, plan: str | None) -> None:
    if plan is not None:
        (tmp_path / "neutral.json").write_text(plan)
    with pytest.raises(HardwareError, match="does not tell where the motors are"):
        load_writes(tmp_path)


# Judging.


def looks(*changes: tuple[int, bool]) -> list[Look]:
    return [Look(ms * MS, moving) for ms, moving in changes]


def test_the_time_ends_with_the_look_that_saw_neutral_for_good() -> None:
    fault_ns = 1000 * MS
    assert neutral_after_ms(looks((0, False), (500, True), (1180, False)), fault_ns) == 180
    assert neutral_after_ms(looks((500, True), (1010, False), (1200, True), (1230, False)), fault_ns) == 230
    assert neutral_after_ms(looks((500, True), (900, False)), fault_ns) == 0


def test_a_robot_that_moves_on_never_stopped() -> None:
    assert neutral_after_ms(looks((500, True)), 1000 * MS) == float("inf")
    assert neutral_after_ms(looks((500, True), (1010, False), (1900, True)), 1000 * MS) == float("inf")


def test_a_fault_counts_only_if_something_moved_when_it_was_made() -> None:
    turning = looks((0, False), (500, True))
    assert was_moving_at(turning, 1000 * MS)
    assert not was_moving_at(turning, 400 * MS)
    assert not was_moving_at([], 1000 * MS)
    pulses = looks((500, True), (502, False), (510, True), (512, False))  # PWM, seen at a pin
    assert was_moving_at(pulses, 519 * MS)
    assert not was_moving_at(pulses, 700 * MS)


def test_a_stop_that_is_late_is_red_in_table_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    trials = [Trial("a", 200, 250, "outputs"), Trial("a", 251, 250, "outputs"), Trial("b", 9, 50, "Status")]
    rows = list(table(trials, {"c": "needs root"}))
    assert rows[1].endswith("251       250  TOO LATE")
    assert rows[2].endswith("ok   by the agent's own word")
    assert rows[3].endswith("not tried: needs root")
    _show([], [Trial("a", float("inf"), 250, "outputs")], {}, [], True)
    assert json.loads(capsys.readouterr().out)["trials"][0]["neutral_ms"] is None


def stream(**changes: object) -> StreamReport:
    return structs.replace(FREE.streams[0], **changes)


@pytest.mark.parametrize(
    ("seen", "level", "says"),
    [
        (stream(), "ok", "29.0 a second"),
        (stream(per_s=12.0), "warning", "12.0 a second, 30.0 expected"),
        (stream(age_s=3.0), "problem", "silent for 3.0 s"),
        (stream(age_s=None), "problem", "nothing has come yet"),
        (stream(state="stalled, no frame for 1 s"), "problem", "stalled"),
        (stream(period_s=0.0, per_s=0.1), "ok", "0.1 a second"),
        (stream(state="absent: the car has no encoders", age_s=None), "ok", "none: the car has no encoders"),
    ],
)
def test_a_stream_is_judged_by_state_age_and_rate(seen: StreamReport, level: str, says: str) -> None:
    found = check_stream(seen)
    assert (found.level, found.what.startswith(says)) == (level, True)


def test_encoders_must_count_and_forward() -> None:
    said = [(found.level, found.what, found.fix) for found in check_ticks(60, 61)]
    assert [level for level, _, _ in said] == ["ok", "ok"]
    (left, right) = check_ticks(-60, 0)
    assert (left.level, left.fix) == ("problem", "swap the two left_pins")
    assert (right.level, right.what) == ("problem", "right does not count")


def test_an_output_that_runs_while_nobody_drives_is_a_problem(board: Board, tmp_path: Path) -> None:
    assert [found.level for found in check_outputs(FREE, tmp_path)] == ["ok"]
    board.set_output(12, 0.1, 100.0)
    (found,) = check_outputs(FREE, tmp_path)
    assert (found.level, "cut the motors' supply" in found.fix) == ("problem", True)
    assert FREE.status is not None
    armed = structs.replace(FREE, status=structs.replace(FREE.status, state=State.ARMED))
    assert [found.level for found in check_outputs(armed, tmp_path)] == ["warning"]


# Refusing.


def test_what_cannot_be_tried_here_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    by_name = {stop.name: stop for stop in STOPS}
    mine = structs.replace(FREE, guardian_pid=os.getpid(), worker_pid=os.getpid())

    def why(name: str, report: Report = mine, sees: bool = True, service: int | None = None) -> str:
        return why_not(by_name[name], report, sees_outputs=sees, service_pid=service)

    assert why("driver killed") == why("worker killed") == ""
    assert "needs the service" in why("guardian killed")
    assert why("guardian killed", service=os.getpid()) == ""
    assert "nobody could tell" in why("worker killed", sees=False)
    assert "not to be seen" in why("worker killed", structs.replace(mine, worker_pid=2**22 + 1))

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert "needs root" in why("worker killed")


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"holder": "ab", "holder_name": "laptop"}, "laptop drives this robot"),
        ({"state": State.E_STOP, "reason": "pressed"}, "the e-stop is latched: pressed"),
        (None, "the guardian says nothing"),
    ],
)
def test_it_refuses_while_somebody_else_drives_or_the_e_stop_holds(
    tmp_path: Path, status: dict[str, object] | None, why: str
) -> None:
    assert FREE.status is not None
    told = None if status is None else structs.replace(FREE.status, **status)
    report = structs.replace(FREE, status=told)
    server = ReportServer(tmp_path / REPORT_SOCKET, lambda: report)
    server.listen()
    server.start()
    with pytest.raises(LinkError, match=why):
        free_robot(tmp_path)
    server.stop()


def run_verb(tmp_path: Path, *words: str, typed: str | None = None) -> Result:
    server = ReportServer(tmp_path / REPORT_SOCKET, lambda: FREE)
    server.listen()
    server.start()
    where = ["--runtime-dir", str(tmp_path), "--state-dir", str(tmp_path)]
    try:
        return CliRunner().invoke(agent, ["selftest", *words, *where], input=typed)
    finally:
        server.stop()


@pytest.mark.parametrize("words", [["--turn"], ["--stop"], ["--stop", "--trials", "2"]])
def test_without_consent_nothing_turns(board: Board, tmp_path: Path, words: list[str]) -> None:
    result = run_verb(tmp_path, *words, typed="yes\n")
    assert result.exit_code == 2
    assert "say --wheels-up if they may" in result.output
    assert board.output(12)[0] == board.output(13)[0] == 0


def test_a_fault_nobody_knows_is_told_before_anything_turns(board: Board, tmp_path: Path) -> None:
    result = run_verb(tmp_path, "--stop", "--wheels-up", "--only", "meteor")
    assert result.exit_code == 2
    assert "there are: e-stop by a second client" in result.output


def test_a_throttle_that_is_no_number_is_told_before_anything_turns(board: Board, tmp_path: Path) -> None:
    result = run_verb(tmp_path, "--turn", "--wheels-up", "--throttle", "nan")
    assert result.exit_code == 2
    assert "no number" in result.output


def test_without_turning_it_needs_no_consent(board: Board, tmp_path: Path) -> None:
    result = run_verb(tmp_path)
    assert result.exit_code == 0, result.output
    assert "outputs     2 read back: neutral" in result.output


def test_a_device_of_its_own_is_trusted_while_it_runs_and_no_longer(tmp_path: Path) -> None:
    Identity.new().save(tmp_path)
    with door_of(REPORT, tmp_path) as door:
        (device,) = TrustStore(tmp_path / TRUST_FILE).devices
        assert (device.name, device.role) == ("selftest", "driver")
        assert Identity.load(Path(door.home)) is not None
    assert TrustStore(tmp_path / TRUST_FILE).devices == ()
    assert not Path(door.home).exists()


def test_no_identity_to_be_found_is_a_sentence_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="is this its state directory"), door_of(REPORT, tmp_path):
        pass
    secret = structs.replace(REPORT, keys="secret")
    with pytest.raises(HardwareError, match="PYNET_KEY: set it"), door_of(secret, tmp_path):
        pass


@pytest.mark.parametrize("words", [(), ("--turn", "--wheels-up"), ("--stop", "--wheels-up")])
def test_where_no_agent_runs_it_says_how_to_start_one(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(agent, ["selftest", "--runtime-dir", str(tmp_path), *words])
    assert str(result.exception).startswith(f"no agent runs in {tmp_path}; start it:  sudo systemctl start ")
