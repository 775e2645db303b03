"""A path drives the simulated car through the real guardian: in its lane, and stopped as any command is."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from pi_agent.config import AgentConfig, EncoderConfig, PathConfig, ProximityConfig
from pi_agent.following import SIMULATED_LENS_M, SIMULATED_RADIUS_M, SIMULATED_ROLL_M, why_no_paths
from pynet_car.messages import (
    Arm,
    Disarm,
    EStop,
    Lease,
    PathPoint,
    Priority,
    Release,
    Reset,
    State,
    Verdict,
)
from pynet_car.odometry import Wheel
from pynet_car.world import DEFAULT_SEED
from pynet_car.world.camera import PI_CAMERA
from pynet_car.world.car import CAR_SPEC, Car, advance
from pynet_car.world.driver import Teacher
from pynet_car.world.track import Track
from tests.agent.path_world import MS, PathWorld, Way

pytestmark = pytest.mark.promise

TRACKS: Final = {seed: Track(seed) for seed in (DEFAULT_SEED, 11)}
AHEAD: Final = tuple(PathPoint(0.25 * i, 0.0, 1.5) for i in range(1, 13))

Start = Callable[..., PathWorld]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    worlds: list[PathWorld] = []

    def make(
        way: Way | None = None, *, seed: int = DEFAULT_SEED, config: AgentConfig | None = None
    ) -> PathWorld:
        world = PathWorld(tmp_path, TRACKS[seed], way, config=config)
        worlds.append(world)
        world.ticks(0.1)  # the sensors have measured
        world.arm()
        return world

    yield make
    for world in worlds:
        world.__exit__(None, None, None)


def drive(world: PathWorld, seconds: float, *, hz: float = 14) -> list[float]:
    """Somebody who sees the centre line sends it; the cross-track error at each tick."""
    teacher = Teacher(world.track)
    errors = []
    for i in range(round(seconds * 100)):
        if i % round(100 / hz) == 0:
            world.send_path(teacher.path(world.pose), world.world.ns)
        world.tick()
        errors.append(abs(world.pose.cross_track_m))
    return errors


@pytest.mark.parametrize(("seed", "hz"), [(DEFAULT_SEED, 10), (11, 20)])
def test_paths_100_to_200_ms_old_drive_it_round_in_the_middle_of_its_lane(
    start: Start, seed: int, hz: float, record_property: Callable[[str, object], None]
) -> None:
    world = start(Way(delay_ms=100, jitter_ms=100, loss=0.1), seed=seed)
    errors = sorted(drive(world, 20.0, hz=hz))
    record_property("cross_track_p95_m", errors[int(0.95 * len(errors))])
    assert (world.pose.off_track, world.pose.crashes) == (0, 0)
    assert world.pose.laps >= 1
    assert errors[int(0.95 * len(errors))] < 0.08
    assert errors[-1] < 0.15


# stopping


def gone(world: PathWorld) -> tuple[float, float]:
    """(metres since now until it stands, greatest distance off the centre line)"""
    begun_m, worst_m = world.pose.distance_m, 0.0
    for _ in range(400):
        world.tick()
        worst_m = max(worst_m, abs(world.pose.cross_track_m))
    assert world.pose.velocity_mps == 0.0
    return world.pose.distance_m - begun_m, worst_m


@pytest.mark.parametrize("driven_s", [2.1, 3.0, 4.4])
def test_radio_gone_it_stands_within_the_path_that_it_holds(start: Start, driven_s: float) -> None:
    world = start(Way(delay_ms=100))
    drive(world, driven_s)
    world.way.is_dead = True
    world.way.queue.clear()
    left_m = world.now.path_left_m
    assert world.pose.velocity_mps > 0.5
    rolled_m, worst_m = gone(world)
    assert 0.3 < rolled_m <= left_m <= 3.0
    assert worst_m < 0.2, "it steers on while it rolls"
    assert world.now.state is State.DISARMED
    assert world.pose.crashes == 0


def test_the_motor_is_off_1500_ms_after_the_picture_however_long_the_path(start: Start) -> None:
    world = start()
    slow = tuple(PathPoint(0.25 * i, 0.0, 0.6) for i in range(1, 13))
    world.send_path(slow, world.world.ns)
    t_capture_ns = world.world.ns
    driven_ns = []
    for _ in range(250):
        world.tick()
        if world.drivetrain.duty:
            driven_ns.append(world.world.ns - t_capture_ns)
    assert 1400 * MS < max(driven_ns) <= 1500 * MS
    assert world.now.state is State.FAILSAFE
    assert "no fresh path" in world.now.reason.lower()


def test_it_steers_on_along_its_path_while_it_rolls_out_and_not_once_it_is_disarmed(start: Start) -> None:
    world = start()
    bend = tuple(PathPoint(math.sin(0.2 * i), 1.0 - math.cos(0.2 * i), 1.2) for i in range(1, 16))
    world.send_path(bend, world.world.ns)  # 1 m round a point to the left
    rolling = []
    for _ in range(190):
        world.tick()
        if world.now.state is State.FAILSAFE:
            assert world.drivetrain.duty == 0.0
            rolling.append(world.drivetrain.steering)
    assert len(rolling) > 20
    assert min(rolling) > 0.3
    world.ticks(2.0)
    assert world.now.state is State.DISARMED
    assert world.drivetrain.steering == 0.0


def stops_at_once(world: PathWorld) -> None:
    assert world.drivetrain.duty == 0.0
    world.ticks(0.3)
    assert world.drivetrain.duty == 0.0


def driving(world: PathWorld) -> PathWorld:
    drive(world, 1.5)
    assert world.drivetrain.duty > 0.2
    assert world.now.path_left_m > 1.0
    return world


@pytest.mark.parametrize("peer", ["net" * 10, "ada" * 10])
def test_e_stop_by_anybody(start: Start, peer: str) -> None:
    world = driving(start())
    world.ask(EStop(), peer)
    stops_at_once(world)
    assert world.now.state is State.E_STOP


@pytest.mark.parametrize(
    "act", [Disarm(), Release(), Lease(priority=Priority.HUMAN)], ids=lambda act: type(act).__name__
)
def test_disarm_and_the_loss_of_the_lease(start: Start, act: Disarm | Release | Lease) -> None:
    world = driving(start())
    peer = "ada" * 10 if isinstance(act, Lease) else "net" * 10
    assert world.ask(act, peer) is Verdict.TAKEN
    stops_at_once(world)
    drive(world, 0.3)  # and paths of a session that has gone move nothing
    assert world.drivetrain.duty == 0.0


def test_the_workers_death(start: Start) -> None:
    world = driving(start())
    world.worker.close()
    world.guardian.step(world.world.ns + 10 * MS)
    assert world.drivetrain.duty == 0.0
    world.attach()
    world.ticks(0.3)
    assert world.drivetrain.duty == 0.0
    assert world.now.state is State.DISARMED


def test_silent_encoders_within_250_ms_and_for_good(start: Start) -> None:
    world = driving(start())
    world.publishes = False
    world.ticks(0.25)
    stops_at_once(world)
    assert "path is lost" in world.now.reason
    world.publishes = True
    world.ticks(0.3)
    assert world.drivetrain.duty == 0.0, "what it was is not known, though it is known again where it goes"
    drive(world, 0.5)
    assert world.drivetrain.duty > 0.0, "a new path drives"


def test_a_motor_that_drives_while_the_encoders_count_nothing_disarms(start: Start) -> None:
    world = start()
    world.encoders_count = False
    drive(world, 1.5)
    assert world.drivetrain.duty == 0.0
    assert world.now.state is State.DISARMED
    assert "encoders counted nothing" in world.now.reason
    assert world.pose.distance_m < 1.2


def test_encoders_that_count_backward_while_the_motor_drives_forward_disarm(start: Start) -> None:
    """Swapped wires: the car seemed never to come nearer to its path's end, and drove on for ever."""
    world = start()
    world.swapped = frozenset(Wheel)
    drive(world, 1.5)
    assert world.now.state is State.DISARMED
    assert "counted backward" in world.now.reason
    assert world.pose.distance_m < 1.2


