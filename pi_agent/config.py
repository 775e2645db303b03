"""agent.toml as frozen dataclasses: every setting, its unit, its range and its default.

The annotations are the rules: `load_config` checks a file against them and
against nothing else, but for what takes two settings to see (a pin used twice).
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from pynet_core.errors import ConfigError

Pin = Annotated[int, Meta(ge=0, le=27, extra={"unit": "a BCM pin number"})]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Settings = Mapping[str, object]  # one plugin's own section, as TOML has it: the plugin checks it


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayConfig:
    host: Annotated[str, Meta(max_length=253)] = "127.0.0.1"  # address to listen on; '' is all of them
    port: Annotated[int, Meta(ge=0, le=65535)] = 1857  # 0 takes any free one
    # Connections.  One window takes 8; two places are kept for E-STOP, and one of the 8 fits there.
    max_poolsize: Annotated[int, Meta(ge=9, le=1024)] = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveConfig:
    """H-bridge motor and steering servo, BCM pin numbers, and the limits on both."""

    forward_pin: Pin = 12
    backward_pin: Pin = 13
    pwm_hz: Annotated[int, Meta(ge=50, le=20_000)] = 100
    steering_pin: Pin = 19
    steering_max_deg: Annotated[float, Meta(gt=0.0, le=90.0)] = 45.0  # servo angle at steering = 1
    max_throttle: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    throttle_slew_per_s: Annotated[float, Meta(gt=0.0, le=100.0)] = 4.0  # away from zero
    steering_slew_per_s: Annotated[float, Meta(gt=0.0, le=100.0)] = 12.0
    lifespan_ms: Annotated[int, Meta(ge=100, le=1000)] = 200  # never off


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
    max_range_m: Annotated[float, Meta(ge=0.1, le=5.0)] = 3.0  # an HC-SR04 hears no further than 4-5 m
    # Of one head.  Its data sheet asks for 60 ms between pings; over 250 ms all readings would be stale.
    period_s: Annotated[float, Meta(ge=0.05, le=0.25)] = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    left_pins: tuple[Pin, Pin] = (20, 21)  # A, B; swap them if driving forward counts down
    right_pins: tuple[Pin, Pin] = (26, 16)
    ticks_per_m: Annotated[float, Meta(gt=0.0, le=100_000.0)] = 98.0  # one tick is a full quadrature cycle
    track_width_m: Annotated[float, Meta(gt=0.0, le=5.0)] = 0.18  # left to right wheel
    period_s: Annotated[float, Meta(ge=0.005, le=0.1)] = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraConfig:
    width_px: Annotated[int, Meta(ge=16, le=4096)] = 640
    height_px: Annotated[int, Meta(ge=16, le=4096)] = 480
    fps: Annotated[float, Meta(ge=1.0, le=120.0)] = 30.0
    quality: Annotated[int, Meta(ge=1, le=100)] = 75  # JPEG


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    name: Name = "pynet car"
    board: Literal["auto", "simulated", "pi"] = "auto"
    gateway: GatewayConfig = field(default_factory=GatewayConfig)
    drive: DriveConfig = field(default_factory=DriveConfig)
    proximity: ProximityConfig = field(default_factory=ProximityConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    sensors: Mapping[str, Settings] = field(default_factory=dict)  # [sensors.NAME], by plugin name


def bearing_rad(head: HeadConfig) -> float:
    return math.radians(head.bearing_deg)


def is_simulated(config: AgentConfig) -> bool:
    """Whether the car is the simulated one: asked for, or this is no Raspberry Pi."""
    return config.board == "simulated" or (config.board == "auto" and not board_model())


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
    reader = _Reader(text, file)
    try:
        document = tomllib.loads(text)
    except ValueError as exc:  # TOMLDecodeError, or a number of more than 4300 digits
        raise ConfigError(f"{file}: not TOML: {exc}") from exc
    except RecursionError as exc:
        raise ConfigError(f"{file}: not TOML: nested too deeply") from exc
    config = reader.build(AgentConfig, document, ())
    reader.check_unique((path, name) for path, name, _ in _heads_and_pins(config) if name)
    reader.check_unique((path, pin) for path, _, pin in _heads_and_pins(config) if pin is not None)
    return config


_Path = tuple[str | int, ...]  # ("proximity", "heads", 2, "echo_pin")
_T = TypeVar("_T")
_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY: Final = re.compile(r"""\s*([\w\-"'. ]+?)\s*=""")


class _Reader:
    """Walks a parsed document along the dataclasses and knows where each key was written."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file

    def build(self, kind: type[_T], table: object, path: _Path) -> _T:
        if not isinstance(table, dict):
            raise self._wrong(path, table, "a table")
        hints = get_type_hints(kind, include_extras=True)
        for key in table:
            if key not in hints:
                near = difflib.get_close_matches(key, hints, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise self._error((*path, key), f"no such setting; {hint}known here: {', '.join(hints)}")
        for entry in dataclasses.fields(kind):  # type: ignore[arg-type]  # _T is always one of our dataclasses
            required = entry.default is entry.default_factory is dataclasses.MISSING
            if required and entry.name not in table:
                raise self._error(path, f"{entry.name!r} is missing: {_allowed(hints[entry.name])}")
        return kind(**{key: self._value(hints[key], value, (*path, key)) for key, value in table.items()})

    def _value(self, hint: Any, value: object, path: _Path) -> object:
        if dataclasses.is_dataclass(hint):
            return self.build(hint, value, path)  # type: ignore[arg-type]
        if hint == tuple[HeadConfig, ...]:
            if not isinstance(value, list) or len(value) > 16:
                raise self._wrong(path, value, "at most 16 tables, each headed [[proximity.heads]]")
            return tuple(self.build(HeadConfig, item, (*path, i)) for i, item in enumerate(value))
        if get_origin(hint) is Mapping:
            if not isinstance(value, dict):
                raise self._wrong(path, value, "tables, each headed [sensors.NAME]")
            for name, section in value.items():
                if not isinstance(section, dict):
                    raise self._wrong((*path, name), section, f"a table headed [sensors.{name}]")
            return value
        try:
            return msgspec.convert(value, hint)
        except msgspec.ValidationError as exc:
            raise self._wrong(path, value, _allowed(hint)) from exc

    def check_unique(self, used: Iterator[tuple[_Path, str | int]]) -> None:
        seen: dict[str | int, _Path] = {}
        for path, value in used:
            if value in seen:
                here, other = path, seen[value]
                if self._find(here)[1] < len(here):  # a default: what the person wrote is the other one
                    here, other = other, here
                raise self._wrong(here, value, f"any that {_dotted(other)} does not use already")
            seen[value] = path

    def _wrong(self, path: _Path, found: object, allowed: str) -> ConfigError:
        text = repr(found)
        text = text if len(text) <= 60 else text[:57] + "..."
        return self._error(path, f"found {text}, allowed is {allowed}")

    def _error(self, path: _Path, problem: str) -> ConfigError:
        return ConfigError(f"{self._file}:{self._find(path)[0]}: {_dotted(path) or 'the file'}: {problem}")

    def _find(self, path: _Path) -> tuple[int, int]:
        """The line that writes most of this path, and how much of it; tomllib does not tell."""
        best, best_length = 1, 0
        table: _Path = ()
        tables_named: Counter[str] = Counter()
        for number, line in enumerate(self._text.split("\n"), 1):
            if header := _HEADER.match(line):
                brackets, name = header.groups()
                table = written = _split(name)
                if brackets == "[[":
                    table = written = (*table, tables_named[name])
                    tables_named[name] += 1
            elif key := _KEY.match(line):
                written = (*table, *_split(key[1]))
            else:
                continue
            if len(written) > best_length and written == path[: len(written)]:
                best, best_length = number, len(written)
        return best, best_length


def _split(dotted: str) -> _Path:
    return tuple(part.strip(" \"'") for part in dotted.split("."))


def _dotted(path: _Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _allowed(hint: Any) -> str:
    """The annotation in words: "a whole number from 100 to 1000"."""
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(repr, get_args(hint)))
    if get_origin(hint) is tuple:
        return f"{len(get_args(hint))} values in brackets, each {_allowed(get_args(hint)[0])}"
    kind, meta = get_args(hint)
    if kind is str:
        return f"a text of {meta.min_length or 0} to {meta.max_length} characters in quotes"
    noun = (meta.extra or {}).get("unit", "a whole number" if kind is int else "a number")
    low = f"from {meta.ge}" if meta.gt is None else f"above {meta.gt}, up"
    return f"{noun} {low} to {meta.le}"


def _heads_and_pins(config: AgentConfig) -> Iterator[tuple[_Path, str, int | None]]:
    """(where, head name or '', pin or None) of all that must be unique."""
    for key in ("forward_pin", "backward_pin", "steering_pin"):
        yield ("drive", key), "", getattr(config.drive, key)
    for i, head in enumerate(config.proximity.heads):
        where: _Path = ("proximity", "heads", i)
        yield (*where, "name"), head.name, None
        yield (*where, "trigger_pin"), "", head.trigger_pin
        yield (*where, "echo_pin"), "", head.echo_pin
    for key in ("left_pins", "right_pins"):
        for pin in getattr(config.encoder, key):
            yield ("encoder", key), "", pin
