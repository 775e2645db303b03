"""What the facts mean for board, pins, camera and power.  Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from pi_agent.doctor.boot import buses, held_low
from pi_agent.doctor.facts import Facts
from pi_agent.doctor.finding import Check, Finding, bad, ok, warn
from pi_agent.doctor.wiring import is_pi_car, motor_pins, servo_pin, used_pins
from pi_agent.drive_config import addresses
from pi_agent.outputs.kernel_pwm import OVERLAY
from pi_agent.places import SERVICE

PULLED_UP: Final = range(9)  # BCM 0-8 have their pull-up on from power-on until somebody takes them
HOT_C: Final = 80.0  # the firmware slows the processor down from here
SERVO_HZ: Final = 50
SERVO_MS: Final = (1.0, 2.0)
_ADD_OVERLAY: Final = f"echo {OVERLAY} | sudo tee -a /boot/firmware/config.txt"


def check_board(facts: Facts) -> Iterator[Finding]:
    where = "/proc/device-tree/model"
    if not facts.model:
        if facts.config.board == "pi":
            fix = f'set board = "auto" in {facts.config_file}, or run this on the Pi'
            yield bad("board", 'not a Raspberry Pi, and the settings say board = "pi"', where, fix)
        else:
            yield ok("board", f"not a Pi ({facts.machine}): the agent drives a simulated car here")
    elif facts.machine not in ("aarch64", "arm64"):
        fix = "install the 64-bit Raspberry Pi OS: its packages are the ones there are"
        yield bad("board", f"{facts.model} with a 32-bit system ({facts.machine})", "uname -m", fix)
    elif facts.config.board == "simulated":
        yield ok("board", f"{facts.model}; the settings say to drive a simulated car", facts.config_file)
    else:
        yield ok("board", f"{facts.model}, 64-bit", where)


def check_pins(facts: Facts) -> Iterator[Finding]:
    gpiozero = facts.modules.get("gpiozero")
    if gpiozero is None or not gpiozero.startswith("2.0."):
        found = "is not installed" if gpiozero is None else f"is {gpiozero}"
        fix = "install the pynet-agent package, which brings it, or:  pip install 'gpiozero~=2.0.1'"
        yield bad("pins", f"gpiozero 2.0 is needed and {found}", "python3 -m pip show gpiozero", fix)
    if not is_pi_car(facts.config, facts.model):
        return
    lgpio = facts.modules.get("lgpio")
    if lgpio == "0.0.0.2":
        fix = "pip uninstall lgpio; sudo apt install python3-lgpio"
        yield bad("pins", "the lgpio here is an empty placeholder from PyPI", "pip show lgpio", fix)
    elif lgpio is None:
        fix = "sudo apt install python3-lgpio"
        yield bad("pins", "no library for the pins", "python3 -c 'import lgpio'", fix)
    else:
        yield ok("pins", f"gpiozero {gpiozero} by lgpio {lgpio}".rstrip())


def check_pwm(facts: Facts) -> Iterator[Finding]:
    if not is_pi_car(facts.config, facts.model):
        return
    servo = servo_pin(facts.config)
    if servo is not None:
        what = (
            f"the steering servo on GPIO{servo} trembles when the Pi is busy: a program makes its pulses "
            f"(and other programs on lgpio have {_servo_positions()} positions: gpiozero#1209)"
        )
        fix = f'{_ADD_OVERLAY}; the servo to GPIO 12; in [drive.steering]  pin = "pwm:0"'
        yield warn("pwm", what, facts.config_file or "the defaults", fix)
    on_chips = {str(address).partition(":")[0] for _, address in addresses(facts.config.drive)}
    if "pwm" in on_chips:
        if facts.header_pwm:
            yield ok("pwm", "the Pi's own: 1 us steps and finer", "/sys/class/pwm")
        else:
            fix = f"{_ADD_OVERLAY} && sudo reboot"
            yield bad("pwm", "an output is on the Pi's own PWM, which is off", "/sys/class/pwm", fix)
    if "pca9685" in on_chips:
        bus = f"/dev/i2c-{facts.config.drive.pca9685.bus}"
        if any(device.path == bus for device in facts.devices):
            yield ok("pwm", f"a PCA9685 on {bus}: 4096 steps", bus)
        else:
            fix = "sudo raspi-config nonint do_i2c 0"
            yield bad("pwm", "an output is on a PCA9685, and its I2C bus is off", bus, fix)


def _servo_positions() -> int:
    """Of a servo whose duty is cut to whole per cents."""
    low, high = (milliseconds * SERVO_HZ / 10 for milliseconds in SERVO_MS)
    return math.floor(high) - math.ceil(low) + 1


def check_boot_pins(facts: Facts) -> Iterator[Finding]:
    if not is_pi_car(facts.config, facts.model):
        return
    low, found = held_low(facts.boot_config), False
    for key, pin in motor_pins(facts.config):
        if pin in PULLED_UP:
            found = True
            if pin in low:
                what = f"{key} on GPIO{pin} is pulled up at power-on until config.txt is read: seconds"
                yield warn(
                    "boot pins", what, "/boot/firmware/config.txt", f"move that wire to {_free(facts)}"
                )
            else:
                what = f"{key} on GPIO{pin} is pulled up from power-on: the motor turns while the Pi boots"
                fix = (
                    f"move that wire to {_free(facts)}; or, which leaves it some seconds:  "
                    f"echo gpio={pin}=op,dl | sudo tee -a /boot/firmware/config.txt"
                )
                yield bad("boot pins", what, facts.config_file or "the defaults", fix)
    if not found:
        yield ok("boot pins", "no motor pin is pulled up at boot")
    for bus in buses(facts.boot_config, facts.kernel_command_line):
        both = [f"{key} (GPIO{pin})" for key, pin in used_pins(facts.config) if pin in bus.pins]
        if both:
            what = f"{bus.name} uses what is set for {', '.join(both)}"
            yield bad("boot pins", what, bus.where, f"{bus.off} && sudo reboot")


def _free(facts: Facts) -> str:
    """Some pins that nothing uses, pulled down at boot, in no bus."""
    taken = {pin for _, pin in used_pins(facts.config)}
    for bus in buses(facts.boot_config, facts.kernel_command_line):
        taken |= bus.pins
    free = [
        str(pin) for pin in (17, 27, 22, 23, 24, 25, 5, 6, 12, 13, 16, 26) if pin not in taken | {*PULLED_UP}
    ]
    return "GPIO " + ", ".join(free[:4]) if free else "a pin above 8"


def check_permissions(facts: Facts) -> Iterator[Finding]:
    if not facts.devices or not is_pi_car(facts.config, facts.model):
        return
    if facts.groups is None:
        fix = "reinstall the package:  sudo apt install --reinstall pynet-agent"
        yield bad("permissions", f"there is no user {facts.user!r} for the agent", "/etc/passwd", fix)
        return
    lacks: dict[str, list[str]] = {}
    for device in facts.devices:
        by_group = device.group in facts.groups and device.mode & 0o060 == 0o060
        if facts.user != "root" and not by_group and device.mode & 0o006 != 0o006:
            lacks.setdefault(device.group, []).append(device.path)
    for group, paths in sorted(lacks.items()):
        if group == "root":
            fix = "sudo apt install --reinstall pynet-agent && sudo udevadm trigger"
        else:
            fix = f"sudo usermod -aG {group} {facts.user} && sudo systemctl restart {SERVICE}"
        what = f"{facts.user} may not use {', '.join(paths)} (group {group})"
        tell = bad if any(path.startswith("/dev/gpio") for path in paths) else warn
        yield tell("permissions", what, "ls -l /dev", fix)
    if not lacks:
        yield ok("permissions", f"{facts.user} may use pins, camera and buses")


def check_camera(facts: Facts) -> Iterator[Finding]:
    if not is_pi_car(facts.config, facts.model):
        return
    if not facts.config.camera.enabled:
        yield ok("camera", "none, as the settings say", facts.config_file)
    elif "picamera2" not in facts.modules:
        fix = "sudo apt install python3-picamera2"
        yield warn("camera", "picamera2 is not installed: no pictures", "python3 -c 'import picamera2'", fix)
    elif facts.cameras:
        yield ok("camera", ", ".join(facts.cameras), "rpicam-hello --list-cameras")
    elif facts.cameras is None:
        yield warn("camera", "cannot be told", "rpicam-hello --list-cameras", "sudo apt install rpicam-apps")
    else:
        fix = (
            "switch off, seat the ribbon at both ends (contacts to the contacts), and see that "
            "/boot/firmware/config.txt has camera_auto_detect=1"
        )
        yield warn(
            "camera", "no camera found: the car drives, without pictures", "rpicam-hello --list-cameras", fix
        )


def check_power(facts: Facts) -> Iterator[Finding]:
    where = "vcgencmd get_throttled"
    if facts.throttled is not None:
        now, before = facts.throttled & 0xF, facts.throttled >> 16 & 0xF
        if now & 1:
            fix = "a stronger supply or a thicker cable; motors want a supply of their own"
            yield bad("power", "undervoltage now: the Pi may reset while it drives", where, fix)
        elif before & 1:
            fix = "charge the battery; a stronger supply; motors want a supply of their own"
            yield warn("power", "undervoltage since boot", where, fix)
        else:
            yield ok("power", "no undervoltage since boot", where)
        if (now | before) & 0b1110:
            what = "the processor is or was slowed down by heat or low voltage"
            yield warn("power", what, where, "a heat sink or a fan")
    if facts.temperature_c is not None and facts.temperature_c >= HOT_C:
        what = f"the processor is at {facts.temperature_c:.0f} degrees C"
        yield warn("power", what, "/sys/class/thermal/thermal_zone0/temp", "a heat sink or a fan")


def check_watchdog(facts: Facts) -> Iterator[Finding]:
    if not facts.model:
        return
    where = "systemctl show -p RuntimeWatchdogUSec"
    if not facts.watchdog_device:
        fix = "echo dtparam=watchdog=on | sudo tee -a /boot/firmware/config.txt && sudo reboot"
        yield warn("watchdog", "no hardware watchdog: a dead kernel stays dead", "/dev/watchdog0", fix)
    elif facts.watchdog_armed:
        yield ok("watchdog", "the hardware restarts a dead kernel", where)
    else:
        fix = (
            "sudo mkdir -p /etc/systemd/system.conf.d && printf '[Manager]\\nRuntimeWatchdogSec=10s\\n' | "
            "sudo tee /etc/systemd/system.conf.d/watchdog.conf && sudo systemctl daemon-reexec"
        )
        yield warn("watchdog", "the hardware watchdog is not used: a dead kernel stays dead", where, fix)


CHECKS: Final[tuple[Check, ...]] = (
    check_board,
    check_pins,
    check_pwm,
    check_boot_pins,
    check_permissions,
    check_camera,
    check_power,
    check_watchdog,
)