def test_a_car_that_still_rolls_backward_follows_its_path(start: Start) -> None:
    world = start()
    for _ in range(100):
        world.drive(-0.3)
        world.tick()
    assert world.pose.velocity_mps < -0.5
    drive(world, 2.0)
    assert world.now.state is State.ARMED
    assert world.pose.velocity_mps > 0.5


@pytest.mark.parametrize("wheel", Wheel)
@pytest.mark.parametrize("driven_s", [0.0, 1.5])
def test_one_wheel_that_does_not_count_disarms_within_a_metre(
    start: Start, wheel: Wheel, driven_s: float
) -> None:
    world = start()
    drive(world, driven_s)
    begun_m = world.pose.distance_m
    world.dead_wheel = wheel
    for _ in range(15):
        if world.now.state is State.ARMED:
            drive(world, 0.1)
    assert world.pose.distance_m - begun_m < 0.8
    stops_at_once(world)
    assert world.now.state is State.DISARMED
    assert "does each wheel count?" in world.now.reason


def test_a_command_sent_later_drives_instead_and_a_path_after_that_again(start: Start) -> None:
    world = driving(start())
    world.drive(0.0)
    world.ticks(0.05)
    assert world.drivetrain.duty == 0.0
    assert world.now.path_left_m == -1.0
    drive(world, 0.5)
    assert world.drivetrain.duty > 0.0


def test_what_stands_in_the_way_stops_it_though_the_path_goes_on(start: Start) -> None:
    track = TRACKS[DEFAULT_SEED]
    world = start()
    world.add_box(track.box_at(3.0))
    drive(world, 4.0)
    assert world.pose.crashes == 0
    assert world.pose.velocity_mps == 0.0
    assert world.now.verdict is Verdict.LIMITED
    assert "sees something" in world.now.reason


