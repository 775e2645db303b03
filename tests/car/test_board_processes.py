"""The board between real processes: no word tears, no edge is lost silently, one file for all."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Collection, Iterator
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import pytest

from pynet_car.world.board import PINS, Board, Edge, EdgeReader, Pose

SPAWN = multiprocessing.get_context("spawn")
RUN_S = 0.4  # long enough for about a million words
PATIENCE_S = 20.0  # for a writer that gets no turn: others use the cores too


def duties() -> list[float]:
    """Numbers with no bytes in common: half of one and half of another is neither."""
    chance = random.Random(5)
    return [chance.random() for _ in range(64)]


def expected_edge(ns: int) -> Edge:
    return Edge(ns, ns * 7 % PINS, ns % 3 == 0)


def write_duties(path: Path, started: Event, stop: Event) -> None:
    with Board.open(path) as board:
        values = duties()
        board.set_output(12, values[0], 100.0)
        started.set()
        while not stop.is_set():
            for _ in range(20):
                for duty in values:
                    board.set_output(12, duty, 100.0)


def write_poses(path: Path, started: Event, stop: Event) -> None:
    with Board.open(path) as board:
        count = 0
        while not stop.is_set():
            count += 1
            board.write_pose(pose_of(count))
            if count == 1:
                started.set()


def pose_of(count: int) -> Pose:
    """A pose whose every field says the same: a mixture of two is easily told."""
    return Pose(**dict.fromkeys(Pose.__slots__, count))


def write_edges(path: Path, count: int) -> None:
    with Board.open(path) as board:
        for ns in range(count):
            board.write_edge(*expected_edge(ns))


def open_many(folder: Path, pin: int, rounds: int, barrier: Barrier) -> None:
    for number in range(rounds):
        barrier.wait(30)
        with Board.open(folder / f"board{number}") as board:
            board.set_output(pin, 0.5, 50.0)


def while_written(seen: Collection[float]) -> Iterator[None]:
    """For RUN_S, and until the writer was seen writing."""
    begun_s = time.monotonic()
    while (passed_s := time.monotonic() - begun_s) < RUN_S or len(seen) <= 10:
        assert passed_s < PATIENCE_S, f"of what was written only {len(seen)} were seen"
        yield


@pytest.mark.timeout(60)
def test_a_duty_never_tears_across_processes(tmp_path: Path) -> None:
    legal = set(duties())
    started, stop = SPAWN.Event(), SPAWN.Event()
    with Board.open(tmp_path / "board") as board:
        writer = SPAWN.Process(target=write_duties, args=(board.path, started, stop))
        writer.start()
        assert started.wait(30)
        seen: set[float] = set()
        for _ in while_written(seen):
            for _ in range(100):
                seen.add(board.output(12)[0])
        stop.set()
        writer.join(30)
    assert writer.exitcode == 0
    assert seen <= legal


@pytest.mark.timeout(60)
def test_a_pose_is_whole_whenever_it_is_read(tmp_path: Path) -> None:
    started, stop = SPAWN.Event(), SPAWN.Event()
    with Board.open(tmp_path / "board") as board:
        writer = SPAWN.Process(target=write_poses, args=(board.path, started, stop))
        writer.start()
        assert started.wait(30)
        seen: set[int] = set()
        for _ in while_written(seen):
            pose = board.read_pose()
            assert pose == pose_of(pose.ns)
            seen.add(pose.ns)
        stop.set()
        writer.join(30)
    assert writer.exitcode == 0


@pytest.mark.timeout(60)
@pytest.mark.parametrize("pause_s", [0.0, 0.2])
def test_every_edge_of_another_process_is_delivered_or_counted(tmp_path: Path, pause_s: float) -> None:
    count = 150_000
    with Board.open(tmp_path / "board") as board:
        reader = EdgeReader(board)
        writer = SPAWN.Process(target=write_edges, args=(board.path, count))
        writer.start()
        received: list[Edge] = []
        while writer.is_alive():
            received += reader.poll()
            time.sleep(pause_s)  # a reader too slow for the ring, and one that is not
        received += reader.poll()
        writer.join(30)
    assert writer.exitcode == 0
    assert received == [expected_edge(edge.ns) for edge in received]
    stamps = [edge.ns for edge in received]
    assert stamps == sorted(set(stamps))
    assert stamps[-1] == count - 1
    assert len(received) + reader.overrun == count


@pytest.mark.timeout(60)
def test_processes_that_race_to_make_a_board_share_one(tmp_path: Path) -> None:
    racers, rounds = 4, 40
    barrier = SPAWN.Barrier(racers)
    processes = [
        SPAWN.Process(target=open_many, args=(tmp_path, pin, rounds, barrier)) for pin in range(racers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(50)
        assert process.exitcode == 0
    for number in range(rounds):
        with Board.open(tmp_path / f"board{number}") as board:
            assert [board.output(pin) for pin in range(racers)] == [(0.5, 50.0)] * racers
