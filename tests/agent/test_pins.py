"""The header of a Pi: found by its label, had through lgpio, with duties finer than a hundredth.

gpiozero's own lgpio pins run here, on an lgpio whose lines we move.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from gpiozero import Device
from gpiozero.pins.local import LocalPiFactory

from pi_agent import pins
from pi_agent.config import AgentConfig, HeadConfig, ProximityConfig, parse_config
from pi_agent.drive_config import DriveConfig
from pi_agent.drivetrain import WiredDrivetrain
from pi_agent.outputs.opening import Outputs
from pi_agent.pins import find_header, header_pins, use_header
from pi_agent.sensors.encoder import Encoder
from pi_agent.sensors.proximity import Proximity
from pynet_car.messages import ReadingState
from pynet_core.errors import ConfigError, HardwareError
from tests.agent import fake_lgpio
from tests.agent.fake_kernel import FakeKernel, GpioChip
from tests.agent.fake_lgpio import Lines

HEADS = (HeadConfig(name="front", trigger_pin=23, echo_pin=24, bearing_deg=0.0),)
CONFIG = AgentConfig(proximity=ProximityConfig(heads=HEADS))


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path)
    kernel.install(monkeypatch)
    return kernel


@pytest.fixture
def lines(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    monkeypatch.setattr(pins, "find_header", lambda: Path("/dev/gpiochip0"))
    monkeypatch.setattr(Device, "pin_factory", None)
    lines = fake_lgpio.install(monkeypatch)
    yield lines
    # gpiozero keeps the pins of all its local factories in one place.
    LocalPiFactory.pins.clear()
    LocalPiFactory._reservations.clear()


def put(kernel: FakeKernel, folder: Path, name: str, label: str) -> None:
    (folder / name).write_text("")
    kernel.devices[str(folder / name)] = GpioChip(label)


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        (["pinctrl-bcm2711", "raspberrypi-exp-gpio"], "gpiochip0"),  # Pi 4
        (["gpio-brcmstb@107d508500", "pinctrl-rp1"], "gpiochip1"),  # a Pi 5 of one kernel
        (["pinctrl-rp1", "gpio-brcmstb@107d508500"], "gpiochip0"),  # and of another
        (["pinctrl-bcm2835"], "gpiochip0"),  # Pi Zero
    ],
)
def test_the_header_is_found_whatever_its_number(
    kernel: FakeKernel, tmp_path: Path, labels: list[str], found: str
) -> None:
    for number, label in enumerate(labels):
        put(kernel, tmp_path, f"gpiochip{number}", label)
    assert find_header(tmp_path).name == found


def test_a_computer_without_a_header_is_told_what_it_has_and_what_to_write(
    kernel: FakeKernel, tmp_path: Path
) -> None:
    with pytest.raises(HardwareError, match=r'no gpiochip at all; .* board = "simulated"'):
        find_header(tmp_path)
    put(kernel, tmp_path, "gpiochip0", "INT34C5:00")
    (tmp_path / "gpiochip1").write_text("no device")
    with pytest.raises(HardwareError, match=r"gpiochip0 is INT34C5:00; gpiochip1 is .*Inappropriate ioctl"):
        find_header(tmp_path)


def test_without_lgpio_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lines: Lines
) -> None:
    monkeypatch.setitem(sys.modules, "lgpio", None)
    for use in (use_header, header_pins):
        with pytest.raises(ConfigError, match="sudo apt install python3-lgpio"):
            use(tmp_path)


def test_a_chip_that_lgpio_does_not_get_is_one_line(
    lines: Lines, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(chip: int) -> int:
        raise fake_lgpio.Error("can not open gpiochip")

    monkeypatch.setattr(sys.modules["lgpio"], "gpiochip_open", refuse)
    with pytest.raises(HardwareError, match="lgpio does not get /dev/gpiochip0: can not open gpiochip"):
        header_pins(tmp_path)


def drivetrain(config: DriveConfig, tmp_path: Path) -> WiredDrivetrain:
    return WiredDrivetrain(config, Outputs(header_pins(tmp_path), config.pca9685).open, "Pi 4")


def test_motor_and_servo_get_fractions_of_a_percent(lines: Lines, tmp_path: Path) -> None:
    car = drivetrain(DriveConfig(), tmp_path)
    assert car.neutral_writes() == (("gpio", "/dev/gpiochip0", 12, 0), ("gpio", "/dev/gpiochip0", 13, 0))
    car.claim()
    assert lines.pwm == {12: (100, 0), 13: (100, 0), 19: (50, pytest.approx(7.5))}  # gpiozero alone: 7
    car.set(-0.123, 0.5)
    assert lines.pwm[12] == (100, 0)
    assert lines.pwm[13] == pytest.approx((100, 12.3))
    assert lines.pwm[19] == pytest.approx((50, 8.75))
    car.close()
    assert not lines.pwm


def test_outputs_given_back_stay_outputs_and_low(lines: Lines, tmp_path: Path) -> None:
    """A line that floats is a high one to an L293D."""
    text = "[drive.motor]\nforward_pin = 2\nbackward_pin = 3\nenable_pin = 4\n"
    car = drivetrain(parse_config(text, "x").drive, tmp_path)
    car.claim()
    car.set(0.5, 0.5)
    assert lines.levels[4] == 1
    car.close()
    del car
    gc.collect()  # gpiozero's devices close themselves when they are forgotten
    assert lines.outputs == {2, 3, 4, 19}
    assert not lines.pwm
    assert [lines.levels[line] for line in (2, 3, 4, 19)] == [0, 0, 0, 0]


def test_directions_and_enables_are_levels(lines: Lines, tmp_path: Path) -> None:
    text = '[drive.motor]\ndriver = "phase_enable"\nphase_pin = 2\nenable_pin = 3\n'
    car = drivetrain(parse_config(text, "x").drive, tmp_path)
    car.claim()
    for duty, level in ((0.5, 0), (-0.25, 1), (0.75, 0)):
        car.set(duty, 0.0)
        assert lines.levels[2] == level
        assert lines.pwm[3] == pytest.approx((100, 100 * abs(duty)))
    car.close()


def test_a_ranger_measures_by_the_stamps_of_the_kernel(lines: Lines, tmp_path: Path) -> None:
    use_header(tmp_path)

    def echo(line: int, level: int) -> None:
        if line == 23 and not level:  # the trigger falls: the sound is on its way
            now_ns = time.monotonic_ns()
            lines.move(24, 1, now_ns)
            lines.move(24, 0, now_ns + round(2 * 0.75 / 343.26 * 1e9))

    lines.when_written = echo
    proximity = Proximity(CONFIG, {})
    (reading,) = proximity.read().readings
    assert (reading.channel, reading.state) == ("front", ReadingState.OK)
    assert reading.value == pytest.approx(0.75, abs=0.001)
    lines.when_written = lambda line, level: None
    (silent,) = proximity.read().readings
    assert silent.state is ReadingState.FAULT
    proximity.close()


def test_an_encoder_counts_and_stamps_by_the_kernel(lines: Lines, tmp_path: Path) -> None:
    use_header(tmp_path)
    lines.levels = {20: 1, 21: 1}  # pulled up: nothing conducts
    encoder = Encoder(CONFIG, {})
    before = encoder.read()
    ns = time.monotonic_ns()
    for _ in range(49):  # half a metre of the left wheel, forward
        for line, level in ((20, 0), (21, 0), (20, 1), (21, 1)):
            ns += 1000
            lines.move(line, level, ns)
    after = encoder.read()
    assert abs(after.left_ticks - before.left_ticks) == 49
    assert abs(after.distance_m - before.distance_m) == pytest.approx(0.25)
    assert after.right_ticks == before.right_ticks
    encoder.close()
