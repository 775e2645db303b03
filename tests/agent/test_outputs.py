"""What each kind of output does where the drivetrain's contract does not look: set-up, faults, advice."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import pytest

from pi_agent import neutral
from pi_agent.outputs import kernel_pwm
from pi_agent.outputs.kernel_pwm import KernelPwm, find_chip
from pi_agent.outputs.pca9685 import CHECK_NS, I2cBus, Pca9685, Pca9685Output
from pynet_core.errors import HardwareError
from tests.agent.fake_kernel import FakeKernel, make_pwm_chip, pwm_pulse_ns

pytestmark = pytest.mark.promise


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path)
    kernel.install(monkeypatch)
    return kernel


# kernel PWM


@pytest.mark.parametrize("device", ["20c000.pwm", "3f20c000.pwm", "fe20c000.pwm", "1f00098000.pwm"])
def test_the_headers_pwm_is_found_by_its_device_whatever_its_number(tmp_path: Path, device: str) -> None:
    make_pwm_chip(tmp_path, "107d517a80.pwm", "pwmchip0")  # a Pi 5's fan
    make_pwm_chip(tmp_path, device, "pwmchip2")
    assert find_chip(tmp_path).name == "pwmchip2"


def test_without_it_one_is_told_what_there_is_and_the_line_for_config_txt(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match=r"no chip at all.*dtoverlay=pwm-2chan,pin=12,func=4"):
        find_chip(tmp_path)
    make_pwm_chip(tmp_path, "107d517a80.pwm", "pwmchip0")
    with pytest.raises(HardwareError, match=r"pwmchip0 is 107d517a80\.pwm"):
        find_chip(tmp_path)


def test_a_channel_that_runs_with_a_longer_pulse_than_our_period_is_taken(kernel: FakeKernel) -> None:
    before = KernelPwm(kernel.pwm, 0, 50)
    before.claim(0.95)  # 19 ms
    after = KernelPwm(kernel.pwm, 0, 100)  # 10 ms
    after.claim(0.0)
    after.put(0.5)
    assert pwm_pulse_ns(kernel.pwm, 0) == 5_000_000


def test_a_channel_that_was_left_inverted_is_put_right(kernel: FakeKernel) -> None:
    before = KernelPwm(kernel.pwm, 0, 50)
    before.claim(0.5)
    for name, value in (("enable", "0"), ("polarity", "inversed"), ("enable", "1")):
        neutral.write_text(str(kernel.pwm / "pwm0" / name), value)
    KernelPwm(kernel.pwm, 0, 50).claim(0.0)
    assert (kernel.pwm / "pwm0/polarity").read_text() == "normal"


def test_a_channel_that_the_chip_has_not_is_one_line(kernel: FakeKernel) -> None:
    with pytest.raises(HardwareError, match=r"does not give channel 3: .*No such device"):
        KernelPwm(kernel.pwm, 3, 50).claim(0.0)


def test_udev_is_given_a_moment_and_then_told_of(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = threading.Event()
    write = neutral.write_text

    def refuse(path: str, text: str) -> None:
        if "/pwm0/" in path and not owner.is_set():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        write(path, text)

    monkeypatch.setattr(kernel_pwm, "write_text", refuse)
    monkeypatch.setattr(kernel_pwm, "EXPORT_S", 0.05)
    with pytest.raises(HardwareError, match=r"may not be written: .*Permission denied.*udevadm trigger"):
        KernelPwm(kernel.pwm, 0, 50).claim(0.0)
    monkeypatch.setattr(kernel_pwm, "EXPORT_S", 10.0)
    threading.Timer(0.05, owner.set).start()
    KernelPwm(kernel.pwm, 0, 50).claim(0.075)
    assert pwm_pulse_ns(kernel.pwm, 0) == 1_500_000


def test_a_channel_that_is_taken_away_is_an_error_at_the_next_duty(kernel: FakeKernel) -> None:
    output = KernelPwm(kernel.pwm, 0, 50)
    output.claim(0.0)
    (kernel.pwm / "pwm0").rename(kernel.pwm / "gone")
    with pytest.raises(OSError):
        output.put(0.5)


# PCA9685


class Clock:
    now_ns = 10**12

    def __call__(self) -> int:
        return self.now_ns


def chip(hz: int = 50, clock: Clock | None = None) -> Pca9685:
    return Pca9685(I2cBus(1, 0x40), where=(1, 0x40), hz=hz, now_ns=clock or Clock())


@pytest.mark.parametrize("hz", [40, 50, 200, 1000])
def test_it_runs_at_the_frequency_asked_for(kernel: FakeKernel, hz: int) -> None:
    Pca9685Output(chip(hz), 0).claim(0.5)
    assert kernel.pca9685.hz == pytest.approx(hz, rel=0.03)
    assert kernel.pca9685.ticks(0) == 2048


def test_a_chip_that_wakes_wakes_with_all_channels_off(kernel: FakeKernel) -> None:
    kernel.pca9685.registers[0x06 + 4 * 7 : 0x0A + 4 * 7] = bytes([0, 0, 0, 8])  # left on by somebody
    Pca9685Output(chip(), 0).claim(0.075)
    assert [kernel.pca9685.ticks(channel) for channel in (0, 7)] == [307, 0]


def test_a_chip_that_runs_as_wanted_is_not_put_to_sleep(kernel: FakeKernel) -> None:
    Pca9685Output(chip(), 0).claim(0.075)
    sleeps = kernel.pca9685.sleeps
    Pca9685Output(chip(), 1).claim(0.1)  # a new agent
    assert kernel.pca9685.sleeps == sleeps
    assert [kernel.pca9685.ticks(channel) for channel in (0, 1)] == [307, 410]


def test_all_and_nothing_are_steady_levels(kernel: FakeKernel) -> None:
    output = Pca9685Output(chip(), 3)
    output.claim(0.0)
    for duty, ticks in ((1.0, 4096), (0.0, 0), (1.0, 4096), (0.25, 1024), (0.0, 0)):
        output.put(duty)
        assert kernel.pca9685.ticks(3) == ticks


def test_a_dip_of_its_supply_is_told_within_a_quarter_second_of_driving(kernel: FakeKernel) -> None:
    clock = Clock()
    output = Pca9685Output(chip(clock=clock), 0)
    output.claim(0.0)
    output.put(0.5)
    kernel.pca9685.power_on()
    clock.now_ns += CHECK_NS
    with pytest.raises(HardwareError, match="has restarted: its supply dips"):
        output.put(0.0)
    assert kernel.pca9685.registers[0x06 + 3] & 0x10, "it is told to be off all the same"


def test_a_disturbed_bus_is_tried_three_times_and_then_told(kernel: FakeKernel) -> None:
    output = Pca9685Output(chip(), 0)
    output.claim(0.0)
    kernel.pca9685.faults = 2
    output.put(0.5)
    assert kernel.pca9685.ticks(0) == 2048
    kernel.pca9685.faults = 3
    with pytest.raises(HardwareError, match=r"PCA9685 at 0x40 of /dev/i2c-1 does not answer.*i2cdetect -y 1"):
        output.put(0.6)


def test_a_bus_that_is_not_there_says_how_to_turn_it_on(kernel: FakeKernel) -> None:
    with pytest.raises(HardwareError, match="no /dev/i2c-77: turn I2C on:  sudo raspi-config"):
        I2cBus(77, 0x40)
