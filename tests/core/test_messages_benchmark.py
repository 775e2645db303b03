"""benchmarks.messages: every contestant does every test, and one that cannot is left out and named."""

from __future__ import annotations

import argparse
import json
import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from benchmarks import messages
from benchmarks.contestants import BINS, bin_of
from benchmarks.marks import END, placed
from benchmarks.messages import ALL, REGULAR, TESTS, Contestant, contestants_with, main, measure, peers_named
from benchmarks.messages_figures import GOALS, Figure, goals, lead, under_tls
from benchmarks.messages_page import BEGIN, GOALS_BEGIN, conditions, section
from benchmarks.messages_pictures import leads, spreads, strip
from benchmarks.peers import PACKAGES


@pytest.fixture(autouse=True)
def short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "TURN_S", 0.01)


@pytest.mark.system
@pytest.mark.shared
def test_each_test_has_a_figure_of_each_contestant_and_raw_leads_by_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    main(["--rounds", "1", "--json"])
    figures = [Figure(**found) for found in json.loads(capsys.readouterr().out)]
    assert [(each.test, each.contestant) for each in figures] == [
        (test.name, name) for test in TESTS for name in ("raw", "pynet", "pynet TLS")
    ]
    for each in figures:
        assert each.value > 0
        assert each.lead > 0
        assert each.contestant != "raw" or each.lead == 1
        assert 0 <= each.p50_us <= each.p99_us
        assert (each.p99_us > 0) == (sum(each.counts) > 0) == (each.unit == "us")
        assert len(each.rounds) == 1


# Guards against growing slow: far from what is measured, for the machine is not ours alone; and the best of
# several rounds, for whatever else runs here only makes things worse.


def best_rounds(name: str, rounds: int = 7) -> tuple[float, float]:
    """pynet by raw sockets in that test: the best ratio of results, and of CPU, over the rounds."""
    (test,) = (test for test in TESTS if test.name == name)
    with contestants_with() as (raw, pynet, _):
        pairs = [(raw.run(test), pynet.run(test)) for _ in range(rounds)]
    return (
        min(ours.result / theirs.result for theirs, ours in pairs),
        min(ours.cpu_us / max(theirs.cpu_us, 0.01) for theirs, ours in pairs if ours.cpu_us),
    )


