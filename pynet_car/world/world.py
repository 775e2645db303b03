"""The simulated world: what the board's outputs do to the car, and what its sensors then put on the inputs.

`World.step` is 5 ms, deterministic and far faster than real time; it knows no
clock.  One thread owns a World; `pose` may be read by any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from pynet_car.world.board import Board, Edge, Pose
from pynet_car.world.car import CAR_SPEC, Car, CarSpec, advance
from pynet_car.world.ranges import echo_ns, sonar_ranges
from pynet_car.world.track import BARRIER_M, HALF_LANE_M, Box, Place, Track
from pynet_car.world.wiring import WIRING, Wiring, steering_of

STEP_NS: Final = 5_000_000
_STEP_S: Final = STEP_NS / 1e9
_ECHO_STEPS: Final = 4  # new echoes every 20 ms: three times as often as gpiozero pings
_EDGES_PER_TICK: Final = 4
_APART_M: Final = 0.02  # a contact is over when the car is that far away again


class World:
    """One car on one track, wired to one board; starts at rest on the start line."""

    def __init__(
        self,
        board: Board,
        track: Track,
        *,
        spec: CarSpec = CAR_SPEC,
        wiring: Wiring = WIRING,
        boxes: Sequence[Box] = (),
        start_ns: int = 0,
    ) -> None:
        self.ns = start_ns
        self._board, self._track, self._spec, self._wiring, self._boxes = board, track, spec, wiring, boxes
        self._walls = np.vstack([track.obstacles, *(box.sides for box in boxes)])
        self._wheels = (
            _Wheel(*wiring.left_encoder_pins, -wiring.track_width_m / 2),
            _Wheel(*wiring.right_encoder_pins, wiring.track_width_m / 2),
        )
        for wheel in self._wheels:
            for pin in (wheel.a_pin, wheel.b_pin):
                if board.input_level(pin) is not True:
                    board.write_edge(start_ns, pin, True)
        for sonar in wiring.sonars:
            board.wire_echo(sonar.trigger_pin, sonar.echo_pin)
        x, y, heading = track.point(0.0)
        self._car = Car(x_m=x, y_m=y, heading_rad=heading)
        self._place = track.locate(x, y)
        self._driven_m = 0.0  # along the centre line, signed
        self._steps = 0
        self._in_contact = self._is_off = False
        self._crashes = self._off_track = 0
        self._tell()

    def step(self) -> None:
        """Let 5 ms pass."""
        wiring, before = self._wiring, self._car
        duty = self._board.output(wiring.forward_pin)[0] - self._board.output(wiring.backward_pin)[0]
        steering = steering_of(*self._board.output(wiring.steering_pin), wiring)
        car = advance(before, self._spec, duty, steering, _STEP_S)
        place = self._track.locate(car.x_m, car.y_m, self._place.sample)

        if self._is_touching(car, place):
            # It stands where it was until it drives the other way.
            self._crashes += not self._in_contact
            self._in_contact = True
            car = replace(before, velocity_mps=0.0, yaw_rate_radps=0.0, steer_rad=car.steer_rad)
            place = self._place
        elif self._in_contact:  # pushing on against a barrier is one crash, not many
            self._in_contact = self._is_touching(car, place, _APART_M)
        was_off, self._is_off = self._is_off, abs(place.cross_track_m) > HALF_LANE_M
        self._off_track += self._is_off and not was_off

        length_m = self._track.length_m
        self._driven_m += (place.arc_m - self._place.arc_m + length_m / 2) % length_m - length_m / 2
        self._turn_wheels(car)
        self._car, self._place = car, place
        self._steps += 1
        self.ns += STEP_NS
        self._tell()

    def skip(self, ns: int) -> None:
        """Let time pass without the car moving: the process itself was stopped."""
        self.ns += ns

    def _is_touching(self, car: Car, place: Place, margin_m: float = 0.0) -> bool:
        """Whether a corner is in a barrier, or the car in a box, or nearer than the margin."""
        across = car.heading_rad - float(self._track.heading[place.sample])
        reach = (abs(math.sin(across)) * self._spec.length_m + abs(math.cos(across)) * self._spec.width_m) / 2
        if abs(place.cross_track_m) + reach > BARRIER_M - margin_m:
            return True
        clearance = (self._spec.length_m + self._spec.width_m) / 4 + margin_m
        return any(
            math.hypot(box.x_m - car.x_m, box.y_m - car.y_m) < clearance + box.size_m / 2
            for box in self._boxes
        )

    def _turn_wheels(self, car: Car) -> None:
        edges: list[Edge] = []
        for wheel in self._wheels:
            rolled_m = (car.velocity_mps + car.yaw_rate_radps * wheel.right_m) * _STEP_S
            edges += wheel.turn(rolled_m * self._wiring.ticks_per_m * _EDGES_PER_TICK, self.ns)
        for edge in sorted(edges):
            self._board.write_edge(*edge)

    def _tell(self) -> None:
        """Put pose and, when due, echoes on the board."""
        car = self._car
        self.pose = Pose(
            ns=self.ns,
            crashes=self._crashes,
            off_track=self._off_track,
            laps=max(0, math.floor(self._driven_m / self._track.length_m)),
            x_m=car.x_m,
            y_m=car.y_m,
            heading_rad=car.heading_rad,
            velocity_mps=car.velocity_mps,
            yaw_rate_radps=car.yaw_rate_radps,
            distance_m=car.distance_m,
            cross_track_m=self._place.cross_track_m,
            arc_m=self._place.arc_m,
        )
        self._board.write_pose(self.pose)
        if self._steps % _ECHO_STEPS == 0:
            ranges = sonar_ranges(car.x_m, car.y_m, car.heading_rad, self._wiring, self._walls)
            for sonar, range_m in zip(self._wiring.sonars, ranges, strict=True):
                self._board.set_echo(sonar.echo_pin, echo_ns(range_m))


class _Wheel:
    """A quadrature encoder: forward, A leads B; both are high at rest in phase 0."""

    def __init__(self, a_pin: int, b_pin: int, right_m: float) -> None:
        self.a_pin, self.b_pin = a_pin, b_pin
        self.right_m = right_m  # of the car's centre
        self._turned = 0.0  # edges

    def turn(self, edges: float, ns: int) -> list[Edge]:
        """The edges of the next step, which begins at `ns`, each stamped when the disc gets there."""
        start, self._turned = self._turned, self._turned + edges
        first, last = math.floor(start), math.floor(self._turned)
        if first == last:
            return []
        # Edge n lies between the positions n - 1 and n, and is passed at n from either side.
        passed = range(first + 1, last + 1) if edges > 0 else range(first, last, -1)
        return [
            self._edge(n, n if edges > 0 else n - 1, ns + int((n - start) / edges * STEP_NS)) for n in passed
        ]

    def _edge(self, number: int, position: int, ns: int) -> Edge:
        phase = position % 4
        if number % 2:
            return Edge(ns, self.a_pin, phase not in (1, 2))
        return Edge(ns, self.b_pin, phase not in (2, 3))
