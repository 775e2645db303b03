"""gpiozero's own devices in the simulated world, stepped without a clock: what they read is true."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from gpiozero import AngularServo, DistanceSensor, Motor, RotaryEncoder

from pi_agent.config import AgentConfig, EncoderConfig, ProximityConfig
from pi_agent.drive_config import DriveConfig
from pi_agent.simulated.pins import BoardFactory, EdgePump
from pynet_car.world import DEFAULT_SEED
from pynet_car.world.board import Board
from pynet_car.world.driver import Teacher
from pynet_car.world.ranges import sonar_ranges
from pynet_car.world.track import Track
from pynet_car.world.wiring import WIRING
from pynet_car.world.world import World

TRACK = Track(DEFAULT_SEED)
CONFIG = AgentConfig()
SERVO_DEG = 45.0  # either way, for the shortest and the longest pulse


@dataclass
class Car:
    """An agent's devices, made from its default settings, and the world they are in."""

    world: World
    pump: EdgePump
    motor: Motor
    servo: AngularServo
    left: RotaryEncoder
    right: RotaryEncoder
    sonars: list[DistanceSensor]

    def drive(self, seconds: float, teacher: Teacher) -> None:
        for step in range(round(seconds * 200)):
            if step % 4 == 0:
                wish = teacher(self.world.pose)
                self.motor.value = wish.throttle
                self.servo.angle = wish.steering * SERVO_DEG
            self.world.step()
            self.pump.pump()


@pytest.fixture
def car(tmp_path: Path) -> Iterator[Car]:
    drive, encoder, proximity = CONFIG.drive, CONFIG.encoder, CONFIG.proximity
    with Board.open(tmp_path / "board") as outside, Board.open(tmp_path / "board") as board:
        factory = BoardFactory(board)
        angle = SERVO_DEG
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # gpiozero would like pigpio
            sonars = [
                DistanceSensor(
                    head.echo_pin,
                    head.trigger_pin,
                    queue_len=1,
                    partial=True,
                    max_distance=proximity.max_range_m,
                    pin_factory=factory,
                )
                for head in proximity.heads
            ]
        devices = Car(
            world=World(outside, TRACK),
            pump=EdgePump(factory),
            motor=Motor(drive.motor.forward_pin, drive.motor.backward_pin, pin_factory=factory),
            servo=AngularServo(drive.steering.pin, min_angle=-angle, max_angle=angle, pin_factory=factory),
            left=RotaryEncoder(*encoder.left_pins, max_steps=0, pin_factory=factory),
            right=RotaryEncoder(*encoder.right_pins, max_steps=0, pin_factory=factory),
            sonars=sonars,
        )
        yield devices
        for sonar in sonars:
            sonar._queue.stop()  # else its thread finds its trigger gone
        factory.close()


def test_the_simulated_car_is_wired_as_unchanged_settings_expect() -> None:
    drive, encoder, proximity = DriveConfig(), EncoderConfig(), ProximityConfig()
    assert (drive.motor.forward_pin, drive.motor.backward_pin) == (WIRING.forward_pin, WIRING.backward_pin)
    assert drive.steering.pin == WIRING.steering_pin
    assert (encoder.left_pins, encoder.right_pins) == (WIRING.left_encoder_pins, WIRING.right_encoder_pins)
    assert (encoder.ticks_per_m, encoder.track_width_m) == (WIRING.ticks_per_m, WIRING.track_width_m)
    assert [(head.trigger_pin, head.echo_pin, head.bearing_deg) for head in proximity.heads] == [
        (sonar.trigger_pin, sonar.echo_pin, sonar.bearing_deg) for sonar in WIRING.sonars
    ]
    assert proximity.max_range_m < WIRING.sonar_range_m


def test_the_encoders_count_the_true_distance_and_turn_of_a_lap(car: Car) -> None:
    car.drive(14.0, Teacher(TRACK))
    pose = car.world.pose
    assert (pose.laps, pose.off_track, pose.crashes) == (1, 0, 0)
    ticks_per_m, width_m = CONFIG.encoder.ticks_per_m, CONFIG.encoder.track_width_m
    distance_m = (car.left.steps + car.right.steps) / 2 / ticks_per_m
    turned_rad = (car.right.steps - car.left.steps) / ticks_per_m / width_m
    assert distance_m == pytest.approx(pose.distance_m, abs=1 / ticks_per_m)
    assert turned_rad == pytest.approx(pose.heading_rad - TRACK.point(0)[2], abs=2 / ticks_per_m / width_m)
    assert car.pump.overrun == 0


def test_positive_steering_turns_the_car_left_and_its_right_wheel_farther(car: Car) -> None:
    heading = car.world.pose.heading_rad
    car.motor.value, car.servo.angle = 0.3, 30
    for _ in range(120):
        car.world.step()
    car.pump.pump()
    assert car.world.pose.heading_rad > heading + 0.2
    assert car.right.steps > car.left.steps > 0


def test_backward_counts_down(car: Car) -> None:
    car.motor.value = -0.4
    for _ in range(100):
        car.world.step()
    car.pump.pump()
    assert car.left.steps == car.right.steps == pytest.approx(car.world.pose.distance_m * 98, abs=1)
    assert car.left.steps < -10


def test_sonars_in_threads_of_their_own_measure_to_a_tenth_of_a_millimetre(car: Car) -> None:
    car.drive(3.0, Teacher(TRACK))
    car.motor.value = 0
    pose = car.world.pose
    # The echoes on the board are of this pose: let them be renewed while the car stands.
    while pose.velocity_mps:
        car.world.step()
        pose = car.world.pose
    for _ in range(4):
        car.world.step()
    truth = sonar_ranges(pose.x_m, pose.y_m, pose.heading_rad, WIRING, TRACK.obstacles)
    for sonar, range_m in zip(car.sonars, truth, strict=True):
        expected = min(range_m, CONFIG.proximity.max_range_m)
        deadline = time.monotonic() + 5
        while abs(sonar.distance - expected) > 1e-4 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sonar.distance == pytest.approx(expected, abs=1e-4)
