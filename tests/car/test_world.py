"""The world as the board shows it: outputs drive the car, and its sensors tell the truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynet_car.world import DEFAULT_SEED
from pynet_car.world.board import Board, Edge, EdgeReader, Pose
from pynet_car.world.driver import Teacher
from pynet_car.world.ranges import echo_ns
from pynet_car.world.track import BARRIER_M, HALF_LANE_M, Track
from pynet_car.world.wiring import NO_ECHO_NS, WIRING, steering_of
from pynet_car.world.world import STEP_NS, World

TRACK = Track(DEFAULT_SEED)
STEPS_PER_S = 1_000_000_000 // STEP_NS


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with Board.open(tmp_path / "board") as board:
        yield board


def put_out(board: Board, throttle: float, steering: float) -> None:
    """What an agent does with these, in gpiozero's terms: two PWM pins and a 50 Hz servo pulse."""
    board.set_output(12, max(0.0, throttle), 100.0)
    board.set_output(13, max(0.0, -throttle), 100.0)
    board.set_output(19, (0.0015 + 0.0005 * steering) * 50.0, 50.0)


def run(world: World, seconds: float) -> Pose:
    for _ in range(round(seconds * STEPS_PER_S)):
        world.step()
    return world.pose


def teach(world: World, board: Board, teacher: Teacher, seconds: float, delay_ms: int = 0) -> list[Pose]:
    """Let the teacher drive at 50 Hz with commands that are `delay_ms` old when they take effect."""
    on_the_way: deque[tuple[int, float, float]] = deque()
    poses = []
    for step in range(round(seconds * STEPS_PER_S)):
        if step % 4 == 0:
            on_the_way.append((world.ns + delay_ms * 1_000_000, *teacher(world.pose)))
        while on_the_way and on_the_way[0][0] <= world.ns:
            put_out(board, *on_the_way.popleft()[1:])
        world.step()
        poses.append(world.pose)
    return poses


class Quadrature:
    """Counts edges as a textbook decoder does, and refuses any that cannot be."""

    def __init__(self, a_pin: int, b_pin: int) -> None:
        self.levels = {a_pin: True, b_pin: True}
        self.a_pin, self.b_pin = a_pin, b_pin
        self.count = 0

    def take(self, edge: Edge) -> None:
        assert self.levels[edge.pin] != edge.level, f"{edge} repeats a level"
        a, b = self.levels[self.a_pin], self.levels[self.b_pin]
        # Forward: A falls while B is high, B falls while A is low, and so on round.
        forward = (a == b) if edge.pin == self.a_pin else (a != b)
        self.levels[edge.pin] = edge.level
        self.count += 1 if forward else -1


def test_the_car_starts_at_rest_on_the_start_line_and_stays_there(board: Board) -> None:
    world = World(board, TRACK, start_ns=123)
    start = world.pose
    x, y, heading = TRACK.point(0.0)
    assert (start.x_m, start.y_m, start.heading_rad, start.ns) == (x, y, heading, 123)
    end = run(world, 1.0)
    assert (end.x_m, end.y_m, end.distance_m, end.ns) == (x, y, 0.0, 123 + 1_000_000_000)


def test_the_board_shows_the_pose_of_the_last_step(board: Board) -> None:
    world = World(board, TRACK)
    put_out(board, 0.5, 0.3)
    run(world, 0.5)
    assert world.pose.velocity_mps > 0.5
    assert board.read_pose() == world.pose


def test_the_same_commands_give_the_same_world_to_the_bit(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        with Board.open(tmp_path / name) as board:
            reader = EdgeReader(board)
            world = World(board, TRACK)
            poses = teach(world, board, Teacher(TRACK), 10.0, delay_ms=60)
            echoes = [board.echo_ns(sonar.echo_pin) for sonar in WIRING.sonars]
            runs.append((poses, reader.poll(), echoes))
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("duty", "hz", "steering"),
    [(0.075, 50, 0.0), (0.1, 50, 1.0), (0.05, 50, -1.0), (0.08, 50, 0.2), (0.2, 50, 1.0), (0.15, 100, 0.0)],
)
def test_a_servo_pulse_of_one_to_two_milliseconds_is_right_to_left(
    duty: float, hz: float, steering: float
) -> None:
    assert steering_of(duty, hz, WIRING) == pytest.approx(steering)


