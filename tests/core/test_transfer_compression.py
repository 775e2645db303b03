"""What shrinks travels small where the link is slow; bytes that lie about themselves are refused."""

from __future__ import annotations

import os
import random
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynet_core.transfer.compression import (
    CODECS,
    MIN_BYTES,
    SLOW_BYTES_PER_S,
    STEPS,
    WINDOW_S,
    Advisor,
    Effort,
    NotCompressed,
    agree_codec,
    squeezed,
)
from pynet_core.transfer.options import Compress

TEXT = b"2026-01-01 12:00 INFO a line like many others\n" * 3000
NOISE = os.urandom(len(TEXT))


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.binary(max_size=2000), repeat=st.integers(1, 50), step=st.integers(0, STEPS - 1))
def test_what_was_compressed_comes_back(codec: str, data: bytes, repeat: int, step: int) -> None:
    data *= repeat
    level = CODECS[codec].levels[step]
    assert CODECS[codec].decompress(CODECS[codec].compress(data, level), len(data)) == data


@pytest.mark.parametrize("codec", CODECS)
@given(data=st.binary(max_size=300), size=st.integers(0, 1000))
def test_noise_is_refused_or_has_the_length_that_was_said(codec: str, data: bytes, size: int) -> None:
    try:
        made = CODECS[codec].decompress(data, size)
    except NotCompressed:
        return
    assert len(made) == size


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("size", [0, 1, len(TEXT) - 1, len(TEXT) + 1, 2**40])
def test_bytes_that_stand_for_more_or_less_than_was_said_are_refused(codec: str, size: int) -> None:
    with pytest.raises(NotCompressed):
        CODECS[codec].decompress(CODECS[codec].compress(TEXT, 1), size)


def test_a_bomb_takes_no_more_memory_than_was_said() -> None:
    bomb = zlib.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(NotCompressed):
        CODECS["zlib"].decompress(bomb, 1000)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("codec", CODECS)
def test_bytes_cut_short_are_refused(codec: str) -> None:
    with pytest.raises(NotCompressed):
        CODECS[codec].decompress(CODECS[codec].compress(TEXT, 1)[:-3], len(TEXT))


@pytest.mark.parametrize("codec", CODECS)
def test_text_is_squeezed_and_noise_and_crumbs_are_not(codec: str) -> None:
    made = squeezed(codec, memoryview(TEXT))
    assert made is not None
    assert len(made) < len(TEXT) / 3
    assert CODECS[codec].decompress(made, len(TEXT)) == TEXT
    assert squeezed(codec, NOISE) is None
    assert squeezed(codec, NOISE[:1000]) is None
    assert squeezed(codec, TEXT[: MIN_BYTES - 1]) is None


def test_a_piece_that_begins_with_noise_is_judged_by_all_of_it() -> None:
    mixed = NOISE[:20_000] + TEXT
    assert squeezed("zlib", mixed) is not None


@pytest.mark.parametrize("codec", CODECS)
def test_more_work_makes_it_smaller(codec: str) -> None:
    chance, words = random.Random(7), b"GET POST index timeout retry user session ok".split()
    lines = [b" ".join([*chance.choices(words, k=6), b"%x" % chance.getrandbits(32)]) for _ in range(10_000)]
    sizes = [len(squeezed(codec, b"\n".join(lines), step) or b"") for step in (0, STEPS - 1)]
    assert 0 < sizes[1] < sizes[0]


def pieces_made(effort: Effort, share: float, count: int, now_s: float = 100.0) -> int:
    """Steps after so many pieces, of which each takes this share of the time."""
    for number in range(count):
        effort.made(now_s + number - share, now_s + number)
    return effort.step


def test_a_slow_link_is_compressed_for_as_hard_as_there_is_time_for() -> None:
    effort = Effort()
    assert pieces_made(effort, 0.05, 10) == STEPS - 1
    assert pieces_made(effort, 0.4, 10, 200.0) == STEPS - 1, "there is time for it"


def test_where_compressing_is_what_takes_the_time_less_is_done_of_it() -> None:
    effort = Effort()
    assert pieces_made(effort, 0.9, 10) == 0
    assert pieces_made(effort, 0.1, 2, 200.0) > 0, "the link has become slow"


def advisor_of(mode: Compress) -> Advisor:
    advisor = Advisor(mode)
    advisor.agree(["zlib"])
    return advisor


def rates_seen(advisor: Advisor, bytes_per_s: float, seconds: float, now_s: float = 100.0) -> str:
    step_s = 0.01
    for number in range(int(seconds / step_s)):
        advisor.come(int(bytes_per_s * step_s), now_s + number * step_s)
    return advisor.codec


def test_a_slow_link_is_asked_to_compress_from_the_first_piece_on() -> None:
    advisor = advisor_of("auto")
    assert advisor.codec == "zlib"
    assert rates_seen(advisor, SLOW_BYTES_PER_S / 2, 2.0) == "zlib"


def test_a_fast_link_is_left_alone_after_a_window_and_asked_again_when_it_slows_down() -> None:
    advisor = advisor_of("auto")
    assert rates_seen(advisor, SLOW_BYTES_PER_S * 2, 2 * WINDOW_S) == ""
    assert rates_seen(advisor, SLOW_BYTES_PER_S / 2, 3 * WINDOW_S, now_s=101.0) == "zlib"


def test_always_and_never_mean_it() -> None:
    assert rates_seen(advisor_of("always"), 1e9, 1.0) == "zlib"
    assert rates_seen(advisor_of("never"), 1e3, 1.0) == ""
    assert Advisor("always").codec == "", "nothing was agreed on"


def test_ends_agree_on_the_best_codec_that_both_have() -> None:
    assert agree_codec(["nobody's", *reversed(CODECS)]) == next(iter(CODECS))
    assert agree_codec(["nobody's"]) == ""
