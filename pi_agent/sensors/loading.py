"""Sensor plugins: found through the entry-point group `pynet.sensors`, checked, and never fatal.

A plugin is a class: `Plugin(config: AgentConfig, settings: Settings)` gives a
`ports.Sensor`; `settings` is its own [sensors.NAME] section.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Final, Protocol

from pi_agent.config import AgentConfig
from pi_agent.ports import Sensor
from pynet_car.messages import ABSENT, StreamInfo, decode, encode
from pynet_core.errors import ConfigError

GROUP: Final = "pynet.sensors"

log = logging.getLogger(__name__)


class Absent(ConfigError):
    """The settings say that the car has none of these: nobody misses it."""


class EntryPoint(Protocol):
    """As much of `importlib.metadata.EntryPoint` as is used."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> str: ...

    def load(self) -> object: ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The sensors that run, and what is to be said of those that do not."""

    sensors: tuple[Sensor, ...]
    broken: tuple[StreamInfo, ...]  # `.state` is the reason


def load_sensors(
    config: AgentConfig, reserved: Iterable[str], entry_points: Iterable[EntryPoint] | None = None
) -> Loaded:
    """Make every installed plugin; one that cannot be is logged and listed, and the rest go on.

    A plugin's stream bears its entry point's name, which must not be one of
    `reserved`: the names that the agent offers for itself.
    """
    if entry_points is None:
        entry_points = metadata.entry_points(group=GROUP)
    sensors: dict[str, Sensor] = {}
    taken = set(reserved)
    broken: list[StreamInfo] = []
    # Ours first: the guardian brakes by proximity, and a plugin may not take its name.
    found = sorted(entry_points, key=lambda point: (not _is_ours(point), point.name))
    for point in found:
        try:
            if point.name in taken:
                raise ConfigError(f"the name {point.name!r} is taken")
            if _is_ours(point):  # although it may fail: by its name the guardian would believe another's
                taken.add(point.name)
            sensors[point.name] = _make(point, config)
            taken.add(point.name)
        except Absent as exc:
            log.info("no sensor %s: %s", point.name, exc)
            broken.append(_refused(point.name, f"{ABSENT}{exc}"))
        except (Exception, SystemExit) as exc:  # the plugin's code, not ours: contain whatever it raises
            reason = f"{type(exc).__name__}: {exc}"
            # A wrong setting is no fault of the code: the reason is enough.
            trace = None if isinstance(exc, ConfigError) else exc
            log.warning("sensor plugin %s (%s) refused: %s", point.name, point.value, reason, exc_info=trace)
            broken.append(_refused(point.name, reason))
    for name in config.sensors.keys() - {point.name for point in found}:
        log.warning("[sensors.%s] in the settings belongs to no installed plugin", name)
    return Loaded(tuple(sensors.values()), tuple(broken))


def _is_ours(point: EntryPoint) -> bool:
    return point.value.startswith("pi_agent.")


def _refused(name: str, state: str) -> StreamInfo:
    return StreamInfo(name=name, title=name, unit="", period_s=0.0, state=state)


def _make(point: EntryPoint, config: AgentConfig) -> Sensor:
    plugin = point.load()
    if not callable(plugin):
        raise TypeError(f"{point.value} is no class but a {type(plugin).__name__}")
    sensor = plugin(config, config.sensors.get(point.name, {}))
    info = getattr(sensor, "info", None)
    if not isinstance(info, StreamInfo):
        raise TypeError(f"{point.value}: info is no StreamInfo but a {type(info).__name__}")
    if info.name != point.name:
        raise ValueError(f"{point.value}: info.name is {info.name!r}, its entry point says {point.name!r}")
    decode(encode(info), StreamInfo)  # ValueError or TypeError where a field is of the wrong type
    for method in ("read", "close"):
        if not callable(getattr(sensor, method, None)):
            raise TypeError(f"{point.value} has no {method}()")
    made: Sensor = sensor
    return made
