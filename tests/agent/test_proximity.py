"""Heads over gpiozero's mock pins: distance, clear, dead, stuck; and the private names it rests on."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator

import pytest
from gpiozero import Device, DistanceSensor
from gpiozero.pins.mock import MockFactory, MockPin
from gpiozero.pins.pi import PiPin

from pi_agent.config import AgentConfig, HeadConfig, ProximityConfig
from pi_agent.sensors.pace import Pace
from pi_agent.sensors.proximity import FAULTS_BEFORE_REST, REST_NS, Proximity
from pynet_car.messages import Reading, ReadingState, Scan
from pynet_core.errors import ConfigError, HardwareError

SOUND_MPS = 343.26
NOTHING_IN_RANGE_S = 0.038
HEADS = (
    HeadConfig(name="left", trigger_pin=18, echo_pin=17, bearing_deg=30.0),
    HeadConfig(name="right", trigger_pin=23, echo_pin=22, bearing_deg=-30.0),
)
CONFIG = AgentConfig(proximity=ProximityConfig(heads=HEADS))


class TriggerPin(MockPin):  # type: ignore[misc]
    """Answers a ping on its echo pin with stamped edges, as the simulated car's does."""

    echo: MockPin
    width_s: float | None = None  # None: dead
    hold = False  # the line rises and stays up
    is_late = False  # the end of the echo before comes now

    def _set_state(self, value: bool) -> None:
        falls = self._state and not value
        super()._set_state(value)
        if falls and self.is_late:
            edge(self.echo, False, time.monotonic())
        if falls and self.width_s is not None:
            now = time.monotonic()
            edge(self.echo, True, now)
            if not self.hold:
                edge(self.echo, False, now + self.width_s)


def edge(pin: MockPin, level: bool, ticks: float) -> None:
    pin._state = level
    PiPin._call_when_changed(pin, ticks, level)


class StepPace(Pace):
    """Beats at once, in a time of its own."""

    def __init__(self, step_ns: int) -> None:
        self.now_ns = 10_000_000_000
        self._step_ns = step_ns

    def wait(self) -> int:
        self.now_ns += self._step_ns
        return self.now_ns


pytestmark = pytest.mark.filterwarnings("ignore::gpiozero.exc.PWMSoftwareFallback")


@pytest.fixture
def triggers() -> Iterator[list[TriggerPin]]:
    factory = MockFactory()
    Device.pin_factory = factory
    made = []
    for head in HEADS:
        pin = factory.pin(head.trigger_pin, pin_class=TriggerPin)
        pin.echo = factory.pin(head.echo_pin)
        pin.width_s = 2 * 1.0 / SOUND_MPS
        made.append(pin)
    yield made
    factory.reset()
    Device.pin_factory = None


@pytest.fixture
def proximity(triggers: list[TriggerPin]) -> Iterator[Proximity]:
    sensor = Proximity(CONFIG, {}, pace=StepPace(30_000_000))
    yield sensor
    sensor.close()


def both(sensor: Proximity) -> tuple[Reading, Reading]:
    sensor.read()
    left, right = sensor.read().readings
    return left, right


def test_each_head_measures_its_own_distance_exactly(
    proximity: Proximity, triggers: list[TriggerPin]
) -> None:
    triggers[0].width_s = 2 * 0.3 / SOUND_MPS
    triggers[1].width_s = 2 * 2.5 / SOUND_MPS
    left, right = both(proximity)
    assert (left.channel, left.state, left.seq) == ("left", ReadingState.OK, 1)
    assert left.value == pytest.approx(0.3, abs=1e-6)
    assert right.channel == "right"
    assert right.value == pytest.approx(2.5, abs=1e-6)


def test_a_reading_bears_the_time_of_its_own_ping(proximity: Proximity) -> None:
    left, right = both(proximity)
    assert right.captured_ns - left.captured_ns == 30_000_000


def test_a_head_not_pinged_yet_is_stale(proximity: Proximity) -> None:
    right = proximity.read().readings[1]
    assert (right.state, right.captured_ns) == (ReadingState.STALE, 0)


@pytest.mark.parametrize("width_s", [NOTHING_IN_RANGE_S, 2 * 3.01 / SOUND_MPS])
def test_an_echo_longer_than_the_range_is_clear_to_the_full_range(
    proximity: Proximity, triggers: list[TriggerPin], width_s: float
) -> None:
    triggers[0].width_s = width_s
    left, _ = both(proximity)
    assert (left.state, left.value) == (ReadingState.OUT_OF_RANGE, 3.0)


def test_no_echo_at_all_is_a_fault_that_keeps_the_last_value(
    proximity: Proximity, triggers: list[TriggerPin]
) -> None:
    both(proximity)
    triggers[0].width_s = None
    left, right = both(proximity)
    assert (left.state, left.seq) == (ReadingState.FAULT, 2)
    assert left.value == pytest.approx(1.0)
    assert right.state is ReadingState.OK