@pytest.mark.parametrize(("duty", "hz"), [(0.075, 0.0), (0.0, 50.0), (0.0, 0.0)])
def test_no_pulses_ask_a_servo_for_nothing(board: Board, duty: float, hz: float) -> None:
    assert steering_of(duty, hz, WIRING) is None
    world = World(board, TRACK)
    put_out(board, 0.3, 0.5)
    run(world, 0.5)
    board.set_output(19, duty, hz)
    yaw_per_m = world.pose.yaw_rate_radps / world.pose.velocity_mps
    run(world, 0.3)
    assert world.pose.yaw_rate_radps / world.pose.velocity_mps == pytest.approx(yaw_per_m, rel=1e-3)
    assert yaw_per_m > 0.5


def test_the_car_is_at_rest_within_three_seconds_of_neutral_from_one_and_a_half_mps(board: Board) -> None:
    world = World(board, TRACK)
    teach(world, board, Teacher(TRACK, max_speed_mps=1.5), 4.0)
    assert world.pose.velocity_mps > 1.4
    board.set_output(12, 0.0, 100.0)
    run(world, 3.0)
    assert world.pose.velocity_mps == 0.0
    assert world.pose.crashes == 0


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(-0.6, 0.6), st.floats(-0.3, 0.3)), min_size=1, max_size=6))
def test_the_encoders_count_what_the_wheels_rolled_in_order_and_with_true_stamps(
    tmp_path_factory: pytest.TempPathFactory, commands: list[tuple[float, float]]
) -> None:
    with Board.open(tmp_path_factory.mktemp("world") / "board") as board:
        reader = EdgeReader(board)
        world = World(board, TRACK)
        wheels = {pins: Quadrature(*pins) for pins in (WIRING.left_encoder_pins, WIRING.right_encoder_pins)}
        by_pin = {pin: wheel for pins, wheel in wheels.items() for pin in pins}
        assert [edge.level for edge in reader.poll()] == [True] * 4  # at rest all lines are high
        stamps = []
        for command in commands:
            put_out(board, *command)
            for _ in range(100):
                begun_ns = world.ns
                world.step()
                for edge in reader.poll():
                    assert begun_ns <= edge.ns <= world.ns
                    stamps.append(edge.ns)
                    by_pin[edge.pin].take(edge)
        assert stamps == sorted(stamps)
        assert reader.overrun == 0
        left, right = (wheel.count / 4 / WIRING.ticks_per_m for wheel in wheels.values())
        pose = world.pose
        edge_m = 1 / 4 / WIRING.ticks_per_m
        assert (left + right) / 2 == pytest.approx(pose.distance_m, abs=edge_m)
        turned = pose.heading_rad - TRACK.point(0.0)[2]
        assert right - left == pytest.approx(turned * WIRING.track_width_m, abs=2 * edge_m)


@pytest.mark.slow
def test_the_distance_by_encoder_is_the_true_one_to_an_edge_after_a_minute(board: Board) -> None:
    world = World(board, TRACK)
    reader = EdgeReader(board)
    teacher = Teacher(TRACK)
    left = Quadrature(*WIRING.left_encoder_pins)
    right = Quadrature(*WIRING.right_encoder_pins)
    for _ in range(60):
        teach(world, board, teacher, 1.0)
        for edge in reader.poll():
            (left if edge.pin in left.levels else right).take(edge)
    measured_m = (left.count + right.count) / 2 / 4 / WIRING.ticks_per_m
    assert world.pose.distance_m > 90
    assert measured_m == pytest.approx(world.pose.distance_m, abs=0.003)


def test_a_world_started_on_a_used_board_puts_its_encoder_lines_to_rest(board: Board) -> None:
    board.write_edge(1, WIRING.left_encoder_pins[0], False)
    World(board, TRACK)
    assert all(board.input_level(pin) for pin in (*WIRING.left_encoder_pins, *WIRING.right_encoder_pins))


def test_sonars_are_wired_and_hear_both_barriers_from_the_start(board: Board) -> None:
    World(board, TRACK)
    for sonar in WIRING.sonars:
        assert board.echo_pin(sonar.trigger_pin) == sonar.echo_pin
    far_left, far_right = (board.echo_ns(WIRING.sonars[n].echo_pin) for n in (0, 3))
    # At 50 degrees from the middle of a straight lane: the barrier, or a cone before it.
    for width_ns in (far_left, far_right):
        assert echo_ns(0.5) < width_ns < echo_ns(1.1)


