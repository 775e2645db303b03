"""Thin, busy and poor links, in short: `./run bench links` is the long form, with figures."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.links import BUSY, THIN, main, page
from benchmarks.road.driving import Driven, car_on, drive
from benchmarks.road.figures import Figure, medians, percentile, tables
from benchmarks.road.link import Road, road
from benchmarks.road.looking import look
from benchmarks.road.ways import TWO_PAIRS
from pynet_core import channel
from pynet_core.client import Client
from pynet_core.controller import Controller
from pynet_core.errors import PynetError
from pynet_core.gateway import Gateway
from pynet_core.keys import Identity
from tests.system.link import inside
from tests.system.two_machines import NoNamespaces

SECRET = "a secret of these tests, and of nothing else"


@pytest.fixture
def where() -> Iterator[Road]:
    try:
        with road(BUSY) as made:
            yield made
    except NoNamespaces as exc:
        pytest.skip(str(exc))


def ping_beside(client: Client, seconds: float) -> float:
    """The median round trip in ms, after half a second."""
    time.sleep(0.5)
    end_s = time.monotonic() + seconds
    took = []
    while time.monotonic() < end_s:
        took.append(client.ping().rtt_ns / 1e6)
        time.sleep(0.02)
    return statistics.median(took)


@pytest.mark.system
@pytest.mark.root
def test_downloads_leave_room_on_a_thin_link_and_what_does_not_yield_leaves_none(
    where: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(bytes(20_000_000))
    identity = Identity.from_secret(SECRET)

    def wait_beside_files(gateway: Gateway, name: str) -> float:
        controller = Controller(where.host, gateway.port, str(tmp_path / name), identity=identity)
        with controller.get_client(purpose="control") as asking, controller.get_client() as moving:

            def move() -> None:
                with pytest.raises(PynetError):
                    moving.get_files_from_gateway(files=[source])

            mover = threading.Thread(target=move)
            mover.start()
            took_ms = ping_beside(asking, 1.0)
            moving.abort()
            mover.join()
        return took_ms

    with inside(where.robot):
        gateway = Gateway(0, identity=identity)
        gateway.start()
    try:
        with inside(where.driver):
            ours_ms = wait_beside_files(gateway, "ours")
            time.sleep(1.0)  # what is left in the queue
            monkeypatch.setattr(channel, "pacer_for", lambda sock: None)
            greedy_ms = wait_beside_files(gateway, "greedy")
    finally:
        gateway.stop()
    assert ours_ms < greedy_ms / 2


@pytest.mark.system
@pytest.mark.root
def test_pictures_on_a_link_too_thin_for_them_are_young(where: Road) -> None:
    where.link.shape(THIN)
    ours, fifo = (percentile(look(name, Path(sys.executable), where, 2.0), 0.9) for name in ("pynet", "fifo"))
    assert ours < fifo / 2


@pytest.fixture
def car(where: Road) -> Iterator[Driven]:
    with car_on(where) as car:
        yield car


@pytest.mark.system
@pytest.mark.root
def test_commands_do_not_wait_behind_an_upload(car: Driven) -> None:
    ages_ms = {}
    for greedy in (False, True):
        with car.operator(TWO_PAIRS) as operator, car.uploading(greedy=greedy):
            ages_ms[greedy] = statistics.median(drive(operator, 2.0, settle_s=1.0).ages_ms)
    assert ages_ms[False] < ages_ms[True] / 2


# The benchmark itself


FIGURES = [
    Figure("Far", "ours", {"p99 ms": 10.0, "trips": 0}),
    Figure("Far", "ours", {"p99 ms": 30.04, "trips": 4}),
    Figure("Far", "theirs", {"p99 ms": 1234.5, "trips": 9}),
    Figure("Thin", "ours", {"pictures/s": 15.0}),
]


def test_each_contestant_has_the_medians_of_its_rounds() -> None:
    assert medians(FIGURES)[0] == Figure("Far", "ours", {"p99 ms": 20.02, "trips": 2})
    assert len(medians(FIGURES)) == 3


def test_each_scene_is_a_table_of_its_own_in_a_page_that_names_its_command() -> None:
    shown = tables(medians(FIGURES))
    assert "| theirs |   1234 |     9 |" in shown.replace("1235", "1234")
    assert shown.count("### ") == 2
    text = page(medians(FIGURES), "./run bench links --peers --write")
    assert "\n    ./run bench links --peers --write\n" in text
    assert shown in text


def test_without_namespaces_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.nice", _no_nicer)
    with pytest.raises(SystemExit, match="links: needs root"):
        main(["--rounds", "1"])


def _no_nicer(increment: int) -> int:
    raise PermissionError
