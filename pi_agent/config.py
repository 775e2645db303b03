"""agent.toml as frozen dataclasses: every setting, its unit, its range and its default.

The annotations are the rules: `load_config` checks a file against them and
against nothing else, but for what takes two settings to see (a pin used twice).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta

from pi_agent.config_reader import ConfigReader, KeyPath, Problem, parse_toml
from pi_agent.config_reader import Settings as Settings  # what a plugin is given
from pi_agent.drive_config import DriveConfig, Pin, addresses, drive_faults, with_simulated_wiring
from pynet_core.errors import ConfigError

Name = Annotated[str, Meta(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    host: Annotated[str, Meta(max_length=253)] = "127.0.0.1"  # address to listen on; '' is all of them
    port: Annotated[int, Meta(ge=0, le=65535)] = 1857  # 0 takes any free one
    # Connections.  One window takes 8; two places are kept for E-STOP, and one of the 8 fits there.
    max_poolsize: Annotated[int, Meta(ge=9, le=1024)] = 64
    tls: Literal["auto", "always"] = "auto"  # auto: plain where only this machine can call
    announce: bool = True  # to the local network, where others can call


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadConfig:
    """One ultrasonic ranger."""

    name: Name
    trigger_pin: Pin
    echo_pin: Pin
    bearing_deg: Annotated[float, Meta(ge=-180.0, le=180.0)]  # 0 ahead, + left; |bearing| > 90 looks backward


@dataclass(frozen=True, slots=True, kw_only=True)
class ProximityConfig:
    heads: tuple[HeadConfig, ...] = (
        HeadConfig(name="front_left", trigger_pin=18, echo_pin=17, bearing_deg=50.0),
        HeadConfig(name="front_mid_left", trigger_pin=23, echo_pin=22, bearing_deg=15.0),
        HeadConfig(name="front_mid_right", trigger_pin=25, echo_pin=24, bearing_deg=-15.0),
        HeadConfig(name="front_right", trigger_pin=6, echo_pin=5, bearing_deg=-50.0),
    )
    # An HC-SR04 hears no further than 4-5 m.  The car goes no faster than it can stop within this.
    max_range_m: Annotated[float, Meta(ge=0.1, le=5.0)] = 3.0
    # Of one head.  Its data sheet asks for 60 ms between pings; over 250 ms all readings would be stale.
    period_s: Annotated[float, Meta(ge=0.05, le=0.25)] = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    enabled: bool = True
    left_pins: tuple[Pin, Pin] = (20, 21)  # A, B; swap them if driving forward counts down
    right_pins: tuple[Pin, Pin] = (26, 16)
    ticks_per_m: Annotated[float, Meta(ge=1.0, le=100_000.0)] = 98.0  # one tick is a full quadrature cycle
    track_width_m: Annotated[float, Meta(ge=0.01, le=5.0)] = 0.18  # left to right wheel
    period_s: Annotated[float, Meta(ge=0.005, le=0.1)] = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    enabled: bool = True
    width_px: Annotated[int, Meta(ge=16, le=4096)] = 640
    height_px: Annotated[int, Meta(ge=16, le=4096)] = 480
    fps: Annotated[float, Meta(ge=1.0, le=120.0)] = 30.0
    quality: Annotated[int, Meta(ge=1, le=100)] = 75  # JPEG
    upside_down: bool = False  # as it is mounted on a Pi; the simulated one never is


@dataclass(frozen=True, slots=True, kw_only=True)
class PathConfig:
    """What has to be measured of a car before it follows paths; of the simulated car it is known anyway."""

    # Of the middle of the axle that has the encoders, at full steering.  0 is not known.
    turning_radius_m: Annotated[float, Meta(ge=0.0, le=20.0)] = 0.0
    # How far it rolls from 1 m/s when the motor is switched off, on the smoothest floor.  0 is not known.
    roll_m: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.0
    lens_m: Annotated[float, Meta(ge=-2.0, le=2.0)] = 0.2  # the camera's, ahead of that axle


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    name: Name = "pynet car"
    board: Literal["auto", "simulated", "pi"] = "auto"
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    drive: DriveConfig = field(default_factory=DriveConfig)
    proximity: ProximityConfig = field(default_factory=ProximityConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    path: PathConfig = field(default_factory=PathConfig)
    sensors: Mapping[str, Settings] = field(default_factory=dict)  # [sensors.NAME], by plugin name


def bearing_rad(head: HeadConfig) -> float:
    return math.radians(head.bearing_deg)


def is_simulated(config: AgentConfig) -> bool:
    """Whether the car is the simulated one: asked for, or this is no Raspberry Pi."""
    return config.board == "simulated" or (config.board == "auto" and not board_model())


def effective_drive(config: AgentConfig) -> DriveConfig:
    """How motor and steering are wired: as [drive] says, but for the simulated car, which is as it is."""
    return with_simulated_wiring(config.drive) if is_simulated(config) else config.drive


def board_model() -> str:
    """ "Raspberry Pi 5 Model B Rev 1.0"; '' on a computer that is none."""
    try:
        model = Path("/proc/device-tree/model").read_text("ascii", "replace").rstrip("\0")
    except OSError:
        return ""
    return model if "Raspberry Pi" in model else ""


def load_config(path: Path | str | None) -> AgentConfig:
    """The settings in this file over the defaults; None is the defaults.

    Raises:
        ConfigError: One setting is wrong, or the file cannot be read; says
            where, what was found and what is allowed.
    """
    if path is None:
        return AgentConfig()
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, ValueError) as exc:  # ValueError: not UTF-8, or a path with a null byte
        raise ConfigError(f"{path}: cannot be read: {exc}") from exc
    return parse_config(text, str(path))


def parse_config(text: str, file: str) -> AgentConfig:
    """`load_config` of a text that is already here; `file` is for the messages only."""
    config, problems = check_config(text, file)
    if problems:
        more = f" (and {len(problems) - 1} more: pynet-agent config check {file})" if problems[1:] else ""
        raise ConfigError(f"{problems[0]}{more}")
    return config


def check_config(
    text: str, file: str, *, plugins: Iterable[str] | None = None
) -> tuple[AgentConfig, list[Problem]]:
    """The settings in a text, and all that is wrong with them; with a problem they are fit for nothing.

    With `plugins`, the names of those installed, a section for none of them is a problem too.
    """
    document, problem = parse_toml(text, file)
    if problem is not None:
        return AgentConfig(), [problem]
    reader = ConfigReader(text, file)
    config = reader.build(AgentConfig, document)
    if plugins is not None:
        reader.check_known("sensors", config.sensors, plugins, "plugin installed")
    if not any(problem.key.startswith("drive") for problem in reader.problems):
        reader.check(drive_faults(config.drive))
    reader.check_unique((path, name) for path, name, _ in _heads_and_pins(config) if name)
    reader.check_unique((path, pin) for path, _, pin in _heads_and_pins(config) if pin is not None)
    return config, sorted(reader.problems, key=lambda problem: problem.line)


def _heads_and_pins(config: AgentConfig) -> Iterator[tuple[KeyPath, str, int | str | None]]:
    """(where, head name or '', address or None) of all that must be unique; a wrong value is None here."""
    for path, address in addresses(config.drive):
        yield path, "", address
    for i, head in enumerate(config.proximity.heads):
        where: KeyPath = ("proximity", "heads", i)
        yield (*where, "name"), head.name, None
        yield (*where, "trigger_pin"), "", head.trigger_pin
        yield (*where, "echo_pin"), "", head.echo_pin
    for key in ("left_pins", "right_pins") if config.encoder.enabled else ():
        for pin in getattr(config.encoder, key) or ():
            yield ("encoder", key), "", pin