def test_a_box_ahead_shortens_the_echoes_as_the_car_comes_nearer(board: Board) -> None:
    world = World(board, TRACK, boxes=[TRACK.box_at(2.0)])
    teacher = Teacher(TRACK, max_speed_mps=1.0)
    front = [sonar.echo_pin for sonar in WIRING.sonars if abs(sonar.bearing_deg) == 15.0]
    nearest = []
    while world.pose.arc_m < 1.4:
        teach(world, board, teacher, 0.1)
        nearest.append(min(board.echo_ns(pin) for pin in front))
    assert nearest[-1] < echo_ns(0.5) < echo_ns(1.0) < nearest[0] <= NO_ECHO_NS


def test_hitting_a_barrier_counts_one_crash_and_stops_the_car_inside_the_barriers(board: Board) -> None:
    world = World(board, TRACK)
    put_out(board, 0.5, 1.0)
    poses = []
    for _ in range(5 * STEPS_PER_S):
        world.step()
        poses.append(world.pose)
    assert world.pose.crashes == 1
    assert world.pose.velocity_mps == 0.0
    assert world.pose.off_track == 1
    assert max(abs(pose.cross_track_m) for pose in poses) < BARRIER_M
    # Pushing on is no further crash, and does not turn the wheels.
    stuck_m = world.pose.distance_m
    assert run(world, 1.0).crashes == 1
    assert world.pose.distance_m == stuck_m


def test_a_car_at_a_barrier_can_back_out(board: Board) -> None:
    world = World(board, TRACK)
    put_out(board, 0.5, 1.0)
    run(world, 5.0)
    put_out(board, -0.4, 1.0)
    run(world, 0.6)
    assert world.pose.crashes == 1
    assert world.pose.velocity_mps < -0.3
    assert abs(world.pose.cross_track_m) < HALF_LANE_M + 0.1


def test_a_box_in_the_way_is_a_crash_too(board: Board) -> None:
    world = World(board, TRACK, boxes=[TRACK.box_at(2.0)])
    teach(world, board, Teacher(TRACK), 4.0)
    assert world.pose.crashes == 1
    assert world.pose.velocity_mps == 0.0
    assert 1.4 < world.pose.arc_m < 2.0


def test_skipped_time_passes_without_motion(board: Board) -> None:
    world = World(board, TRACK)
    put_out(board, 0.5, 0.0)
    before = run(world, 0.5)
    world.skip(10_000_000_000)
    world.step()
    assert world.ns == before.ns + 10_000_000_000 + STEP_NS
    assert world.pose.distance_m - before.distance_m < 0.02


@pytest.mark.parametrize(("speed_mps", "laps"), [(1.0, 1), (1.5, 2), (1.9, 3)])
def test_the_teacher_laps_with_commands_60_ms_old_and_is_never_off_track(
    board: Board, speed_mps: float, laps: int
) -> None:
    world = World(board, TRACK)
    poses = teach(world, board, Teacher(max_speed_mps=speed_mps), 35.0, delay_ms=60)
    assert (world.pose.laps, world.pose.off_track, world.pose.crashes) == (laps, 0, 0)
    assert max(abs(pose.cross_track_m) for pose in poses) < 0.10
    assert world.pose.distance_m == pytest.approx(35 * speed_mps, rel=0.08)


@pytest.mark.parametrize("seed", range(100, 106))
def test_the_teacher_laps_tracks_it_was_not_made_on(tmp_path: Path, seed: int) -> None:
    track = Track(seed)
    with Board.open(tmp_path / "board") as board:
        world = World(board, track)
        teach(world, board, Teacher(track), 14.0, delay_ms=100)
        assert world.pose.laps == 1
        assert (world.pose.off_track, world.pose.crashes) == (0, 0)


def test_laps_are_counted_forward_only(board: Board) -> None:
    world = World(board, TRACK)
    put_out(board, -0.4, 0.0)
    run(world, 1.0)
    assert world.pose.arc_m > TRACK.length_m / 2  # behind the start line
    assert world.pose.laps == 0
    put_out(board, 0.4, 0.0)
    while world.pose.distance_m < 0.2:
        world.step()
    assert world.pose.laps == 0