def test_a_dead_head_is_pinged_once_a_second_and_costs_the_others_nothing_between(
    proximity: Proximity, triggers: list[TriggerPin]
) -> None:
    triggers[0].width_s = None
    for _ in range(FAULTS_BEFORE_REST):
        both(proximity)
    dead = proximity.read().readings[0]
    newest = [proximity.read() for _ in range(5 * REST_NS // 2 // 60_000_000)]
    pings = {scan.readings[0].seq for scan in newest} - {dead.seq}
    assert len(pings) == 2
    assert newest[-1].readings[1].seq - newest[0].readings[1].seq >= len(newest) - 1 - len(pings)


def test_a_head_that_answers_again_is_believed_again(
    proximity: Proximity, triggers: list[TriggerPin]
) -> None:
    triggers[0].width_s = None
    for _ in range(FAULTS_BEFORE_REST):
        both(proximity)
    triggers[0].width_s = 2 * 0.5 / SOUND_MPS
    states = [proximity.read().readings[0].state for _ in range(REST_NS // 30_000_000)]
    assert states[0] is ReadingState.FAULT
    assert states[-1] is ReadingState.OK


def test_a_line_that_stays_up_is_first_clear_then_old_then_a_fault(
    proximity: Proximity, triggers: list[TriggerPin]
) -> None:
    triggers[0].hold = True
    left, _ = both(proximity)
    assert left.state is ReadingState.OUT_OF_RANGE
    again, _ = both(proximity)
    assert again == left  # nothing new: its age tells
    edge(triggers[0].echo, True, time.monotonic() - 1.0)
    assert both(proximity)[0].state is ReadingState.FAULT


def test_the_end_of_an_old_echo_is_not_taken_for_an_answer(
    proximity: Proximity, triggers: list[TriggerPin]
) -> None:
    class Answer(threading.Event):
        """Comes when it is waited for, not before."""

        def wait(self, timeout: float | None = None) -> bool:
            if not self.is_set():
                now = time.monotonic()
                edge(triggers[0].echo, True, now)
                edge(triggers[0].echo, False, now + 2 * 0.7 / SOUND_MPS)
            return super().wait(timeout)

    triggers[0].width_s = None
    triggers[0].is_late = True
    ranger = proximity._heads[0]._ranger
    ranger._echo = Answer()
    assert ranger.ping() == pytest.approx(0.7, abs=1e-6)


def test_the_description_names_heads_and_where_they_look(proximity: Proximity) -> None:
    assert proximity.info.channels == ("left", "right")
    assert proximity.info.bearings_rad == pytest.approx((0.5236, -0.5236), abs=1e-4)
    assert (proximity.info.unit, proximity.info.maximum, proximity.info.state) == ("m", 3.0, "ok")


def test_closing_frees_the_pins_and_ends_reading(triggers: list[TriggerPin]) -> None:
    sensor = Proximity(CONFIG, {})
    assert isinstance(sensor.read(), Scan)
    sensor.close()
    with pytest.raises(HardwareError, match="closed"):
        sensor.read()
    Proximity(CONFIG, {}).close()


def test_a_pin_in_use_is_one_error_that_frees_the_others(triggers: list[TriggerPin]) -> None:
    taken = DistanceSensor(echo=HEADS[1].echo_pin, trigger=4)
    with pytest.raises(HardwareError, match=r"head 'right'.*GPIO22"):
        Proximity(CONFIG, {})
    taken.close()
    Proximity(CONFIG, {}).close()


def test_settings_in_the_wrong_place_and_no_heads_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[proximity\]"):
        Proximity(CONFIG, {"max_range_m": 2.0})
    with pytest.raises(ConfigError, match="no heads"):
        Proximity(dataclasses.replace(CONFIG, proximity=ProximityConfig(heads=())), {})


def test_16_readings_a_second_of_every_head_in_real_time(triggers: list[TriggerPin]) -> None:
    sensor = Proximity(CONFIG, {})
    first = sensor.read().readings[0]
    while (last := sensor.read().readings[0]).seq < first.seq + 8:
        pass
    sensor.close()
    assert (last.captured_ns - first.captured_ns) / 8 >= 59_000_000  # never faster than the data sheet allows


@pytest.mark.usefixtures("triggers")
def test_gpiozero_still_has_the_private_names_the_ranger_uses() -> None:
    stock = DistanceSensor(echo=17, trigger=18)
    try:
        for name in ("_queue", "_trigger", "_echo", "_echo_rise", "_echo_fall", "_echo_changed"):
            assert hasattr(stock, name), f"gpiozero's DistanceSensor has no {name} any more"
        assert stock._echo_changed(1.5, True) is None
        assert (stock._echo_rise, stock._echo.is_set()) == (1.5, False)
        stock._echo_changed(2.5, False)
        assert (stock._echo_fall, stock._echo.is_set()) == (2.5, True)
        assert stock.pin.when_changed == stock._echo_changed
        stock._queue.stop()
        assert not stock._queue.is_alive()
    finally:
        stock.close()
