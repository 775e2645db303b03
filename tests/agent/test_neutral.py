"""neutral.py as systemd runs it: a file of its own under `python3 -I -S`."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_agent import neutral
from pi_agent.neutral import PLAN_FILE, NeutralWrite, save_plan
from pynet_car.world.board import Board

ZERO = bytes(8)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-I", "-S", neutral.__file__, *arguments]
    return subprocess.run(program, capture_output=True, text=True, timeout=10, check=False)


def board_writes(board: Board, *pins: int) -> list[NeutralWrite]:
    return [("board", str(board.path), Board.duty_offset(pin), ZERO) for pin in pins]


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
            ("board", str(tmp_path / "gone"), 0, ZERO),
            ("sysfs", "/sys/class/pwm/pwmchip0/pwm0/enable", 0, b"0"),
            ("board", str(board.path), size, ZERO),  # would lengthen the file
            ("board", str(tmp_path), 0, ZERO),
            ("board", "board", 0, ZERO),  # from where?
            *board_writes(board, 12),
        ]
        save_plan(tmp_path, writes)
        done = run(str(tmp_path))
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 5
        assert all(line.startswith("neutral: ") for line in done.stderr.splitlines())
        assert "kind 'sysfs' is unknown" in done.stderr
        assert board.output(12)[0] == 0.0
        assert board.path.stat().st_size == size


def test_a_pipe_in_the_boards_place_does_not_hold_it_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "board")
    save_plan(tmp_path, [("board", str(tmp_path / "board"), 0, ZERO)])
    assert run(str(tmp_path)).returncode == 1


@pytest.mark.parametrize(
    "plan",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"version": 2, "writes": []}',
        '{"version": 1}',
        '{"version": 1, "writes": 3}',
        '{"version": 1, "writes": [3]}',
        '{"version": 1, "writes": [{"kind": "board", "path": "/x", "offset": -8, "hex": "00"}]}',
        '{"version": 1, "writes": [{"kind": "board", "path": "/x", "offset": 0, "hex": "zz"}]}',
        '{"version": 1, "writes": [{"kind": "board", "path": 7, "offset": 0, "hex": "00"}]}',
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
        "kind": st.just("board") | JSON,
        "path": st.text(max_size=10).map(lambda name: f"/nonexistent/{name}") | st.just("/dev/null") | JSON,
        "offset": st.integers() | JSON,
        "hex": st.binary(max_size=9).map(bytes.hex) | JSON,
    }
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)
@given(st.fixed_dictionaries({"version": st.just(1), "writes": st.lists(STEP, max_size=3)}) | JSON)
def test_no_plan_at_all_makes_it_raise(tmp_path: Path, plan: object) -> None:
    (tmp_path / PLAN_FILE).write_text(json.dumps(plan))
    assert neutral.main([str(tmp_path)]) in (0, 1)


@pytest.mark.parametrize("arguments", [[], ["one", "two"]])
def test_wrong_use_is_exit_code_2(arguments: list[str]) -> None:
    assert run(*arguments).returncode == 2


def test_a_plan_is_replaced_whole(tmp_path: Path) -> None:
    save_plan(tmp_path, [("board", "/x", 8, struct.pack("=d", 0.0))])
    save_plan(tmp_path, [])
    assert neutral.load_plan(str(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == [PLAN_FILE]
