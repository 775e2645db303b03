"""pynet.backend2: conversions that scripts of pynetwork 2.4 rely on, and its print."""

from __future__ import annotations

import contextlib
import io
import math
import struct
import threading
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pynet.backend2 as bk
from pynet.backend2 import DataType

json_leaf = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
json_value = st.recursive(
    json_leaf, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)
VALUES: dict[DataType, st.SearchStrategy[Any]] = {
    DataType.char: st.binary(min_size=1, max_size=1),
    DataType.bool: st.booleans(),
    DataType.int: st.integers(-(2**31), 2**31 - 1),
    DataType.int_unsigned: st.integers(0, 2**32 - 1),
    DataType.long: st.integers(-(2**63), 2**63 - 1),
    DataType.long_unsigned: st.integers(0, 2**64 - 1),
    DataType.float: st.floats(width=32, allow_nan=False),
    DataType.double: st.floats(allow_nan=False),
    DataType.string: st.text(),
    DataType.list: st.lists(json_value),
    DataType.tuple: st.lists(json_value).map(tuple),
    DataType.dict: st.dictionaries(st.text(), json_value),
    DataType.none: st.none(),
}
typed_values = st.sampled_from(DataType).flatmap(lambda kind: st.tuples(st.just(kind), VALUES[kind]))


@given(typed_values)
def test_every_data_type_comes_back_as_it_was(pair: tuple[DataType, Any]) -> None:
    kind, value = pair
    back = bk.from_bytes(kind, bk.to_bytes(kind, value))
    assert back == value
    assert type(back) is type(value)


@given(st.integers(), st.integers(0, 12))
def test_an_int_comes_back_or_is_refused_by_length(i: int, size: int) -> None:
    fits = size > 0 and -(2 ** (8 * size - 1)) <= i < 2 ** (8 * size - 1)
    if fits or (i == 0 and size == 0):
        assert bk.bytes_to_int(bk.int_to_bytes(i, size)) == i
    else:
        with pytest.raises(OverflowError):
            bk.int_to_bytes(i, size)


@given(st.text())
def test_text_comes_back(text: str) -> None:
    assert bk.bytes_to_str(bk.str_to_bytes(text)) == text


@given(st.sampled_from(DataType), st.binary(max_size=20))
def test_noise_is_a_value_or_a_value_error(kind: DataType, noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        bk.from_bytes(kind, noise)


@given(
    st.sampled_from(DataType),
    st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.lists(st.none()),
)
def test_a_wrong_value_fails_with_a_builtin_error_only(kind: DataType, value: Any) -> None:
    with contextlib.suppress(OverflowError, ValueError, TypeError):
        assert isinstance(bk.to_bytes(kind, value), bytes)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (bk.int_to_bytes(1), b"\0\0\0\0\0\0\0\x01"),  # as 2.4: 8 bytes, big-endian
        (bk.int_to_bytes(-2, 2), b"\xff\xfe"),
        (bk.int_to_bytes(-128, size=1), b"\x80"),
        (bk.to_bytes(DataType.int, 1), b"\x01\0\0\0"),
        (bk.to_bytes(DataType.long, -2), b"\xfe" + b"\xff" * 7),
        (bk.to_bytes(DataType.double, 1.0), struct.pack("<d", 1.0)),
        (bk.to_bytes(DataType.bool, True), b"\x01"),
        (bk.to_bytes(DataType.char, b"x"), b"x"),
        (bk.to_bytes(DataType.string, "ü"), b"\xc3\xbc"),
        (bk.to_bytes(DataType.tuple, (1, "a")), b'[1, "a"]'),
        (bk.to_bytes(DataType.dict, {"a": None}), b'{"a": null}'),
        (bk.to_bytes(DataType.none, None), b"null"),
    ],
)
def test_bytes_are_these_on_every_machine(made: bytes, expected: bytes) -> None:
    assert made == expected


def test_nothing_is_zero() -> None:
    assert bk.bytes_to_int(b"") == 0


