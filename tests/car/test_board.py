"""The board inside one process: what is written is read, and wrong files and values are refused."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_car.world.board import PINS, RING_EDGES, Board, Edge, EdgeReader, Pose
from pynet_core.errors import HardwareError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "board"


def test_a_new_board_has_every_pin_at_zero(path: Path) -> None:
    with Board.open(path) as board:
        assert [board.output(pin) for pin in range(PINS)] == [(0.0, 0.0)] * PINS
        assert [board.input_level(pin) for pin in range(PINS)] == [None] * PINS
        assert board.read_pose() == Pose()


def test_outputs_stay_when_their_process_has_closed_the_board(path: Path) -> None:
    with Board.open(path) as board:
        board.set_output(12, 0.5, 100.0)
        board.set_output(19, 0.075, 50.0)
    with Board.open(path) as again:
        assert again.output(12) == (0.5, 100.0)
        assert again.output(19) == (0.075, 50.0)
        assert again.output(13) == (0.0, 0.0)


def test_duty_offset_names_the_eight_bytes_of_the_duty_in_the_file(path: Path) -> None:
    with Board.open(path) as board:
        board.set_output(12, 0.25, 100.0)
        with path.open("r+b") as file:
            file.seek(board.duty_offset(12))
            assert file.read(8) == struct.pack("=d", 0.25)
            file.seek(board.duty_offset(12))
            file.write(struct.pack("=d", 0.0))
        assert board.output(12) == (0.0, 100.0)


@pytest.mark.parametrize("duty", [-0.01, 1.01, float("nan"), float("inf")])
def test_a_duty_outside_0_to_1_is_refused_and_changes_nothing(path: Path, duty: float) -> None:
    with Board.open(path) as board:
        board.set_output(12, 0.5, 100.0)
        with pytest.raises(ValueError, match="duty"):
            board.set_output(12, duty, 100.0)
        assert board.output(12) == (0.5, 100.0)


@pytest.mark.parametrize("pin", [-1, PINS])
def test_a_pin_off_the_header_is_refused(path: Path, pin: int) -> None:
    with Board.open(path) as board:
        for use in (
            lambda: board.set_output(pin, 0.0, 0.0),
            lambda: board.output(pin),
            lambda: board.duty_offset(pin),
            lambda: board.write_edge(1, pin, True),
            lambda: board.set_echo(pin, 1),
            lambda: board.wire_echo(18, pin),
        ):
            with pytest.raises(ValueError, match=f"pin {pin} is not on the board"):
                use()


@pytest.mark.parametrize("content", [b"hello", b"PYNETBRD" + bytes(8), b"PYNETBRD\x01" + bytes(2000)])
def test_another_file_is_refused_with_one_clear_error_and_left_as_it_was(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(HardwareError, match=f"{path} is no pynet board of this version: it has"):
        Board.open(path)
    assert path.read_bytes() == content


def test_a_path_that_cannot_be_opened_says_which_and_why(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"cannot open the board .*/nowhere/board: No such file"):
        Board.open(tmp_path / "nowhere" / "board")
    with pytest.raises(HardwareError, match="Is a directory"):
        Board.open(tmp_path)


def test_a_maker_killed_before_the_file_had_its_size_leaves_a_board_that_opens(path: Path) -> None:
    with Board.open(path):
        pass
    os.truncate(path, 16)  # the header is written first, the size is set next
    with Board.open(path) as board:
        board.set_output(0, 1.0, 0.0)
        assert board.output(0) == (1.0, 0.0)


def test_edges_come_in_order_with_their_stamps_to_every_reader(path: Path) -> None:
    with Board.open(path) as world, Board.open(path) as agent:
        world.write_edge(1, 20, True)  # before the readers: not theirs
        readers = [EdgeReader(agent), EdgeReader(agent)]
        edges = [Edge(10**15 + i, i % PINS, i % 3 == 0) for i in range(100)]
        for edge in edges:
            world.write_edge(*edge)
        for reader in readers:
            assert reader.poll() == edges
            assert reader.poll() == []
            assert reader.overrun == 0


def test_an_input_line_keeps_the_level_it_was_last_driven_to(path: Path) -> None:
    with Board.open(path) as board:
        board.write_edge(1, 20, True)
        board.write_edge(2, 21, False)
        assert (board.input_level(20), board.input_level(21), board.input_level(22)) == (True, False, None)


@settings(max_examples=25)
@given(chunks=st.lists(st.integers(0, 2 * RING_EDGES), min_size=1, max_size=4))
def test_what_a_late_reader_lost_is_counted_and_the_rest_is_whole(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[int]
) -> None:
    with Board.open(tmp_path_factory.mktemp("ring") / "board") as board:
        reader = EdgeReader(board)
        written = lost = 0
        for chunk in chunks:
            for ns in range(written, written + chunk):
                board.write_edge(ns, ns % PINS, ns % 2 == 0)
            written += chunk
            # One slot less than the ring holds: the writer may be inside it.
            readable = min(chunk, RING_EDGES - 1)
            lost += chunk - readable
            assert reader.poll() == [
                Edge(ns, ns % PINS, ns % 2 == 0) for ns in range(written - readable, written)
            ]
            assert reader.overrun == lost


def test_an_echo_is_wired_to_its_trigger_and_has_a_width(path: Path) -> None:
    with Board.open(path) as board:
        assert board.echo_pin(18) is None
        board.wire_echo(18, 0)
        board.set_echo(0, 1_234_567)
        assert board.echo_pin(18) == 0
        assert board.echo_ns(0) == 1_234_567


def test_a_pose_is_read_as_it_was_written(path: Path) -> None:
    pose = Pose(
        ns=10**18,
        crashes=2,
        off_track=3,
        laps=4,
        x_m=-1.5,
        y_m=2.5,
        heading_rad=3.0,
        velocity_mps=-0.25,
        yaw_rate_radps=0.125,
        distance_m=1e6,
        cross_track_m=-0.03,
        arc_m=20.1,
    )
    with Board.open(path) as world, Board.open(path) as observer:
        world.write_pose(pose)
        assert observer.read_pose() == pose


def test_a_pose_left_half_written_by_a_killed_world_is_an_error_until_the_next_one(path: Path) -> None:
    killed = (
        "import os, sys; from dataclasses import replace; from pynet_car.world.board import Board, Pose\n"
        "class Bomb:\n"
        "    def __index__(self): os._exit(9)\n"
        "Board.open(sys.argv[1]).write_pose(replace(Pose(ns=1), laps=Bomb()))\n"
    )
    with Board.open(path) as board:
        assert subprocess.run([sys.executable, "-c", killed, path], check=False).returncode == 9
        with pytest.raises(HardwareError, match="never settles"):
            board.read_pose()
        board.write_pose(Pose(ns=2))
        assert board.read_pose() == Pose(ns=2)


def test_the_board_needs_the_standard_library_only() -> None:
    heavy = (
        "import sys; import pynet_car.world.board; "
        "sys.exit(any(m in sys.modules for m in ('numpy', 'cv2', 'simplejpeg', 'msgspec', 'gpiozero')))"
    )
    subprocess.run([sys.executable, "-c", heavy], check=True)
