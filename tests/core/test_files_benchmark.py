"""benchmarks.files: what arrives is compared, who cannot is named, the page is what was measured."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks import files
from benchmarks.moving import workloads as all_workloads
from benchmarks.moving.common import CP
from benchmarks.moving.figures import BASE, Figure, table
from benchmarks.moving.goals import GOALS, Goal, goals
from benchmarks.moving.mover import Mover
from benchmarks.moving.ours import PYNET, RAW
from benchmarks.moving.page import FIGURES, FOLDER, drawn, load
from benchmarks.moving.trees import Tree, difference, look
from benchmarks.moving.workloads import Workload, workloads

SMALL = Tree("a few files", 150, 300_000, mixed=True)
linux = pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads /proc")


def figure(**changes: object) -> Figure:
    whole = Figure(
        workload="tiny",
        title="some files",
        mover="pynet",
        took_s=0.5,
        low_s=0.4,
        high_s=0.6,
        speed=1.5,
        cpu_move_s=0.1,
        cpu_serve_s=0.2,
        rounds=3,
        files=100,
        total_bytes=1_000_000,
        mtime="ns",
    )
    return dataclasses.replace(whole, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("workload", workloads(quick=True), ids=lambda one: one.key)
def test_a_tree_has_the_files_and_bytes_that_its_name_says(workload: Workload) -> None:
    sizes = workload.tree.sizes()
    assert len(sizes) == workload.tree.files
    assert sum(sizes) == workload.tree.total_bytes
    assert min(sizes) >= 0


def test_a_tree_is_the_same_each_time_and_has_no_file_twice(tmp_path: Path) -> None:
    for name in "ab":
        SMALL.make(tmp_path / name)
    found = look(tmp_path / "a")
    assert found == look(tmp_path / "b")
    assert len({digest for _, _, digest in found.files.values()}) == SMALL.files


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda path: path.unlink(), "1 of 150 files are missing"),
        (lambda path: path.write_bytes(b"!"), "has arrived with other bytes"),
        (lambda path: os.utime(path, ns=(0, 0)), "has arrived with another time"),
        (lambda path: (path.parent / "stray").touch(), "1 files too many, 000/stray is one"),
    ],
)
def test_what_has_not_arrived_as_it_was_is_seen(tmp_path: Path, spoil: object, said: str) -> None:
    for name in "ab":
        SMALL.make(tmp_path / name)
    source = look(tmp_path / "a")
    assert not difference(source, look(tmp_path / "b"), mtime="ns", one_file=False, flat=False)
    assert callable(spoil)
    spoil(tmp_path / "b/000/000007.log")
    assert said in difference(source, look(tmp_path / "b"), mtime="ns", one_file=False, flat=False)


@linux
@pytest.mark.system
@pytest.mark.shared
def test_each_contestant_is_measured_and_one_that_cannot_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    liar = Mover("liar", lambda job: ["touch", str(job.target / "nothing")])
    absent = Mover("absent", lambda job: [], lacks=lambda: "apt-get install absent")
    slow = Mover("slow", lambda job: ["sleep", "60"])
    workload = Workload("small", SMALL, (CP, PYNET, RAW, liar, absent, slow))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "LIMIT_S", 10.0)
        slow_free = dataclasses.replace(workload, movers=workload.movers[:-1])
        found = {one.mover: one for one in files.measure(slow_free, 2, tmp_path)}
        patch.setattr(files, "LIMIT_S", 0.2)
        (_, late) = files.measure(dataclasses.replace(workload, movers=(CP, slow)), 1, tmp_path)
    for mover in (CP, PYNET, RAW):
        assert found[mover.name].took_s > 0, found[mover.name].problem
        assert found[mover.name].rounds == 2
    assert found[CP.name].speed == 1
    assert found["liar"].problem == "150 of 150 files are missing"
    assert found["absent"].problem == "not here: apt-get install absent"
    assert late.problem == "more than 0.2 s"
    said = capsys.readouterr().err
    assert "small: liar is left out: 150 of 150 files are missing" in said
    assert "apt-get install absent" in said


def test_a_table_has_who_was_left_out_last() -> None:
    lines = table([figure(mover="nobody", problem="is not here"), figure()]).splitlines()
    assert lines[-2].split()[:4] == ["pynet", "0.500", "0.400-0.600", "1.50"]
    assert lines[-1].split("  ")[0] == "nobody"
    assert "is not here" in lines[-1]


def test_a_drawn_page_keeps_the_prose_and_has_a_row_and_a_bar_each() -> None:
    first = drawn([figure(), figure(mover="cp -r", speed=0.5)], "# Prose\n")
    again = drawn([figure(mover="other")], first["files.md"] + "the end\n")
    assert again["files.md"].startswith("# Prose\n")
    assert again["files.md"].endswith("the end\n")
    assert "| pynet |" not in again["files.md"]
    assert "| other |" in again["files.md"]
    assert first["files-speed.svg"].count("<rect") == 3


def test_pairs_are_drawn_as_a_line() -> None:
    group = [figure(mover=f"pynet {pairs} pairs", speed=pairs / 2) for pairs in (1, 2, 8)]
    assert drawn(group, "")["files-pairs.svg"].count("<circle") == 3


@pytest.mark.skipif(not FIGURES.exists(), reason="nothing was measured for the page yet")
def test_the_page_and_its_pictures_are_what_was_measured() -> None:
    page = (FOLDER / "files.md").read_text()
    for name, text in drawn(load(), page).items():
        assert (FOLDER / name).read_text() == text, "python -m benchmarks.moving.page"
    known = {one.key for one in all_workloads.workloads(quick=False)}
    assert {one["workload"] for one in json.loads(FIGURES.read_text())} <= known


def test_a_goal_is_met_by_what_was_measured_and_by_nothing_else() -> None:
    figures = [
        figure(),
        figure(mover="rsync daemon", took_s=0.75, low_s=0.8),
        figure(mover="pynet TLS", took_s=1.0, speed=0.75),
        figure(mover="cp -r", took_s=0.4, low_s=0.4),
    ]
    wanted = [Goal("tiny", BASE, 1.5), Goal("tiny", "cp -r", 0.9), Goal("huge", BASE, 1.8)]
    assert list(goals(wanted, figures)) == [
        ("some files", "rsync daemon", "1.5", "1.50", "2.00", "0.75", "met"),
        ("some files", "cp -r", "0.9", "0.80", "1.00", "0.40", "**missed**"),
        ("huge", "rsync daemon", "1.8", "-", "-", "-", "not measured"),
    ]


def test_every_goal_is_of_a_workload_and_of_those_who_take_part_in_it() -> None:
    movers = {one.key: {mover.name for mover in one.movers} for one in workloads(quick=False)}
    for goal in GOALS:
        assert {goal.mover, goal.other} <= movers[goal.workload]
