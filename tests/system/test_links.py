"""Thin, busy and poor links, in short: `./run bench links` is the long form, with figures."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.links import (
    BUSY,
    OURS,
    PICTURES,
    POOR,
    THIN,
    UPLOAD,
    YIELDS,
    estimate_s,
    goals_of,
    main,
    section,
)
from benchmarks.road.driving import Driven, car_on, drive
from benchmarks.road.figures import MOST_TRIPS, TRIPS, Figure, medians, percentile, tables
from benchmarks.road.goals import goals
from benchmarks.road.link import Road, road
from benchmarks.road.looking import look
from benchmarks.road.urgency import NICE, urgent
from benchmarks.road.ways import TWO_PAIRS
from pynet_core import connection
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
@pytest.mark.shared
@pytest.mark.root
def test_downloads_leave_room_on_a_thin_link_and_what_does_not_yield_leaves_none(
    where: Road, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.bin"
    source.write_bytes(os.urandom(20_000_000))  # what is alike takes no link
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
            monkeypatch.setattr(connection, "pacer_for", lambda sock: None)
            greedy_ms = wait_beside_files(gateway, "greedy")
    finally:
        gateway.stop()
    assert ours_ms < greedy_ms / 2


@pytest.mark.system
@pytest.mark.shared
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
@pytest.mark.shared
@pytest.mark.root
def test_commands_do_not_wait_behind_an_upload(car: Driven) -> None:
    ages_ms = {}
    for greedy in (False, True):
        with car.operator(TWO_PAIRS) as operator, car.uploading(greedy=greedy):
            ages_ms[greedy] = statistics.median(drive(operator, 2.0, settle_s=1.0).ages_ms)
    assert ages_ms[False] < ages_ms[True] / 2


# The benchmark itself


FIGURES = [
    Figure("Far", "ours", {"p99 ms": 10.0, TRIPS: 0}),
    Figure("Far", "ours", {"p99 ms": 30.04, TRIPS: 4}),
    Figure("Far", "theirs", {"p99 ms": 1234.5, TRIPS: 9}),
    Figure("Thin", "ours", {"pictures/s": 15.0}),
]


def test_each_contestant_has_the_medians_of_its_rounds_and_its_worst_turn() -> None:
    assert medians(FIGURES)[0] == Figure("Far", "ours", {"p99 ms": 20.02, TRIPS: 2, MOST_TRIPS: 4})
    assert len(medians(FIGURES)) == 3


def test_each_scene_is_a_table_of_its_own_under_the_goals_and_the_command() -> None:
    shown = tables(medians(FIGURES))
    assert "| theirs |   1234 |              9 |              9 |" in shown.replace("1235", "1234")
    assert shown.count("### ") == 2
    text = section(medians(FIGURES), goals_of(60.0), "./run bench links --page", 5)
    assert text.startswith("`./run bench links --page`, 2")
    assert "medians of 5 rounds" in text
    assert "| age of pictures, p99, ms | <= 120 | - | not measured |" in text
    assert shown in text


def shown_goals(*figures: Figure, loss_seconds: float = 60.0) -> list[str]:
    return list(goals(goals_of(loss_seconds), figures))[2:]


def test_a_goal_of_links_is_met_by_what_was_measured_and_by_nothing_else() -> None:
    assert [
        shown_goals(Figure(PICTURES, OURS, {"p99 ms": age_ms}))[0].partition("<= 120 | ")[2]
        for age_ms in (96.24, 120.04, 120.3)
    ] == ["96.2 | met |", "120 | met |", "120.3 | **missed** |"]
    beside = shown_goals(Figure(UPLOAD, YIELDS, {"p99 ms": 90.0}))[1]
    assert beside.endswith("| <= 60 | 70 | **missed** |")  # 10 ms each way


def test_trips_of_a_shorter_turn_are_counted_for_60_s() -> None:
    poor = Figure(POOR.format(5, 30.0), TWO_PAIRS, {TRIPS: 3})
    assert shown_goals(poor, loss_seconds=30.0)[3].endswith("| <= 5 | 6 | **missed** |")


def test_what_a_run_takes_is_told_before() -> None:
    whole_s = estimate_s(rounds=5, seconds=10.0, loss_seconds=60.0, peers=True)
    assert 30 * 60 < whole_s < 45 * 60
    assert estimate_s(rounds=1, seconds=10.0, loss_seconds=0.0, peers=False) < 2 * 60


@pytest.mark.root
@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel has no autogroups")
@pytest.mark.skipif(bool(os.geteuid()), reason="needs root")
def test_what_is_measured_goes_before_other_sessions_and_no_longer_than_it_is() -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        group = Path(f"/proc/{other.pid}/autogroup")
        before = group.read_text()
        with urgent(other.pid):
            assert group.read_text().endswith(f" nice {NICE}\n")
        assert group.read_text() == before
        other.kill()
    with urgent(other.pid):
        pass  # it has gone, which is no error


def test_without_namespaces_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.nice", _no_nicer)
    with pytest.raises(SystemExit, match="links: needs root"):
        main(["--rounds", "1"])


def _no_nicer(increment: int) -> int:
    raise PermissionError
