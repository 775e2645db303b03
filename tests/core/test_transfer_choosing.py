"""Which files are meant: gitignore's patterns and ages; and how fast they may go."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_core.transfer.bucket import BURST_S, TokenBucket
from pynet_core.transfer.choosing import Choice, choice, instant_ns
from pynet_core.transfer.options import FileKind, Found

HOUR_NS = 3600 * 10**9
NOW_NS = 1_700_000_000 * 10**9
TREE = [
    "top.txt",
    "a/top.txt",
    "a/x.log",
    "a/keep.log",
    "a/build/x.o",
    "build/y.o",
    "deep/er/z.log",
    "odd name",
]


def found(path: str, kind: FileKind = "file", mtime_ns: int = NOW_NS) -> Found:
    return Found(path, kind, 1, mtime_ns, 0o644)


def chosen(select: Choice, paths: list[str]) -> list[str]:
    """As a walk would: nothing below a folder that is not wanted."""
    taken = []
    for path in paths:
        steps = path.split("/")
        above = ["/".join(steps[:count]) for count in range(1, len(steps))]
        if all(select(found(folder, "folder")) for folder in above) and select(found(path)):
            taken.append(path)
    return taken


@pytest.mark.parametrize(
    "patterns",
    [
        ["*.log"],
        ["*.log", "!keep.log"],
        ["build/"],
        ["/build/"],
        ["/top.txt"],
        ["a/**/x.*"],
        ["**/er"],
        ["# a comment", "", "odd\\ name"],
        ["[a-b]/"],
    ],
)
def test_what_is_left_out_is_what_git_leaves_out(tmp_path: Path, patterns: list[str]) -> None:
    (tmp_path / ".gitignore").write_text("\n".join(patterns))
    git = ["git", "-C", str(tmp_path), "-c", "core.excludesFile="]
    try:
        subprocess.run([*git, "init", "-q"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.skip(f"needs git: {exc}")
    for path in TREE:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    asked = [*git, "ls-files", "--others", "--exclude-standard", "-z"]
    kept = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split("\0")
    assert chosen(Choice(exclude=patterns), TREE) == [path for path in TREE if path in kept]


def test_only_what_is_included_and_not_excluded_is_meant_and_folders_are_gone_into() -> None:
    select = Choice(["*.log"], ["keep.*", "deep/"])
    assert chosen(select, TREE) == ["a/x.log"]
    assert chosen(Choice(["*.log"]), TREE) == ["a/x.log", "a/keep.log", "deep/er/z.log"]


def test_ages_are_bounds_that_no_file_on_them_passes() -> None:
    select = Choice(newer_ns=NOW_NS - HOUR_NS, older_ns=NOW_NS)
    ages = {
        age: select(found("x", mtime_ns=NOW_NS - age)) for age in (0, 1, HOUR_NS - 1, HOUR_NS, 2 * HOUR_NS)
    }
    assert ages == {0: False, 1: True, HOUR_NS - 1: True, HOUR_NS: False, 2 * HOUR_NS: False}
    assert select(found("x", "folder", 0)), "an old folder may hold new files"


def test_no_wish_chooses_nothing() -> None:
    assert choice((), (), None, None) is None
    assert choice((), (), 0, None) is not None


def test_one_pattern_without_its_list_is_refused_for_its_star_would_mean_all() -> None:
    with pytest.raises(TypeError, match=r"patterns are a list, got '\*\.log'"):
        Choice("*.log")
    with pytest.raises(TypeError, match=r"patterns are a list, got '\*\.log'"):
        Choice(exclude="*.log")


@pytest.mark.parametrize("pattern", ["!", "[z-a]", "\\"])
def test_a_pattern_that_is_none_is_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of gitignore's") as raised:
        Choice(exclude=["*.log", pattern])
    assert repr(pattern) in str(raised.value)


@pytest.mark.parametrize(
    ("text", "ago_s"), [("90s", 90), ("15m", 900), ("12h", 43200), (" 1.5d ", 129600), ("2w", 1209600)]
)
def test_an_age_is_so_long_before_now(text: str, ago_s: int) -> None:
    assert instant_ns(text, NOW_NS) == NOW_NS - ago_s * 10**9


def test_a_date_is_ours_unless_it_has_a_zone() -> None:
    assert instant_ns("2026-01-31T12:00", NOW_NS) == datetime(2026, 1, 31, 12).timestamp() * 10**9
    assert instant_ns("1970-01-02T00:00Z", NOW_NS) == 86400 * 10**9


@pytest.mark.parametrize("text", ["", "soon", "3x", "-3d", "2026-13-01", "٣d x"])
def test_what_is_no_time_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="neither an age like 90s"):
        instant_ns(text, NOW_NS)


@given(
    rate=st.integers(1, 10**9),
    pieces=st.lists(st.tuples(st.integers(0, 10**7), st.integers(0, 10**9)), max_size=50),
)
def test_no_more_passes_than_the_rate_and_one_burst(rate: int, pieces: list[tuple[int, int]]) -> None:
    """Whoever waits as told has had, at each moment, no more than the limit allows."""
    bucket = TokenBucket(rate)
    now_ns, sent = 0, 0
    for count, pause_ns in pieces:
        # What was sent before this piece is within the limit; the piece itself is paid for after it.
        assert sent <= rate * BURST_S + rate * now_ns / 1e9 + rate / 1e9 + 1
        wait_ns = bucket.take(count, now_ns)
        sent += count
        now_ns += wait_ns + pause_ns


def test_a_bucket_lets_through_what_it_says() -> None:
    bucket = TokenBucket(1_000_000, burst_bytes=0)
    now_ns = 0
    for _ in range(100):
        now_ns += bucket.take(50_000, now_ns)
    assert now_ns == pytest.approx(5 * 10**9)


@pytest.mark.parametrize("rate", [0, -1, float("nan")])
def test_a_limit_that_lets_nothing_through_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="more than 0"):
        TokenBucket(rate)