def test_no_network_follows_a_path_blind(start: Start) -> None:
    world = driving(start())
    world.sees = False
    drive(world, 1.5)
    assert world.drivetrain.duty == 0.0
    assert "no network drives blind" in world.now.reason


def test_a_path_arms_nothing_and_does_not_bring_it_back_from_a_long_failsafe(start: Start) -> None:
    world = driving(start())
    for _ in range(160):
        world.tick()
    assert world.now.state is State.FAILSAFE
    world.ticks(0.6)
    drive(world, 0.5)
    assert world.now.state is State.FAILSAFE
    world.drive(0.0)
    world.tick()
    drive(world, 0.5)
    assert world.drivetrain.duty > 0.0, "neutral, and it may"


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_happens_nothing_but_a_path_that_holds_moves_the_car(start: Start, seed: int) -> None:
    """For 20 s something goes wrong or right every 0.4 s; at each tick it is asked why the motor drives."""
    chance, world = random.Random(seed), start(Way(delay_ms=80, jitter_ms=60, loss=0.1))
    teacher, driven, since_ns = Teacher(world.track), 0, world.world.ns
    for i in range(2000):
        if i % 40 == 0:
            since_ns = happens(world, chance, since_ns)
        if i % 7 == 0:
            with contextlib.suppress(ValueError):  # it stands across its lane
                world.send_path(teacher.path(world.pose), world.world.ns)
        world.tick()
        if world.drivetrain.duty:
            driven += 1
            assert world.guardian._failsafe.state is State.ARMED
            assert world.world.ns - world.newest_picture_ns <= 1500 * MS
            assert world.world.ns - world.published_ns <= 210 * MS
            assert world.newest_picture_ns > since_ns, "what drove before the stop is not what drives now"
    assert driven > 300


def happens(world: PathWorld, chance: random.Random, since_ns: int) -> int:
    """One of the things that happen; the moment before which no picture may drive any more."""
    event = chance.choice(
        ["e_stop", "disarm", "die", "silence", "dead", "neutral", "well", "well", "well", "well"]
    )
    world.publishes, world.way.is_dead = event != "silence", event == "dead"
    match event:
        case "e_stop":
            world.ask(EStop(), "ada" * 10)
        case "disarm":
            world.ask(Disarm())
        case "die":
            world.worker.close()
            world.guardian.step(world.world.ns)
            world.attach()
        case "neutral":
            world.drive(0.0)
        case "well" if world.now.state is not State.ARMED:
            world.ask(Reset())
            world.ask(Lease(priority=Priority.NETWORK))
            world.ask(Arm(answers_ns=world.now.stamp_ns))
            world.drive(0.0)
            world.way.queue.clear()
        case _:
            return since_ns
    assert world.drivetrain.duty == 0.0 or event == "neutral"
    return world.newest_picture_ns if event != "neutral" else since_ns


# which cars

NO_RANGER: Final = AgentConfig(proximity=ProximityConfig(heads=()))
NO_ENCODER: Final = AgentConfig(encoder=EncoderConfig(enabled=False))
A_PI: Final = AgentConfig(board="pi")


def test_a_car_without_a_live_reflex_follows_no_path(start: Start) -> None:
    world = start(config=NO_RANGER)
    drive(world, 0.5)
    assert world.drivetrain.duty == 0.0
    assert world.now.verdict is Verdict.LIMITED
    assert "no ranger that looks ahead" in world.now.reason


@pytest.mark.parametrize(
    ("config", "why"),
    [
        (NO_ENCODER, "no encoders"),
        (NO_RANGER, "no ranger that looks ahead"),
        (A_PI, "[drive] top_speed_mps and [path] turning_radius_m and [path] roll_m in agent.toml"),
        (
            dataclasses.replace(A_PI, path=PathConfig(turning_radius_m=0.5, roll_m=0.3)),
            "set [drive] top_speed_mps in",
        ),
        (AgentConfig(), ""),
    ],
)
def test_a_car_says_what_keeps_it_from_following_paths(config: AgentConfig, why: str) -> None:
    assert why in why_no_paths(config)
    assert bool(why) == bool(why_no_paths(config))


def test_the_simulated_car_is_as_the_follower_takes_it_to_be() -> None:
    assert pytest.approx(PI_CAMERA.forward_m + CAR_SPEC.wheelbase_m / 2) == SIMULATED_LENS_M
    car = Car()
    while car.heading_rad < 6.2832:  # once round at full steering
        car = advance(car, CAR_SPEC, 0.2, 1.0, 0.005)
    slip_rad = math.atan(0.5 * math.tan(car.steer_rad))  # its centre drifts, its rear axle does not
    axle_mps = car.velocity_mps * math.cos(slip_rad)
    assert car.yaw_rate_radps * SIMULATED_RADIUS_M == pytest.approx(axle_mps, rel=0.01)
    rolling = Car(velocity_mps=1.0)
    while rolling.velocity_mps > 0.0:
        rolling = advance(rolling, CAR_SPEC, 0.0, 0.0, 0.005)
    assert SIMULATED_ROLL_M - 0.05 < rolling.distance_m < SIMULATED_ROLL_M
