"""Plugins: a broken one is named and left out; a failing or hanging one is told and survived."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from importlib import metadata

import pytest

from pi_agent.config import AgentConfig, Settings, parse_config
from pi_agent.sensors.encoder import Encoder
from pi_agent.sensors.loading import GROUP, load_sensors
from pi_agent.sensors.proximity import Proximity
from pi_agent.sensors.running import SensorRunner
from pynet_car.messages import Event, Odometry, Reading, ReadingState, Scan, Severity, StreamInfo, encode
from pynet_core.errors import ConfigError, HardwareError

SCAN = Scan(
    readings=(Reading(channel="cell", seq=1, captured_ns=1, value=3.7, unit="V", state=ReadingState.OK),)
)


class Battery:
    """A plugin as somebody would write it."""

    def __init__(self, config: AgentConfig, settings: Settings) -> None:
        self.info = StreamInfo(name="battery", title="Battery", unit="V", period_s=0.001)
        self.settings = settings
        self.closed = False

    def read(self) -> Scan | Odometry:
        time.sleep(0.001)
        return SCAN

    def close(self) -> None:
        self.closed = True


class NoRead:
    info = StreamInfo(name="battery", title="", unit="", period_s=1.0)

    def __init__(self, config: AgentConfig, settings: Settings) -> None: ...

    def close(self) -> None: ...


class OtherName(Battery):
    def __init__(self, config: AgentConfig, settings: Settings) -> None:
        super().__init__(config, settings)
        self.info = StreamInfo(name="drive", title="", unit="", period_s=1.0)


class WrongField(Battery):
    def __init__(self, config: AgentConfig, settings: Settings) -> None:
        self.info = StreamInfo(name="battery", title="", unit="", period_s="1 s")  # type: ignore[arg-type]


def leaving(config: AgentConfig, settings: Settings) -> Battery:
    raise SystemExit("no battery here")


def raising(config: AgentConfig, settings: Settings) -> Battery:
    raise ConfigError("address is missing")


@dataclasses.dataclass(frozen=True)
class Point:
    name: str
    plugin: object
    value: str = "some_module:Battery"

    def load(self) -> object:
        if isinstance(self.plugin, Exception):
            raise self.plugin
        return self.plugin


def test_a_plugin_gets_its_own_section() -> None:
    config = AgentConfig(sensors={"battery": {"address": 0x48}, "other": {"x": 1}})
    loaded = load_sensors(config, (), [Point("battery", Battery)])
    (sensor,) = loaded.sensors
    assert isinstance(sensor, Battery)
    assert sensor.settings == {"address": 0x48}
    assert loaded.broken == ()


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (ImportError("no module named smbus2"), "ImportError: no module named smbus2"),
        (SyntaxError("invalid syntax"), "SyntaxError: invalid syntax"),
        (raising, "ConfigError: address is missing"),
        (7, "TypeError: some_module:Battery is no class but a int"),
        (lambda config: None, "TypeError"),
        (
            lambda config, settings: None,
            "TypeError: some_module:Battery: info is no StreamInfo but a NoneType",
        ),
        (NoRead, "TypeError: some_module:Battery has no read()"),
        (leaving, "SystemExit: no battery here"),
        (WrongField, "ValidationError: Expected `float`, got `str` - at `$.period_s`"),
        (OtherName, "ValueError: some_module:Battery: info.name is 'drive', its entry point says 'battery'"),
    ],
)
def test_a_broken_plugin_is_listed_with_its_reason_and_the_rest_run(
    plugin: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Compass(Battery):
        def __init__(self, config: AgentConfig, settings: Settings) -> None:
            self.info = StreamInfo(name="compass", title="", unit="", period_s=1.0)

    loaded = load_sensors(AgentConfig(), (), [Point("battery", plugin), Point("compass", Compass)])
    assert [sensor.info.name for sensor in loaded.sensors] == ["compass"]
    (broken,) = loaded.broken
    assert broken.name == "battery"
    assert broken.state.startswith(reason)
    assert "sensor plugin battery" in caplog.text


def test_a_sensor_that_the_settings_leave_out_is_absent_and_no_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = parse_config("[proximity]\nheads = []\n[encoder]\nenabled = false\n", "car.toml")
    loaded = load_sensors(config, (), [Point("proximity", Proximity), Point("encoder", Encoder)])
    assert loaded.sensors == ()
    assert [info.state for info in loaded.broken] == [
        "absent: the car has no encoders: enabled = false in [encoder]",
        "absent: there are no heads in [proximity]",
    ]
    assert "WARNING" not in caplog.text


def test_a_name_taken_twice_or_by_the_agent_is_refused() -> None:
    points = [Point("battery", Battery, "a:A"), Point("battery", Battery, "b:B"), Point("drive", OtherName)]
    loaded = load_sensors(AgentConfig(), {"drive"}, points)
    assert [sensor.info.name for sensor in loaded.sensors] == ["battery"]
    assert [(info.name, info.state) for info in loaded.broken] == [
        ("battery", "ConfigError: the name 'battery' is taken"),
        ("drive", "ConfigError: the name 'drive' is taken"),
    ]


def test_a_plugin_cannot_take_the_place_of_a_sensor_of_ours() -> None:
    ours, other = Point("battery", Battery, "pi_agent.sensors.battery:B"), Point("battery", NoRead, "a:A")
    loaded = load_sensors(AgentConfig(), (), [other, ours])
    assert isinstance(loaded.sensors[0], Battery)


@pytest.mark.parametrize("fault", [RuntimeError("its pins are somebody else's"), raising])
def test_a_plugin_cannot_take_the_place_of_a_sensor_of_ours_that_fails(fault: object) -> None:
    """The guardian brakes by what comes under these names."""
    ours, other = Point("battery", fault, "pi_agent.sensors.battery:B"), Point("battery", Battery, "a:A")
    loaded = load_sensors(AgentConfig(), (), [other, ours])
    assert loaded.sensors == ()
    assert [info.state for info in loaded.broken][1:] == ["ConfigError: the name 'battery' is taken"]


def test_settings_for_a_plugin_that_is_not_there_are_said(caplog: pytest.LogCaptureFixture) -> None:
    load_sensors(AgentConfig(sensors={"batery": {}}), (), [Point("battery", Battery)])
    assert "[sensors.batery] in the settings belongs to no installed plugin" in caplog.text


def test_proximity_and_encoder_are_installed_plugins() -> None:
    found = {point.name: point.load() for point in metadata.entry_points(group=GROUP)}
    assert {"proximity", "encoder"} <= found.keys()


class Scripted:
    """Does what the script says, one step a read; then it is well for ever."""

    info = StreamInfo(name="scripted", title="Scripted", unit="V", period_s=0.001)

    def __init__(self, *script: Exception | Callable[[], object]) -> None:
        self._script = list(script)
        self.closed = False

    def read(self) -> Scan | Odometry:
        if self.closed:
            raise HardwareError("closed")
        time.sleep(0.001)
        if self._script:
            step = self._script.pop(0)
            if isinstance(step, Exception):
                raise step
            return step()  # type: ignore[return-value]  # that is the point
        return SCAN

    def close(self) -> None:
        self.closed = True


class Bench:
    """A runner with what it published and told."""

    def __init__(self, sensor: Scripted) -> None:
        self.published: list[tuple[str, Scan | Odometry]] = []
        self.told: list[Event] = []
        self._progress = threading.Condition()
        self.runner = SensorRunner(sensor, self._publish, self._tell, first_retry_s=0.001)
        self.runner.start()

    def _publish(self, name: str, measurement: Scan | Odometry) -> None:
        encode(measurement)
        with self._progress:
            self.published.append((name, measurement))
            self._progress.notify()

    def _tell(self, event: Event) -> None:
        with self._progress:
            self.told.append(event)
            self._progress.notify()

    def until(self, condition: Callable[[], object]) -> None:
        with self._progress:
            assert self._progress.wait_for(condition, 10), (
                f"told {self.told}, published {len(self.published)}"
            )


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(*script: Exception | Callable[[], object]) -> Bench:
        made.append(Bench(Scripted(*script)))
        return made[-1]

    yield make
    for one in made:
        one.runner.stop()


def test_measurements_are_published_under_the_sensors_name(bench: Callable[..., Bench]) -> None:
    running = bench()
    running.until(lambda: len(running.published) >= 3)
    assert running.published[0] == ("scripted", SCAN)
    assert running.told == []
    assert running.runner.info.state == "ok"


UNSENDABLE = Scan(readings=(object(),))  # type: ignore[arg-type]  # as a numpy.float32 would be


def leave() -> object:
    raise SystemExit


@pytest.mark.parametrize(
    "wrong", [OSError("bus error"), lambda: None, lambda: 3.7, lambda: UNSENDABLE, leave]
)
def test_a_read_that_fails_is_told_once_retried_and_told_when_well(
    bench: Callable[..., Bench], wrong: Exception | Callable[[], object]
) -> None:
    running = bench(wrong, wrong, wrong)
    running.until(lambda: running.published)
    fault, back = running.told
    assert (fault.severity, fault.kind) == (Severity.WARNING, "sensor_fault")
    assert "Sensor scripted fails: " in fault.text
    assert (back.severity, back.kind) == (Severity.INFO, "sensor_back")
    assert running.runner.info.state == "ok"


def test_a_failing_sensor_says_so_in_its_description(bench: Callable[..., Bench]) -> None:
    running = bench(*[OSError("bus error")] * 50)
    running.until(lambda: running.told)
    assert running.runner.info.state == "fails: OSError: bus error"


def test_a_read_that_hangs_is_told_once_and_described(bench: Callable[..., Bench]) -> None:
    hang = threading.Event()
    running = bench(hang.wait)
    now = time.monotonic_ns()
    running.runner.watch(now + 900_000_000)
    assert running.told == []
    running.runner.watch(now + 1_100_000_000)
    running.runner.watch(now + 2_000_000_000)
    assert [event.kind for event in running.told] == ["sensor_stalled"]
    assert running.runner.info.state == "hangs, no measurement comes"
    hang.set()
    running.until(lambda: running.published)
    assert running.told[-1].kind == "sensor_back"


def test_a_sensor_that_fails_to_close_keeps_nothing_else_from_ending() -> None:
    class Sticking(Scripted):
        def close(self) -> None:
            raise OSError("bus error")

    running = Bench(Sticking(lambda: SCAN))
    running.runner.stop()
    running.runner.stop()


def test_stopping_closes_the_sensor_even_if_it_hangs() -> None:
    hang = threading.Event()
    sensor = Scripted(hang.wait)
    running = Bench(sensor)
    running.runner.stop()
    running.runner.stop()
    assert sensor.closed
    hang.set()
