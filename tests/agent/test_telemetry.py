"""pi_agent.telemetry: every number that a sensor measures, on one pair."""

from __future__ import annotations

import threading

from pi_agent.telemetry import ODOMETRY_UNITS, Telemetry, readings_of
from pynet_car.messages import Odometry, Reading, ReadingState, Scan, decode
from pynet_core.controller import Controller
from pynet_core.gateway import Gateway

ODOMETRY = Odometry(
    seq=7,
    captured_ns=5,
    left_ticks=98,
    right_ticks=100,
    distance_m=1.01,
    x_m=1.0,
    y_m=0.1,
    heading_rad=0.2,
    velocity_mps=0.5,
    yaw_rate_radps=-0.1,
    state=ReadingState.STALE,
)


def head(channel: str, value: float) -> Reading:
    return Reading(channel=channel, seq=1, captured_ns=3, value=value, unit="m", state=ReadingState.OK)


def test_each_head_is_a_channel_of_its_sensor() -> None:
    scan = Scan(readings=(head("front", 1.5), head("back", 2.5)))
    assert [(each.channel, each.value) for each in readings_of("proximity", scan)] == [
        ("proximity/front", 1.5),
        ("proximity/back", 2.5),
    ]


def test_each_number_of_the_odometry_is_a_channel_with_its_unit_and_state() -> None:
    readings = {each.channel: each for each in readings_of("encoder", ODOMETRY)}
    numbers = set(Odometry.__struct_fields__) - {"seq", "captured_ns", "state"}
    assert set(readings) == {f"encoder/{name}" for name in numbers}
    assert numbers == set(ODOMETRY_UNITS)
    speed = readings["encoder/velocity_mps"]
    assert (speed.value, speed.unit, speed.seq, speed.captured_ns) == (0.5, "m/s", 7, 5)
    assert speed.state is ReadingState.STALE


def test_one_pair_carries_the_newest_of_every_channel() -> None:
    telemetry = Telemetry()
    gateway = Gateway(0)
    gateway.add_subroutine("telemetry", telemetry.feed, keep="latest", keyed=True)
    got: dict[str, Reading] = {}
    idents: dict[str, set[int]] = {}
    whole = threading.Event()

    def on_item(_name: str, ident: int, body: bytes) -> None:
        reading = decode(body, Reading)
        got[reading.channel] = reading
        idents.setdefault(reading.channel, set()).add(ident)
        if got.get("proximity/front", head("", 0)).value == 99 and len(got) == 2 + len(ODOMETRY_UNITS):
            whole.set()

    with gateway, Controller(port=gateway.port).get_client() as client:
        client.subscribe("telemetry", on_item)
        for _ in range(500):
            if telemetry.feed.is_heard:
                break
            threading.Event().wait(0.01)
        telemetry.put("encoder", ODOMETRY)
        for number in range(100):
            telemetry.put("proximity", Scan(readings=(head("front", number), head("back", -number))))
        assert whole.wait(10)
        telemetry.feed.close()
    assert got["proximity/back"].value in (-98, -99)
    assert all(len(each) == 1 for each in idents.values()), "a channel keeps its ident"
    assert len({min(each) for each in idents.values()}) == len(idents), "and shares it with no other"
