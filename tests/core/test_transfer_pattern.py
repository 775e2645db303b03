"""A regex from a peer: means what re means, and costs little."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_core.transfer.pattern import MAX_PATTERN_CHARS, MAX_STEPS, BadPattern, Pattern

NAMES = ["/var/log/a.ERROR.log", "/var/log/b", "D:\\logs\\RFIN703235761L", "/x/é ü", "/x/\udcff", "", "/a\nb"]


@pytest.mark.parametrize(
    "pattern",
    [
        ".+ERROR.log",
        ".+RFIN703235761L",
        "/var",
        "log",
        "",
        r".*\.log$",
        r"(?i).*error",
        r".*[éü]",
        r"(/[^/]+)+$",
        r".*\w{3}\.(log|txt)$",
        r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}_\d{4}-\d{2}-\d{2}|/x",
        r"(?s)/a.b",
        r"(?P<letter>/.)(?=ar)",
    ],
)
def test_it_matches_what_re_matches(pattern: str) -> None:
    ours = Pattern(pattern)
    assert [ours.matches(name) for name in NAMES] == [bool(re.match(pattern, name)) for name in NAMES]


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "not a regex"),
        ("a{2}{3}", "not a regex"),
        ("(?R)", "not a regex"),  # what only `regex` knows
        ("(" * 400 + ")" * 400, "not a regex"),
        ("a{99999999999999999999}", "not a regex"),
        ("a" * (MAX_PATTERN_CHARS + 1), "limit 1000"),
        ("((a{1000}){1000}){1000}", "repeats things"),
        ("(?:(?:.?){400}){400}", "repeats things"),
        (f"a{{{MAX_STEPS}}}", "repeats things"),
        ("(?x)((a{1000}) {1000}) {1000}", "comments"),
        ("((a{1000})(?#x){1000})(?#x){1000}", "comments"),
    ],
)
def test_what_is_none_or_costs_too_much_is_refused_at_once(pattern: str, why: str) -> None:
    began_s = time.process_time()
    with pytest.raises(BadPattern, match=why):
        Pattern(pattern)
    assert time.process_time() - began_s < 1


def test_a_match_without_end_is_stopped() -> None:
    slow = Pattern("(.*?,){30}P", budget_s=0.05)
    with pytest.raises(BadPattern, match=r"longer than 0\.05 s"):
        slow.matches("," * 200)


def test_the_time_is_for_all_names_together() -> None:
    slow = Pattern("(.*?,){30}P", budget_s=0.05)
    with pytest.raises(BadPattern):
        for _ in range(100_000):
            slow.matches("," * 31)  # about 0.1 ms each


@pytest.mark.filterwarnings("ignore:Possible (nested set|set):FutureWarning")
@given(st.text(alphabet="ab(){}[]0123456789,\\|?*+.^$", max_size=60))
def test_noise_is_a_pattern_or_is_refused(noise: str) -> None:
    try:
        ours = Pattern(noise, budget_s=0.02)
        ours.matches("/var/log/abab01")
    except BadPattern:
        return
    assert re.compile(noise)


@pytest.mark.slow
def test_the_largest_pattern_that_is_taken_stays_within_100_mb() -> None:
    """In a process of its own: what is freed is not always given back."""
    sizes = [
        subprocess.run(
            [
                sys.executable,
                "-c",
                "import resource, sys; from pynet_core.transfer.pattern import *;"
                "Pattern(sys.argv[1]).matches('a' * 500);"
                "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)",
                pattern,
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
        ).stdout
        for pattern in ("a", "(?:(?:a?){50}){100}", f"(?:a|b){{{MAX_STEPS // 20}}}", f"a{{{MAX_STEPS - 20}}}")
    ]
    plain, *others = (int(size) for size in sizes)  # KiB
    assert max(others) - plain < 100 * 1024