def test_arguments_go_by_the_names_of_2_4() -> None:
    assert (
        bk.from_bytes(data_type=DataType.float, bytes=bk.to_bytes(data_type=DataType.float, value=0.5)) == 0.5
    )


def test_nan_stays_nan() -> None:
    assert math.isnan(bk.from_bytes(DataType.double, bk.to_bytes(DataType.double, math.nan)))


def test_any_buffer_is_read() -> None:
    assert bk.from_bytes(DataType.int, memoryview(bytearray(b"\x05\0\0\0"))) == 5
    assert bk.bytes_to_str(bytearray(b"abc")) == "abc"


@pytest.mark.parametrize(
    ("kind", "value", "error", "says"),
    [
        (
            DataType.int,
            2**31,
            OverflowError,
            "2147483648 does not fit DataType.int: -2147483648 to 2147483647",
        ),
        (DataType.int_unsigned, -1, OverflowError, "-1 does not fit DataType.int_unsigned: 0 to 4294967295"),
        (DataType.float, 1e39, OverflowError, "1e+39 does not fit DataType.float: at most 3.40"),
        (DataType.char, b"ab", ValueError, "DataType.char is 1 byte, got 2"),
        (DataType.char, "a", TypeError, "DataType.char cannot carry a str: 'a'"),
        (DataType.int, "1", TypeError, "DataType.int cannot carry a str: '1'"),
        (DataType.string, b"abc", TypeError, "DataType.string cannot carry a bytes: b'abc'"),
        (DataType.string, 1, TypeError, "DataType.string cannot carry a int: 1"),
        (DataType.dict, [1], TypeError, "DataType.dict cannot carry a list: [1]"),
        (DataType.list, [b"x"], TypeError, "bytes is not JSON serializable"),
    ],
)
def test_what_does_not_fit_is_refused_with_both(
    kind: DataType, value: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error) as caught:
        bk.to_bytes(kind, value)
    assert says in str(caught.value)


def test_too_few_bytes_for_an_int_are_refused_with_both_sizes() -> None:
    with pytest.raises(OverflowError, match="needs 2 bytes, got 1"):
        bk.int_to_bytes(128, 1)


@pytest.mark.parametrize(
    ("kind", "noise", "says"),
    [
        (DataType.long, b"123", "DataType.long is 8 bytes, got 3"),
        (DataType.dict, b"[1]", "DataType.dict expected, got JSON of a list"),
        (DataType.tuple, b'"ab"', "DataType.tuple expected, got JSON of a str"),
        (DataType.list, b"[" * 100_000, "DataType.list: JSON nested too deep in 100000 bytes"),
    ],
)
def test_bytes_of_something_else_are_refused_with_both(kind: DataType, noise: bytes, says: str) -> None:
    with pytest.raises(ValueError) as caught:
        bk.from_bytes(kind, noise)
    assert says in str(caught.value)


class SlowFile(io.StringIO):
    """Gives other threads every chance to come in between two writes."""

    def write(self, text: str) -> int:
        count = super().write(text)
        time.sleep(0)
        return count


def test_lines_of_many_threads_stay_whole() -> None:
    out = SlowFile()
    start = threading.Barrier(4)

    def talk(name: str) -> None:
        start.wait()
        for number in range(50):
            bk.safe_print(name, number, name, sep="-", file=out)

    threads = [threading.Thread(target=talk, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(out.getvalue().splitlines()) == sorted(
        f"{name}-{n}-{name}" for name in "abcd" for n in range(50)
    )


def test_safe_print_takes_what_print_takes(capsys: pytest.CaptureFixture[str]) -> None:
    bk.safe_print("a", 1, None, sep="|", end="!\n", flush=True)
    bk.safe_print()
    bk.safe_print("Response from Handler:", "ping")
    assert capsys.readouterr().out == "a|1|None!\n\nResponse from Handler: ping\n"


def test_a_value_that_prints_while_it_is_printed_does_not_deadlock(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Chatty:
        def __str__(self) -> str:
            bk.safe_print("inner")
            return "outer"

    bk.safe_print(Chatty())
    assert capsys.readouterr().out == "inner\nouter\n"
