"""One contract for every wiring: board, mock pins, kernel PWM, PCA9685; Ackermann and differential."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gpiozero.pins.mock import MockFactory, MockPWMPin

from pi_agent.config import load_config, parse_config
from pi_agent.drive_config import DriveConfig
from pi_agent.drivetrain import WiredDrivetrain
from pi_agent.neutral import main, save_plan
from pi_agent.outputs.gpio import GpioPins
from pi_agent.outputs.opening import Outputs
from pi_agent.pins import simulated_pins
from pynet_car.world.board import Board
from pynet_core.errors import HardwareError
from tests.agent.drivetrain_rig import NO_SENSORS, WIRINGS, Bench, bench

EXAMPLES = Path(__file__).parents[2] / "examples"
NEAR = 0.012  # an ESC on a PCA9685 has 102 steps each way


@pytest.fixture(params=WIRINGS)
def unclaimed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    with bench(request.param, tmp_path, monkeypatch) as made:
        yield made


@pytest.fixture
def car(unclaimed: Bench) -> Bench:
    unclaimed.drivetrain.claim()
    return unclaimed


def near(*values: float) -> Any:
    return pytest.approx(values, abs=NEAR)


def both(car: Bench, value: float) -> Any:
    """This motion of every motor."""
    return near(*[value] * len(car.wheels()))


def test_claiming_puts_out_neutral_after_a_guardian_that_died_at_speed(unclaimed: Bench) -> None:
    unclaimed.drivetrain.claim()
    unclaimed.drivetrain.set(0.7, 0.5)
    heir = unclaimed.heir()
    heir.claim()
    assert unclaimed.wheels() == both(unclaimed, 0.0)
    heir.close()


def test_duty_turns_the_motors_that_way(car: Bench) -> None:
    for duty in (1.0, -1.0, 0.5, -0.25, 0.0, -0.6, 0.0):
        car.drivetrain.set(duty, 0.0)
        assert car.wheels() == both(car, duty)


def test_steering_turns_left_and_right(car: Bench) -> None:
    for steering, inner in ((0.25, 0.5), (0.5, 0.0), (1.0, -1.0)):
        for sign in (1, -1):
            car.drivetrain.set(0.8, sign * steering)
            if car.is_differential:
                sides = (0.8 * inner, 0.8)
                assert car.wheels() == near(*(sides if sign > 0 else sides[::-1]))
            else:
                servo = car.config.steering
                end = servo.left_ms if sign > 0 else servo.right_ms
                assert car.servo_ms() == pytest.approx(1.5 + steering * (end - 1.5), abs=0.01)
                assert car.wheels() == near(0.8)


def test_without_throttle_steering_moves_no_wheel(car: Bench) -> None:
    for steering in (1.0, -1.0, 0.3):
        car.drivetrain.set(0.0, steering)
        assert car.wheels() == both(car, 0.0)


def test_neutral_and_close_may_come_twice_and_in_any_order(unclaimed: Bench) -> None:
    drivetrain = unclaimed.drivetrain
    drivetrain.neutral()  # before there is anything to make neutral
    drivetrain.claim()
    drivetrain.set(-0.8, 0.3)
    drivetrain.neutral()
    drivetrain.neutral()
    assert unclaimed.wheels() == both(unclaimed, 0.0)
    if not unclaimed.is_differential:
        assert unclaimed.servo_ms() == pytest.approx(1.5, abs=0.01)
    drivetrain.set(0.5, 0.0)
    drivetrain.close()
    drivetrain.close()
    drivetrain.neutral()
    assert unclaimed.wheels() == both(unclaimed, 0.0)


def test_the_same_value_after_neutral_is_written_again(car: Bench) -> None:
    for duty in (0.8, -0.8):
        car.drivetrain.set(duty, 0.0)
        car.drivetrain.neutral()
        car.drivetrain.set(duty, 0.0)
        assert car.wheels() == both(car, duty)


@pytest.mark.parametrize("duty", [0.8, -0.8])
def test_nothing_is_written_anew_for_another_program_may_have_turned_the_motors(
    car: Bench, duty: float
) -> None:
    car.drivetrain.set(0.0, 0.0)
    other = car.heir()
    other.claim()
    other.set(duty, 0.0)
    car.drivetrain.set(0.0, 0.0)
    assert car.wheels() == both(car, 0.0)
    other.close()


@pytest.mark.parametrize("duty", [0.8, -0.8])
def test_neutral_py_stops_the_motors_of_a_dead_agent_and_leaves_the_steering(
    unclaimed: Bench, duty: float, tmp_path: Path
) -> None:
    save_plan(tmp_path, unclaimed.drivetrain.neutral_writes())
    unclaimed.drivetrain.claim()
    unclaimed.drivetrain.set(duty, 0.4)
    before_ms = 0.0 if unclaimed.is_differential else unclaimed.servo_ms()
    for _ in range(2):
        assert main([str(tmp_path)]) == 0
        assert unclaimed.wheels() == both(unclaimed, 0.0)
    if not unclaimed.is_differential:
        assert unclaimed.servo_ms() == before_ms


def test_neutral_py_finds_nothing_to_do_on_outputs_that_were_planned_but_never_taken(
    unclaimed: Bench, tmp_path: Path
) -> None:
    save_plan(tmp_path, unclaimed.drivetrain.neutral_writes())
    assert main([str(tmp_path)]) == 0


def test_beside_a_living_agent_neutral_py_stops_what_it_can_and_the_agent_can_go_on(
    car: Bench, tmp_path: Path
) -> None:
    save_plan(tmp_path, car.drivetrain.neutral_writes())
    car.kernel.gpio.held.update(range(28))
    car.drivetrain.set(0.5, 0.0)
    on_pins = any(kind == "gpio" for kind, *_ in car.drivetrain.neutral_writes())
    assert main([str(tmp_path)]) == int(on_pins)
    assert car.wheels() == both(car, 0.5 if on_pins else 0.0)
    car.drivetrain.set(-0.5, 0.0)
    assert car.wheels() == both(car, -0.5)


@pytest.mark.parametrize(("duty", "steering"), [(1.1, 0.0), (0.0, -1.01), (float("nan"), 0.0)])
def test_what_is_out_of_range_is_a_hardware_error_that_names_it(
    car: Bench, duty: float, steering: float
) -> None:
    car.drivetrain.set(0.5, 0.0)
    with pytest.raises(HardwareError, match=f"does not take duty {duty:.3f}, steering {steering:.3f}"):
        car.drivetrain.set(duty, steering)
    car.drivetrain.neutral()
    assert car.wheels() == both(car, 0.0)


# on the simulated board


def test_the_simulated_motor_runs_at_the_frequency_asked_for(tmp_path: Path) -> None:
    config = DriveConfig()
    with Board.open(tmp_path / "board") as board:
        drivetrain = WiredDrivetrain(config, Outputs(simulated_pins(board), config.pca9685).open, "board")
        drivetrain.claim()
        drivetrain.set(0.5, 1.0)
        assert board.output(12) == (0.5, 100)
        assert board.output(19)[0] == pytest.approx(0.1)  # 2 ms is left
        drivetrain.close()
        assert board.output(19)[1] == 0.0  # no pulses


def test_the_neutral_writes_name_the_board_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with Board.open("board") as board:
        outputs = Outputs(simulated_pins(board), DriveConfig().pca9685)
        drivetrain = WiredDrivetrain(DriveConfig(), outputs.open, "board")
    assert {write[1] for write in drivetrain.neutral_writes()} == {str(tmp_path / "board")}


# what goes wrong


def test_pins_without_pwm_are_a_clear_error() -> None:
    with pytest.raises(HardwareError, match="cannot take the outputs of the Pi 4, motor on GPIO12/GPIO13"):
        on_pins(MockFactory()).claim()


class BreakingPin(MockPWMPin):  # type: ignore[misc]  # gpiozero is untyped
    breaks = False

    def _set_state(self, value: float) -> None:
        if BreakingPin.breaks:
            raise RuntimeError("lgpio: bad handle")  # each pin library has its own
        super()._set_state(value)


def on_pins(factory: Any) -> WiredDrivetrain:
    pins = GpioPins(factory, lambda pin, duty: ("gpio", "/dev/gpiochip0", pin, 0))
    return WiredDrivetrain(DriveConfig(), Outputs(pins, DriveConfig().pca9685).open, "Pi 4")


@pytest.mark.parametrize("broken", ["GPIO12", "GPIO13", "GPIO19"])
def test_an_output_that_fails_does_not_keep_the_others_running(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    factory: Any = MockFactory(pin_class=MockPWMPin)
    factory.pin(broken, pin_class=BreakingPin)
    drivetrain = on_pins(factory)
    drivetrain.claim()
    drivetrain.set(-0.5, 0.5)
    BreakingPin.breaks = True
    try:
        with pytest.raises(HardwareError, match="bad handle"):
            drivetrain.set(0.5, 0.6)
        drivetrain.close()
    finally:
        BreakingPin.breaks = False
    others = {"GPIO12", "GPIO13"} - {broken}
    assert [factory.pin(name).state for name in others] == [0.0] * len(others)
    assert "an output may still run" in caplog.text


def test_after_a_failed_write_the_value_before_it_is_written_again() -> None:
    factory: Any = MockFactory(pin_class=MockPWMPin)
    pin = factory.pin("GPIO12", pin_class=BreakingPin)
    drivetrain = on_pins(factory)
    drivetrain.claim()
    drivetrain.set(0.3, 0.0)
    BreakingPin.breaks = True
    try:
        with pytest.raises(HardwareError):
            drivetrain.set(0.5, 0.0)
    finally:
        BreakingPin.breaks = False
    pin.state = 0.5  # it has taken it all the same
    drivetrain.set(0.3, 0.0)
    assert pin.state == 0.3
    drivetrain.close()


def test_the_example_of_an_l293d_board_drives() -> None:
    drive = load_config(EXAMPLES / "l293d/agent.toml").drive
    factory: Any = MockFactory(pin_class=MockPWMPin)
    pins = GpioPins(factory, lambda pin, duty: ("gpio", "/dev/gpiochip0", pin, 0))
    drivetrain = WiredDrivetrain(drive, Outputs(pins, drive.pca9685).open, "Pi")
    drivetrain.claim()
    drivetrain.set(0.5, 0.0)
    assert [factory.pin(pin).state for pin in (9, 10, 17, 27)] == [0.5, 0.0, 0.5, 0.0]
    drivetrain.set(-0.5, 1.0)  # backward and left: the right side goes back, the left one forward
    assert [factory.pin(pin).state for pin in (9, 10, 17, 27)] == [0.5, 0.0, 0.0, 0.5]
    assert [write[2] for write in drivetrain.neutral_writes()] == [9, 10, 17, 27]
    drivetrain.close()
    assert [factory.pin(pin).state for pin in (9, 10, 17, 27)] == [0.0] * 4


def test_the_description_says_what_hangs_where() -> None:
    config = parse_config(WIRINGS["sides"] + NO_SENSORS, "x").drive
    pins = GpioPins(MockFactory(pin_class=MockPWMPin), lambda pin, duty: ("gpio", "/dev/gpiochip0", pin, 0))
    drivetrain = WiredDrivetrain(config, Outputs(pins, config.pca9685).open, "Raspberry Pi 4")
    assert drivetrain.describe == ("Raspberry Pi 4, left motor on GPIO9/GPIO10, right motor on GPIO17/GPIO27")
