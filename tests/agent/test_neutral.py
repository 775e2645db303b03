"""neutral.py as systemd runs it: a file of its own under `python3 -I -S`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_agent import neutral
from pi_agent.neutral import PLAN_FILE, NeutralWrite, save_plan
from pynet_car.world.board import Board
from tests.agent.fake_kernel import FakeKernel, make_pwm_chip, pwm_pulse_ns

pytestmark = pytest.mark.promise


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-I", "-S", neutral.__file__, *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=10, check=False)


def board_writes(board: Board, *pins: int) -> list[NeutralWrite]:
    return [("board", str(board.path), Board.duty_offset(pin), 0.0) for pin in pins]


def test_it_stops_the_motors_of_a_board_as_often_as_it_runs(tmp_path: Path) -> None:
    with Board.open(tmp_path / "board") as board:
        save_plan(tmp_path, board_writes(board, 12, 13))
        for _ in range(2):
            board.set_output(12, 0.9, 100.0)
            board.set_output(13, 0.4, 100.0)
            board.set_output(19, 0.08, 50.0)
            done = run(str(tmp_path))
            assert (done.returncode, done.stderr) == (0, "")
            assert board.output(12) == (0.0, 100.0)
            assert board.output(13)[0] == 0.0
            assert board.output(19)[0] == 0.08
        assert run(str(tmp_path)).returncode == 0


def test_where_nothing_was_claimed_there_is_nothing_to_do(tmp_path: Path) -> None:
    done = run(str(tmp_path / "never made"))
    assert (done.returncode, done.stderr) == (0, "")


def test_one_write_that_fails_does_not_keep_the_others_from_being_done(tmp_path: Path) -> None:
    with Board.open(tmp_path / "board") as board:
        board.set_output(12, 0.9, 100.0)
        size = board.path.stat().st_size
        writes: list[NeutralWrite] = [
            ("board", str(tmp_path / "gone"), 0, 0.0),
            ("sysfs", "/sys/class/pwm/pwmchip0/pwm0/enable", 0, 0),
            ("board", str(board.path), size, 0.0),  # would lengthen the file
            ("board", str(tmp_path), 0, 0.0),
            ("board", "board", 0, 0.0),  # from where?
            ("gpio", str(tmp_path / "nothing"), 12, 0),
            ("pwm", str(tmp_path / "nothing"), 0, 0),
            ("pca9685", str(tmp_path / "nothing"), 0x400, 0),
            ("gpio", "/dev/null", 12, 0),  # no GPIO chip
            ("gpio", str(board.path), 2**40, 0),
            *board_writes(board, 12),
        ]
        save_plan(tmp_path, writes)
        done = run(str(tmp_path))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 10
        assert all(line.startswith("neutral: ") for line in done.stderr.splitlines())
        assert "kind 'sysfs' is unknown" in done.stderr
        assert board.output(12)[0] == 0.0
        assert board.path.stat().st_size == size


def test_a_pipe_in_the_boards_place_does_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "board")
    save_plan(tmp_path, [("board", str(tmp_path / "board"), 0, 0.0)])
    assert run(str(tmp_path)).returncode == 1


@pytest.mark.parametrize(
    "plan",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 1, "writes": []}',
        '{"version": 2}',
        '{"version": 2, "writes": 3}',
        '{"version": 2, "writes": [3]}',
        '{"version": 2, "writes": [{"kind": "board", "path": "/x", "place": -8, "value": 0}]}',
        '{"version": 2, "writes": [{"kind": "board", "path": "/x", "place": 0, "value": "zz"}]}',
        '{"version": 2, "writes": [{"kind": "board", "path": "/x", "place": 0, "value": NaN}]}',
        '{"version": 2, "writes": [{"kind": "board", "path": 7, "place": 0, "value": 0}]}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_plan_that_is_none_is_one_line_and_exit_code_1(tmp_path: Path, plan: str) -> None:
    (tmp_path / PLAN_FILE).write_bytes(plan.encode("utf-8", "surrogateescape"))
    done = run(str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert PLAN_FILE in done.stderr


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
STEP = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["board", "gpio", "pwm", "pca9685"]) | JSON,
        "path": st.text(max_size=10).map(lambda name: f"/nonexistent/{name}") | st.just("/dev/null") | JSON,
        "place": st.integers() | JSON,
        "value": st.integers() | st.floats() | JSON,
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(
    st.fixed_dictionaries({"version": st.just(neutral.VERSION), "writes": st.lists(STEP, max_size=3)}) | JSON
)
def test_no_plan_at_all_makes_it_raise(tmp_path: Path, plan: object) -> None:
    (tmp_path / PLAN_FILE).write_text(json.dumps(plan))
    assert neutral.main([str(tmp_path)]) in (0, 1)


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_wrong_use_is_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_a_plan_is_replaced_whole(tmp_path: Path) -> None:
    writes: list[NeutralWrite] = [("board", "/x", 8, 0.0), ("pwm", "/sys/x", 1, 1_500_000)]
    save_plan(tmp_path, writes)
    assert neutral.load_plan(str(tmp_path)) == (writes, [])
    save_plan(tmp_path, [])
    assert neutral.load_plan(str(tmp_path)) == ([], [])
    assert [path.name for path in tmp_path.iterdir()] == [PLAN_FILE]


def test_of_a_plan_cut_off_anywhere_what_is_whole_is_done_and_the_rest_is_told(tmp_path: Path) -> None:
    with Board.open(tmp_path / "board") as board:
        save_plan(tmp_path, board_writes(board, 5, 12, 13))
        plan = (tmp_path / PLAN_FILE).read_bytes()
        done_at: list[int] = []
        for length in range(0, len(plan) - 1, 3):  # without its last line break it is whole all the same
            (tmp_path / PLAN_FILE).write_bytes(plan[:length])
            for pin in (5, 12, 13):
                board.set_output(pin, 0.9, 100.0)
            assert neutral.main([str(tmp_path)]) == 1
            done_at.append(sum(board.output(pin)[0] == 0.0 for pin in (5, 12, 13)))
    assert done_at == sorted(done_at)
    assert set(done_at) == {0, 1, 2, 3}


def test_a_spoilt_byte_costs_the_line_it_is_in_at_most(tmp_path: Path) -> None:
    with Board.open(tmp_path / "board") as board:
        save_plan(tmp_path, board_writes(board, 12, 13))
        plan = (tmp_path / PLAN_FILE).read_bytes()
        first_line = plan.index(b"\n")
        for place in range(first_line + 1, len(plan) - 1):
            if plan[place : place + 1] == b"\n":
                continue  # then the line is longer
            (tmp_path / PLAN_FILE).write_bytes(plan[:place] + b"\xff" + plan[place + 1 :])
            for pin in (12, 13):
                board.set_output(pin, 0.9, 100.0)
            code = neutral.main([str(tmp_path)])
            stopped = sum(board.output(pin)[0] == 0.0 for pin in (12, 13))
            assert stopped >= 1
            assert code == 1 or stopped == 2


# each kind, on a kernel that is not one


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path)
    kernel.install(monkeypatch)
    return kernel


def carry_out(tmp_path: Path, *writes: NeutralWrite) -> int:
    save_plan(tmp_path, writes)
    return neutral.main([str(tmp_path)])


def test_a_line_is_put_out_low_whatever_it_was(kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.gpio.levels = {12: 1, 13: 0}
    assert carry_out(tmp_path, *(("gpio", "/dev/gpiochip0", line, 0) for line in (12, 13, 5))) == 0
    assert kernel.gpio.levels == {12: 0, 13: 0, 5: 0}
    assert carry_out(tmp_path, ("gpio", "/dev/gpiochip0", 5, 1)) == 0  # an enable that is low when active
    assert kernel.gpio.levels[5] == 1


def test_a_line_that_somebody_holds_is_told_and_the_next_is_done(
    kernel: FakeKernel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.gpio.levels = {12: 1, 13: 1}
    kernel.gpio.held = {12}
    assert carry_out(tmp_path, *(("gpio", "/dev/gpiochip0", line, 0) for line in (12, 13))) == 1
    assert kernel.gpio.levels == {12: 1, 13: 0}
    assert capsys.readouterr().err == (
        "neutral: gpio 12 of /dev/gpiochip0 may still run: another program holds line 12; "
        "if that is the agent, stop it\n"
    )


def set_up_pwm(kernel: FakeKernel, channel: int, *, period_ns: int, pulse_ns: int) -> None:
    neutral.write_text(f"{kernel.pwm}/export", str(channel))
    for name, value in (("period", period_ns), ("duty_cycle", pulse_ns), ("enable", 1)):
        neutral.write_text(f"{kernel.pwm}/pwm{channel}/{name}", str(value))


def test_a_pwm_channel_ends_its_pulses_and_an_esc_gets_its_neutral_ones(
    kernel: FakeKernel, tmp_path: Path
) -> None:
    for channel in (0, 1):
        set_up_pwm(kernel, channel, period_ns=20_000_000, pulse_ns=1_900_000)
    for _ in range(2):
        chip = str(kernel.pwm)
        assert carry_out(tmp_path, ("pwm", chip, 0, 0), ("pwm", chip, 1, 1_500_000)) == 0
        assert [pwm_pulse_ns(kernel.pwm, channel) for channel in (0, 1)] == [0, 1_500_000]


def test_a_pwm_channel_that_was_set_up_in_part_is_switched_off(kernel: FakeKernel, tmp_path: Path) -> None:
    neutral.write_text(f"{kernel.pwm}/export", "0")
    assert carry_out(tmp_path, ("pwm", str(kernel.pwm), 0, 0)) == 0  # no period yet
    set_up_pwm(kernel, 1, period_ns=1_000_000, pulse_ns=500_000)  # by somebody else, too fast for an ESC
    assert carry_out(tmp_path, ("pwm", str(kernel.pwm), 1, 1_500_000)) == 0
    assert pwm_pulse_ns(kernel.pwm, 1) == 0


def test_a_pwm_channel_on_a_tree_of_plain_files_as_systemd_runs_it(tmp_path: Path) -> None:
    chip = make_pwm_chip(tmp_path / "class")
    folder = chip / "pwm0"
    folder.mkdir()
    for name, value in (("period", "20000000"), ("duty_cycle", "1900000"), ("enable", "1")):
        (folder / name).write_text(value)
    save_plan(tmp_path, [("pwm", str(chip), 0, 0), ("pwm", str(chip), 1, 0)])
    assert run(str(tmp_path)).returncode == 0
    assert (folder / "duty_cycle").read_text() == "0"
    assert not (chip / "pwm1").exists()


def pca9685(channel: int, ticks: int) -> NeutralWrite:
    return "pca9685", "/dev/i2c-1", 0x40 << 4 | channel, ticks


def wake(kernel: FakeKernel, mode: int = 0x21) -> None:
    chip = kernel.pca9685
    chip.registers[0] = mode
    for channel in range(16):
        chip.registers[0x06 + 4 * channel : 0x0A + 4 * channel] = bytes([0, 0, 0xCD, 0x03])


@pytest.mark.parametrize("mode", [0x21, 0x01, 0x81])
def test_a_channel_goes_off_or_to_the_pulse_of_an_esc_and_the_others_stay(
    kernel: FakeKernel, tmp_path: Path, mode: int
) -> None:
    wake(kernel, mode)
    assert carry_out(tmp_path, pca9685(0, 0), pca9685(15, 307)) == 0
    assert [kernel.pca9685.ticks(channel) for channel in (0, 1, 14, 15)] == [0, 973, 973, 307]
    assert kernel.pca9685.restarts == 0


def test_a_pca9685_that_lost_its_supply_is_not_woken(kernel: FakeKernel, tmp_path: Path) -> None:
    before = bytes(kernel.pca9685.registers)
    assert carry_out(tmp_path, pca9685(0, 0), pca9685(15, 307)) == 0
    assert kernel.pca9685.registers == before


@pytest.mark.parametrize(("faults", "code"), [(2, 0), (3, 1)])
def test_a_disturbed_bus_is_tried_three_times(
    kernel: FakeKernel, tmp_path: Path, faults: int, code: int
) -> None:
    wake(kernel)
    kernel.pca9685.faults = faults
    assert carry_out(tmp_path, pca9685(3, 0)) == code
    assert kernel.pca9685.ticks(3) == (973 if code else 0)


def test_what_it_asks_of_the_kernel_is_what_the_headers_say() -> None:
    """Compiled from linux/gpio.h and linux/i2c-dev.h of 6.1, x86-64 and arm64 alike."""
    assert (neutral.GPIO_V2_GET_LINE_IOCTL, neutral.I2C_SLAVE) == (0xC250B407, 0x0703)
    assert neutral.GPIO_V2_GET_LINE_IOCTL >> 16 & 0x3FFF == neutral._LINE_REQUEST_BYTES == 592
    offsets = (neutral._FLAGS, neutral._ATTRIBUTES, neutral._FIRST_ATTRIBUTE, neutral._LINES, neutral._FD)
    assert offsets == (288, 296, 320, 560, 588)
