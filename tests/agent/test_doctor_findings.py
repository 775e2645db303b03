"""Each finding both ways: a healthy car has none of them, and each is told with what to type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pi_agent.cli_doctor import findings, render
from pi_agent.config import AgentConfig, load_config, parse_config
from pi_agent.doctor.boot import buses, held_low
from pi_agent.doctor.facts import Device, Disk, Facts, Listener, Wifi
from pi_agent.doctor.finding import Level

UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "DropInPaths": "",
    "NRestarts": "0",
    "Result": "success",
    "StatusText": "Ready.",
    "WatchdogUSec": "1s",
    "ExecStopPost": "{ path=/usr/bin/python3 ; argv[]=/usr/bin/python3 -I -S /usr/lib/x/neutral.py /run/x }",
}
NETWORKED = parse_config('[gateway]\nhost = ""\n', "agent.toml")
HEALTHY = Facts(
    model="Raspberry Pi 4 Model B Rev 1.5",
    machine="aarch64",
    kernel="6.12.47+rpt-rpi-v8",
    os_name="Debian GNU/Linux 13 (trixie)",
    os_codename="trixie",
    python=(3, 13, 5),
    modules={"gpiozero": "2.0.1", "lgpio": "0.2.2", "picamera2": "0.3.31"},
    devices=(Device("/dev/gpiochip0", "gpio", 0o660), Device("/dev/video0", "video", 0o660)),
    user="pynet",
    groups=frozenset({"pynet", "gpio", "video"}),
    boot_config="dtparam=audio=on\n",
    kernel_command_line="console=tty1 root=/dev/mmcblk0p2",
    cameras=("imx219 [3280x2464 10-bit RGGB]",),
    wifi=(Wifi("wlan0", False, -48.0),),
    clock_synchronized=True,
    wall_s=1.8e9,
    disks=(Disk("/var/lib/pynet-agent", 9_000_000_000, 100_000, False),),
    config=NETWORKED,
    config_file="/etc/pynet/agent.toml",
    identity="ok",
    callers=1,
    state_dir="/var/lib/pynet-agent",
    agent_port=1857,
    unit=UNIT,
    throttled=0,
    temperature_c=51.0,
    watchdog_device=True,
    watchdog_armed=True,
)


def settings(text: str) -> AgentConfig:
    return parse_config(text, "agent.toml")


def seen(facts: Facts, level: Level) -> list[str]:
    return [f"{found.check}: {found.what}" for found in findings(facts) if found.level is level]


def test_a_healthy_car_has_no_problem_and_one_warning_that_is_true_of_every_servo_on_a_pin() -> None:
    assert seen(HEALTHY, Level.PROBLEM) == []
    assert seen(HEALTHY, Level.WARNING) == [
        "pwm: the steering servo on GPIO19 trembles when the Pi is busy: a program makes its pulses "
        "(and other programs on lgpio have 6 positions: gpiozero#1209)"
    ]


def test_a_laptop_is_a_fact_and_no_error() -> None:
    laptop = Facts(machine="x86_64", modules={"gpiozero": "2.0.1"}, wall_s=1.8e9)
    assert seen(laptop, Level.PROBLEM) == seen(laptop, Level.WARNING) == []
    assert "board: not a Pi (x86_64): the agent drives a simulated car here" in seen(laptop, Level.OK)


WARN, BAD = Level.WARNING, Level.PROBLEM


@pytest.mark.parametrize(
    ("changes", "level", "says", "fix"),
    [
        (
            {"model": "", "config": settings('board = "pi"')},
            BAD,
            "board: not a Raspberry Pi, and",
            'board = "auto"',
        ),
        ({"machine": "armv7l"}, BAD, "board: Raspberry Pi 4 Model B Rev 1.5 with a 32-bit system", "64-bit"),
        ({"os_codename": "bullseye"}, WARN, "system: Debian GNU/Linux 13", "bookworm or trixie"),
        ({"kernel": "6.18.39-v8+"}, WARN, "system: this kernel is slow over Wi-Fi", "sudo apt full-upgrade"),
        ({"config_problems": ("f:3: x: y",)}, BAD, "settings: f:3: x: y", "sudo nano /etc/pynet/agent.toml"),
        (
            {"modules": {"lgpio": "0.2.2"}},
            BAD,
            "pins: gpiozero 2.0 is needed and is not installed",
            "gpiozero~=2.0.1",
        ),
        (
            {"modules": {"gpiozero": "1.6.2", "lgpio": "0.2"}},
            BAD,
            "pins: gpiozero 2.0 is needed and is 1.6.2",
            "~=2",
        ),
        (
            {"modules": {"gpiozero": "2.0.1"}},
            BAD,
            "pins: no library for the pins",
            "apt install python3-lgpio",
        ),
        (
            {"modules": {"gpiozero": "2.0.1", "lgpio": "0.0.0.2"}},
            BAD,
            "pins: the lgpio here is an empty placeholder",
            "apt install python3-lgpio",
        ),
        (
            {"config": settings('[drive.steering]\npin = "pwm:0"')},
            BAD,
            "pwm: an output is on the Pi's own PWM, which is off",
            "echo dtoverlay=pwm-2chan",
        ),
        (
            {"config": settings('[drive.steering]\npin = "pca9685:3"')},
            BAD,
            "pwm: an output is on a PCA9685, and its I2C bus is off",
            "sudo raspi-config nonint do_i2c 0",
        ),
        (
            {"config": settings("[drive.motor]\nforward_pin = 7\nbackward_pin = 13")},
            BAD,
            "boot pins: drive.motor.forward_pin on GPIO7 is pulled up from power-on: the motor turns",
            "echo gpio=7=op,dl",
        ),
        (
            {
                "config": settings("[drive.motor]\nforward_pin = 7\nbackward_pin = 13"),
                "boot_config": "gpio=7=op,dl",
            },
            WARN,
            "boot pins: drive.motor.forward_pin on GPIO7 is pulled up at power-on until config.txt is read",
            "move that wire to GPIO 27, 12",
        ),
        (
            {
                "config": settings("[drive.motor]\nforward_pin = 12\nbackward_pin = 10"),
                "boot_config": "dtparam=spi=on",
            },
            BAD,
            "boot pins: SPI uses what is set for drive.motor.backward_pin (GPIO10)",
            "sudo raspi-config nonint do_spi 1 && sudo reboot",
        ),
        (
            {
                "config": settings("[encoder]\nleft_pins = [14, 15]"),
                "kernel_command_line": "console=serial0,115200",
            },
            BAD,
            "boot pins: the serial console uses what is set for encoder.left_pins (GPIO14)",
            "do_serial_cons 1",
        ),
        ({"groups": None}, BAD, "permissions: there is no user 'pynet'", "reinstall"),
        (
            {"groups": frozenset({"video"})},
            BAD,
            "permissions: pynet may not use /dev/gpiochip0 (group gpio)",
            "sudo usermod -aG gpio pynet && sudo systemctl restart pynet-agent",
        ),
        (
            {"groups": frozenset({"gpio"})},
            WARN,
            "permissions: pynet may not use /dev/video0",
            "usermod -aG video",
        ),
        (
            {"devices": (Device("/dev/gpiochip0", "root", 0o600),)},
            BAD,
            "permissions: pynet may not",
            "udevadm trigger",
        ),
        (
            {"modules": {"gpiozero": "2.0.1", "lgpio": "0.2.2"}},
            WARN,
            "camera: picamera2 is not installed",
            "sudo apt install python3-picamera2",
        ),
        ({"cameras": ()}, WARN, "camera: no camera found", "camera_auto_detect=1"),
        (
            {"model": "", "world_unit": "inactive"},
            WARN,
            "service: the simulated car has no world",
            "apt install ./pynet-agent-sim",
        ),
        ({"cameras": None}, WARN, "camera: cannot be told", "apt install rpicam-apps"),
        ({"throttled": 0x50005}, BAD, "power: undervoltage now", "a stronger supply"),
        ({"throttled": 0x50000}, WARN, "power: undervoltage since boot", "charge the battery"),
        ({"throttled": 0x80008}, WARN, "power: the processor is or was slowed down", "heat sink"),
        ({"temperature_c": 84.0}, WARN, "power: the processor is at 84 degrees", "heat sink"),
        ({"watchdog_device": False}, WARN, "watchdog: no hardware watchdog", "dtparam=watchdog=on"),
        (
            {"watchdog_armed": False},
            WARN,
            "watchdog: the hardware watchdog is not used",
            "RuntimeWatchdogSec=10s",
        ),
        ({"wifi": (Wifi("wlan0", True, -50.0),)}, WARN, "wifi: wlan0: power save is on", "doctor --fix wifi"),
        (
            {"wifi": (Wifi("wlan0", None, -50.0),)},
            WARN,
            "wifi: wlan0: whether it saves power cannot",
            "install iw",
        ),
        ({"wifi": (Wifi("wlan0", False, -82.0),)}, WARN, "wifi: wlan0: weak signal, -82 dBm", "nearer"),
        (
            {"clock_synchronized": False},
            WARN,
            "clock: the clock is not synchronized",
            "timedatectl set-ntp true",
        ),
        ({"wall_s": 1e9}, WARN, "clock: the clock was never set", "timedatectl set-ntp true"),
        ({"disks": (Disk("/d", 10**9, 10**5, True),)}, BAD, "disk: /d is read-only", "remount,rw"),
        ({"disks": (Disk("/d", 10**7, 10**5, False),)}, WARN, "disk: /d: 10 MB free", "vacuum-size"),
        (
            {"disks": (Disk("/d", 10**9, 5, False),)},
            WARN,
            "disk: /d: 1000 MB free, 5 files more",
            "vacuum-size",
        ),
        (
            {"model": "", "world_unit": "active", "runtime_dir": "/r", "runtime_in_memory": False},
            WARN,
            "disk: /r is on a disk: the simulated car's pins wait",
            "--runtime-dir /dev/shm/pynet-agent",
        ),
        (
            {"identity": "none"},
            BAD,
            "trust: other machines may call, but the robot has no id",
            "pynet-agent pair",
        ),
        ({"identity": "/x: damaged"}, BAD, "trust: /x: damaged", "restart"),
        ({"identity": "unseen"}, WARN, "trust: identity and list: not looked at", "sudo pynet-agent doctor"),
        ({"callers": 0}, WARN, "trust: no device is trusted", "pynet-agent pair"),
        (
            {"agent_port": None, "listener": Listener(42, "nginx")},
            BAD,
            "port: 1857 is taken by nginx, which is not the agent of ",
            "sudo kill 42",
        ),
        (
            {"agent_port": None, "listener": Listener(None, "")},
            BAD,
            "port: 1857 is taken by another",
            "sudo ss -lt",
        ),
        ({"unit": {}}, WARN, "service: the service is not installed", "apt install ./pynet-agent"),
        (
            {"unit": UNIT | {"ActiveState": "failed", "Result": "watchdog"}},
            BAD,
            "service: failed, result watchdog",
            "journalctl -u pynet-agent",
        ),
        (
            {"unit": UNIT | {"ActiveState": "inactive"}},
            WARN,
            "service: inactive",
            "systemctl start pynet-agent",
        ),
        (
            {"unit": UNIT | {"UnitFileState": "disabled"}},
            WARN,
            "service: does not start at boot",
            "systemctl enable",
        ),
        ({"unit": UNIT | {"NRestarts": "7"}}, WARN, "service: restarted 7 times", "journalctl"),
        ({"unit": UNIT | {"WatchdogUSec": "0"}}, BAD, "service: WatchdogSec is off", "systemctl revert"),
        (
            {"unit": UNIT | {"ExecStopPost": ""}},
            BAD,
            "service: ExecStopPost does not run neutral.py",
            "revert",
        ),
        ({"e_stop": "pressed by laptop"}, WARN, "e-stop: is latched: pressed by laptop", "hold RESET"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_type(
    changes: dict[str, Any], level: Level, says: str, fix: str
) -> None:
    facts = replace(HEALTHY, **changes)
    found = [one for one in findings(facts) if f"{one.check}: {one.what}".startswith(says)]
    assert len(found) == 1, [f"{one.check}: {one.what}" for one in findings(facts)]
    assert found[0].level is level
    assert fix in found[0].fix
    assert found[0].where


@pytest.mark.parametrize(
    "changes",
    [
        {"wifi": ()},  # on a cable
        {"config": settings("[camera]\nenabled = false"), "cameras": ()},
        {"model": "", "world_unit": "active"},
        {"model": "", "world_unit": "active", "runtime_in_memory": True},
        {"runtime_in_memory": False},  # a real car's pins are no file
        {"config": settings('[drive.steering]\npin = "pwm:0"'), "header_pwm": True},
        {
            "config": settings('[drive.steering]\npin = "pca9685:3"'),
            "devices": (Device("/dev/i2c-1", "gpio", 0o660),),
        },
        {"throttled": None, "temperature_c": None},
        {"clock_synchronized": None},
        {"disks": (Disk("/d", 10**9, None, False),)},  # btrfs counts no inodes
        {"user": "root", "groups": frozenset({"root"})},
        {"devices": (Device("/dev/gpiochip0", "root", 0o666),)},
        {"unit": UNIT | {"DropInPaths": "/etc/systemd/system/pynet-agent.service.d/override.conf"}},
        {"config": settings("[gateway]\nhost = '127.0.0.1'"), "identity": "none", "callers": 0},
        {"e_stop": None},
        {"boot_config": "dtparam=spi=on\nenable_uart=1\n"},  # nothing of ours is on those pins
        {
            "config": settings('board = "simulated"\n[drive.motor]\nforward_pin = 7\nbackward_pin = 13'),
            "modules": {"gpiozero": "2.0.1"},
            "world_unit": "active",
        },
    ],
)
def test_what_is_not_wrong_is_no_finding(changes: dict[str, Any]) -> None:
    facts = replace(HEALTHY, **changes)
    told = [one for one in seen(facts, WARN) + seen(facts, BAD) if not one.startswith("pwm:")]
    assert told == []


def test_the_l293d_of_the_tutorial_has_no_pin_that_is_pulled_up_but_wants_spi_off() -> None:
    pins = load_config(Path(__file__).parents[2] / "examples/l293d/agent.toml")
    assert not [one for one in seen(replace(HEALTHY, config=pins), BAD) if one.startswith("boot pins")]
    with_spi = replace(HEALTHY, config=pins, boot_config="dtparam=i2c_arm=on,spi=on\n")
    assert seen(with_spi, BAD) == [
        "boot pins: SPI uses what is set for drive.left.forward_pin (GPIO9), drive.left.backward_pin (GPIO10)"
    ]


def test_a_person_sees_problems_with_their_place_and_their_mend_and_a_sum() -> None:
    lines = list(render(findings(replace(HEALTHY, wifi=(Wifi("wlan0", True, None),), cameras=()))))
    at = next(number for number, line in enumerate(lines) if "power save is on" in line)
    assert lines[at].startswith("WARNING  wifi ")
    shown = "\n".join(lines[at : at + 4])
    assert "seen in:  iw dev wlan0 get power_save" in shown
    assert "to mend:  sudo pynet-agent doctor --fix wifi" in shown
    assert lines[-1].startswith("no problems, 3 warnings, ")


def test_config_txt_is_read_as_the_firmware_does() -> None:
    text = "gpio=5,6=op,dl\ngpio=20-22=pd # comment\n#gpio=7=pd\n[none]\ngpio=8=pd\n[all]\n"
    text += "gpio=6=pu\ngpio=x=pd\n"
    assert held_low(text) == {5, 20, 21, 22}
    names = [
        bus.name for bus in buses("dtparam=i2c_arm=on\ndtoverlay=w1-gpio,gpiopin=27\nenable_uart=1\n", "")
    ]
    assert names == ["I2C", "1-Wire", "the serial port"]
    assert buses("dtparam=spi=on\ndtparam=spi=off\n", "") == []
    assert buses("dtoverlay=w1-gpio", "")[0].pins == {4}