@pytest.mark.system
@pytest.mark.skipif(sys.platform != "linux", reason="the CPU of another process is read from /proc")
def test_a_rush_of_small_items_takes_less_than_a_fifth_of_the_cpu_of_raw_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A twentieth when this was written; twice, before items were gathered."""
    monkeypatch.setattr(messages, "TURN_S", 0.2)
    _, cpu = best_rounds("64 B items", 3)
    assert cpu < 0.2


@pytest.mark.system
@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot pin to a core")
def test_a_round_trip_on_one_core_is_less_than_half_as_long_again_as_over_raw_sockets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """1.2 times when this was written, 1.6 before the hot path was cleared."""
    monkeypatch.setattr(messages, "TURN_S", 0.1)
    longer, _ = best_rounds("64 B round trip, same core")
    assert longer < 1.5


@pytest.mark.system
@pytest.mark.shared
def test_one_that_fails_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nobody = Contestant("nobody", Path(sys.executable), {}, str(tmp_path))
    with contestants_with() as (raw, *_), nobody:
        figures = measure([raw, nobody], 2, TESTS[:1])
    assert [each.contestant for each in figures] == ["raw"]
    assert "nobody failed at 64 B round trip, same core: " in capsys.readouterr().err


def test_one_that_hangs_now_and_then_is_tried_again(tmp_path: Path) -> None:
    tries = 0

    class Shaky(Contestant):
        def run(self, test: messages.Test) -> messages.Turn:
            nonlocal tries
            tries += 1
            if tries % messages.TRIES:
                raise messages.Failed("it hung")
            return messages.Turn(5.0, 1.0)

    (figure,) = measure([Shaky("shaky", Path(sys.executable), {}, str(tmp_path))], 2, TESTS[:1])
    assert figure.value == 5.0
    assert tries == 2 * messages.TRIES


def test_a_lead_is_how_many_times_better() -> None:
    (round_trip,) = (test for test in TESTS if test.name == "64 B round trip, any core")
    (stream,) = (test for test in TESTS if test.name == "64 B items")
    assert round_trip.lead(10.0, 20.0) == 2
    assert stream.lead(10.0, 20.0) == 0.5


def test_peers_are_the_regular_ones_all_or_those_named() -> None:
    assert peers_named("regular") == REGULAR
    assert peers_named("all") == ALL
    assert peers_named("rpyc,zenoh,rpyc") == ("rpyc", "zenoh")
    with pytest.raises(argparse.ArgumentTypeError, match=r"'zeromq'; there are: pyzmq, pynetwork, zenoh, "):
        peers_named("pyzmq,zeromq")


def test_each_peer_has_its_packages_and_its_file() -> None:
    for name in ALL:
        assert PACKAGES[name]
        assert (Path(messages.__file__).parent / f"contestants/{name}.py").is_file()


FIGURES = [
    Figure("64 B items", "raw", "/s", 370_000.0, 2.6, 0.0, 0.0, 1.0),
    Figure("64 B items", "pynet", "/s", 1_350_000.0, 0.5, 0.0, 0.0, 3.65),
    Figure("64 B round trip, busy", "raw", "us", 15.6, 15.0, 15.6, 80.0, 1.0),
    Figure("64 B round trip, busy", "pynet", "us", 18.8, 18.0, 18.8, 90.0, 0.83),
    Figure("64 B round trip, busy", "zenoh", "us", 160.0, 200.0, 160.0, 1234.5, 0.1),
]


def test_the_page_has_every_figure_and_a_dash_for_who_failed() -> None:
    said = section(FIGURES, "one sentence.")
    assert "| 64 B items, /s | 370,000 | 1,350,000 | - |" in said
    assert "| 64 B items | 1.00 | 3.65 | - |" in said
    assert "| 64 B items | 2.60 | 0.50 | - |" in said
    assert "| 64 B round trip, busy | 15.6 / 80.0 | 18.8 / 90.0 | 160 / 1,234 |" in said
    assert "one sentence." in said


def held(**rounds: list[float]) -> list[Figure]:
    """Items of 64 bytes, millions a second, of each contestant; `tls` is pynet under TLS."""
    names = {"tls": "pynet TLS"}
    return [
        Figure("64 B items", names.get(name, name), "/s", each[0] * 1e6, 1.0, 0.0, 0.0, 1.0, each)
        for name, each in rounds.items()
    ]


def goal_rows(figures: list[Figure], beginning: str) -> list[str]:
    return [line for line in goals(figures) if line.startswith(f"| {beginning}")]


def test_a_goal_is_met_by_what_was_measured_and_by_nothing_else() -> None:
    assert goal_rows(held(pynet=[1.3], tls=[1.1]), "items of 64 bytes") == [
        "| items of 64 bytes, million a second | >= 1.2 | 1.30 | met | 1.10 |"
    ]
    assert goal_rows(held(pynet=[1.19]), "items of 64 bytes") == [
        "| items of 64 bytes, million a second | >= 1.2 | 1.19 | **missed** | - |"
    ]
    assert goal_rows(held(pynet=[1.3]), "... times pynetwork") == [
        "| ... times pynetwork 2.4 | >= 80 | - | not measured | - |"
    ]
    assert list(goals(held(pynet=[1.3])))[-1] == f"1 met, 0 missed, {len(GOALS) - 1} not measured."


def test_a_goal_over_another_is_the_median_of_each_rounds_own_ratio() -> None:
    figures = held(pynet=[4.0, 2.0, 9.0], pyzmq=[1.0, 1.0, 3.0])
    assert lead(*figures) == 3.0
    assert goal_rows(figures, "... times pyzmq")[0] == "| ... times pyzmq | >= 3 | 3.00 | met | - |"


@pytest.mark.parametrize(("took_us", "verdict"), [(115.4, "met"), (116.0, "**missed**")])
def test_where_less_is_better_a_goal_is_a_limit_and_what_reads_as_it_is_met(
    took_us: float, verdict: str
) -> None:
    figures = [
        Figure(GOALS[0].test, name, "us", value, 1.0, value, value, 100 / value)
        for name, value in (("raw", 100.0), ("pynet", took_us))
    ]
    (row,) = goal_rows(figures, "round trip of 64 bytes")
    assert f"| <= 1.15 | {took_us / 100:.2f} | {verdict} |" in row


def test_every_goal_is_of_a_test_and_over_a_contestant_that_there_is() -> None:
    tests = {test.name for test in TESTS}
    assert {goal.test for goal in GOALS} <= tests
    assert {goal.over for goal in GOALS} - {""} <= {"raw", *REGULAR}


def test_what_tls_costs_is_told_against_raw_sockets_and_against_none() -> None:
    figures = held(pynet=[2.0, 4.0, 2.0], tls=[1.0, 1.0, 1.0])
    assert list(under_tls(figures))[2:] == ["| 64 B items | 1.00 | 0.50 | 1.00 |"]
    assert list(under_tls(held(pynet=[2.0])))[2:] == []


def test_times_are_counted_by_their_logarithm() -> None:
    assert [bin_of(time_us) for time_us in (0.0, 1.0, 9.99, 10.0, 1000.0, 5e6)] == [0, 0, 9, 10, 30, BINS - 1]
    counts = [0] * BINS
    counts[10], counts[11] = 100, 1
    assert strip(counts) == f"{' ' * 10}@.{' ' * (BINS - 12)}"
    figure = Figure("64 B round trip, busy", "pynet", "us", 12.0, 1.0, 12.0, 13.0, 1.0, counts=counts)
    drawn = ET.fromstring(spreads([figure]))
    (ridge,) = (each for each in drawn.iter("{http://www.w3.org/2000/svg}path") if each.get("fill"))
    assert ridge.get("d", "").count("H") == 4  # two bins
    assert "12.0 / 13.0" in {each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")}


def test_a_page_has_its_goals_above_and_its_tables_below() -> None:
    page = f"# Title\n{GOALS_BEGIN}\nold\n{END}\nby hand\n{BEGIN}\nold too\n{END}\n"
    assert placed(placed(page, "new\n", GOALS_BEGIN), "tables\n", BEGIN) == (
        f"# Title\n{GOALS_BEGIN}\n\nnew\n\n{END}\nby hand\n{BEGIN}\n\ntables\n\n{END}\n"
    )


def test_what_is_written_by_hand_stays_and_what_was_measured_before_goes() -> None:
    page = placed(f"# Title\n{BEGIN}\nold\n{END}\n## What misses\n", "new\n", BEGIN)
    assert page == f"# Title\n{BEGIN}\n\nnew\n\n{END}\n## What misses\n"
    assert placed(page, "new\n", BEGIN) == page
    assert placed("# Title\n", "new\n", BEGIN) == f"# Title\n{BEGIN}\n\nnew\n\n{END}\n"


def test_a_bar_goes_from_raw_sockets_to_the_lead() -> None:
    drawn = ET.fromstring(leads(FIGURES))
    bars = {
        each.get("fill"): (float(each.get("x", "")), float(each.get("width", "")))
        for each in drawn.iter("{http://www.w3.org/2000/svg}rect")
        if each.get("x")
    }
    words = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"pynet", "zenoh", "0.10", "3.65", "64 B items"} <= set(words)
    assert "raw" not in words
    pynet_x, pynet_width = bars["#0969da"]  # of the test it is worse in, drawn last
    zenoh_x, zenoh_width = bars["#1a7f37"]
    assert pynet_x + pynet_width == pytest.approx(zenoh_x + zenoh_width, abs=0.2)
    assert pynet_width < zenoh_width / 10


def test_the_page_says_where_and_when() -> None:
    said = conditions("./run bench messages ", 5, 1.25, {"pyzmq": "27.1"})
    assert said.startswith("`./run bench messages`, 20")
    assert "medians of 5 rounds" in said
    assert "load 1.2 before and " in said
    assert said.endswith(", pyzmq 27.1.")
