"""`pynet ls`, `call`, `send` and `stream`, against a gateway."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

import pynet
from pynet_core.cli import pynet as command
from pynet_core.cli_frame import tell
from pynet_core.cli_gateway import complete_function, complete_stream
from pynet_core.cli_stream import figures
from pynet_core.cli_values import for_terminal, readable, typed_arguments, typed_value
from pynet_core.gateway import Gateway
from pynet_core.stats import StreamStats
from tests.core.shell import is_told, json_keys, started, typed, typed_bytes


def add(*numbers: float, times: int = 1) -> bytes:
    """Add them up.

    And multiply.
    """
    return str(sum(numbers) * times).encode()


def echo(*arguments: Any, **keywords: Any) -> tuple[int, bytes]:
    return 7, json.dumps([arguments, keywords]).encode()


def count_bytes(buffer: bytes = b"", factor: int = 1) -> int:
    return len(buffer) * factor


def count_to(end: int, pause_s: float = 0.0) -> Iterator[tuple[int, bytes]]:
    for number in range(end):
        yield number * 10, b"item %d" % number
        time.sleep(pause_s)


def silent() -> Iterator[bytes]:
    time.sleep(1.5)
    yield b""


@pynet.payload
@dataclass
class Weather:
    sky: str
    degrees: float


BINARY = b"\xff\xd8\x00\xfe"


@pytest.fixture
def port(gateway: Gateway) -> int:
    gateway.add_subroutine("add", add)
    gateway.add_subroutine("echo", echo)
    gateway.add_subroutine("binary", lambda: BINARY)
    gateway.add_subroutine("weather", lambda: Weather("grey", 7.5))
    gateway.add_subroutine("count_bytes", count_bytes, role="driver")
    gateway.add_subroutine("count_to", count_to)
    gateway.add_subroutine("silent", silent)
    gateway.add_subroutine("ticks", lambda: iter(()), role="admin")
    gateway.add_subroutine("newest", count_to, keep="latest")
    gateway.add_subroutine("break", lambda: 1 / 0)
    return gateway.port


def types(*words: object, **options: Any) -> Result:
    return CliRunner().invoke(command, list(map(str, words)), **options)


def says(*words: object, **options: Any) -> str:
    result = types(*words, **options)
    assert result.exit_code == 0, result.output
    return result.stdout


# What is typed, and what bytes hold


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("3", 3),
        ("-2.5e1", -25.0),
        ("true", True),
        ("null", None),
        ('"3"', "3"),
        ('[1, {"a": null}]', [1, {"a": None}]),
        ("rover", "rover"),
        ("007", "007"),
        ("NaN", "NaN"),
        ("", ""),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_a_word_is_json_where_it_can_be_and_text_else(word: str, value: Any) -> None:
    assert typed_value(word) == value


def test_keywords_are_those_with_a_value() -> None:
    assert typed_arguments(["a", "--max-age=3", "-4", "--text=--x=y", "--empty="]) == (
        ["a", -4],
        {"max_age": 3, "text": "--x=y", "empty": ""},
    )


@pytest.mark.parametrize(
    "word", ["--", "--fast", "--=3", "--name=x", "--callback=1", "--on-reconnect=1", "--buffer=x"]
)
def test_what_is_no_keyword_is_wrong_use(word: str) -> None:
    with pytest.raises(click.UsageError):
        typed_arguments([word])


@pytest.mark.parametrize(
    ("buffer", "is_"),
    [
        (b"", {"text": ""}),
        ("21 °C".encode(), {"text": "21 °C"}),
        (BINARY, {"base64": BINARY}),
        (
            pynet.pack(Weather("blue", 21.0)),
            {"payload": "Weather", "value": {"sky": "blue", "degrees": 21.0}},
        ),
        (msgspec.msgpack.encode({"a": [1]}), {"value": {"a": [1]}}),
        (b"\x81\xff", {"base64": b"\x81\xff"}),
        (b"\xc1py1\x03abc", {"base64": b"\xc1py1\x03abc"}),
    ],
)
def test_bytes_say_what_they_hold(buffer: bytes, is_: dict[str, Any]) -> None:
    assert readable(buffer) == {"bytes": len(buffer), **is_}


def test_a_terminal_gets_text_without_what_moves_its_cursor() -> None:
    assert for_terminal(b"a\tb\n\x1b[2Jc") == "a\tb\n\ufffd[2Jc"
    assert for_terminal(pynet.pack(Weather("blue", 1.0))) == '{"sky":"blue","degrees":1.0}'
    assert for_terminal(BINARY) == "(4 bytes that are no text)"


@pytest.mark.parametrize("head", [b"", b"\xc1py1\x07Weather"], ids=["msgpack", "payload"])
@pytest.mark.parametrize("levels", [200, 700, 5000])
def test_what_is_nested_too_deep_to_be_read_is_bytes(
    head: bytes, levels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    buffer = head + b"\x81\xa1a" * levels + b"\xc0"
    tell(readable(buffer))
    assert set(json.loads(capsys.readouterr().out)) == {"bytes", "base64"}


def test_the_figures_of_a_stream_are_one_line() -> None:
    stats = StreamStats(4, 2_000_000, 3, 0, 2.1, 2.0, 40.0)
    assert figures(stats, 2.0) == (
        "4 items, 2.000 MB in 2.0 s: 2.0/s, 1.000 MB/s; age ms p50 2.0, p99 40.0; 3 skipped"
    )
    nothing = StreamStats(0, 0, 0, -1, math.nan, math.nan, math.nan)
    assert figures(nothing, 0.0) == "0 items, 0.000 MB in 0.0 s: 0.0/s, 0.000 MB/s"


# ls


def test_ls_shows_how_each_is_called_what_it_is_and_who_may(port: int) -> None:
    rows = {line.partition("(")[0]: line for line in says("ls", "localhost", "--port", port).splitlines()}
    assert rows["add"].split("  ")[0] == "add(*numbers: float, times: int = 1) -> bytes"
    assert rows["add"].endswith("Add them up.")
    assert " function " in rows["add"]
    assert " stream, newest only " in rows["newest"]
    assert " driver" in rows["count_bytes"]
    assert len(rows) == 10


@pytest.mark.parametrize("verb", ["ls", "call", "send", "stream", "get", "put", "sync", "rm"])
def test_a_verb_that_needs_a_host_says_so(verb: str) -> None:
    result = types(verb)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Missing argument" in result.stderr


def test_ls_speaks_json(port: int) -> None:
    records = [json.loads(line) for line in says("ls", f"localhost:{port}", "--json").splitlines()]
    assert {record["name"] for record in records} >= {"add", "count_to"}
    assert [set(record) for record in records] == json_keys("pynet ls")[:1] * len(records)


def test_ls_of_a_gateway_that_offers_nothing_says_so(gateway: Gateway) -> None:
    result = types("ls", "localhost", "--port", gateway.port)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "offers nothing" in result.stderr


def test_names_are_completed_by_asking_the_gateway(port: int) -> None:
    context = click.Context(click.Command("call"))
    context.params = {"host": f"localhost:{port}"}
    parameter = click.Argument(["name"])
    assert complete_function(context, parameter, "a") == ["add"]
    assert complete_stream(context, parameter, "count") == ["count_to"]
    context.params = {"host": "localhost", "port": 1}
    assert complete_stream(context, parameter, "") == []


# call and send


def test_call_writes_what_the_function_returns_as_it_is(port: int) -> None:
    assert says("call", "localhost", "add", "1", "-2.5", "--times=2", "--port", port) == "-3.0"
    result = types("call", f"localhost:{port}", "binary")
    assert result.stdout_bytes == BINARY


def test_call_passes_on_what_was_typed(port: int) -> None:
    said = says("call", f"localhost:{port}", "echo", "rover", "[1]", "--fast=true", "--", "--json=3")
    assert json.loads(said) == [["rover", [1]], {"fast": True, "json": 3}]


def test_call_writes_into_a_file_and_speaks_json(port: int, tmp_path: Path) -> None:
    target = tmp_path / "result"
    assert says("call", f"localhost:{port}", "binary", "--output", target) == ""
    assert target.read_bytes() == BINARY
    record = json.loads(says("call", f"localhost:{port}", "echo", "--json"))
    assert record == {"name": "echo", "ident": 7, "bytes": 8, "text": "[[], {}]"}
    weather = json.loads(says("call", f"localhost:{port}", "weather", "--json"))
    assert (weather["payload"], weather["value"]) == ("Weather", {"sky": "grey", "degrees": 7.5})
    base64 = json.loads(says("call", f"localhost:{port}", "binary", "--json"))["base64"]
    assert base64 == "/9gA/g=="
    assert {*record, *weather, "base64"} == json_keys("pynet call")[0]


def test_a_call_that_fails_leaves_the_file_as_it_was(port: int, tmp_path: Path) -> None:
    target = tmp_path / "kept"
    target.write_text("before")
    assert types("call", f"localhost:{port}", "break", "--output", target).exit_code == 1
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    assert target.read_text() == "before"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["call", "break"], "subroutine 'break' failed on the peer: ZeroDivisionError: division by zero"),
        (["call", "nothing"], "no subroutine 'nothing' is registered"),
        (["call", "count_to", "3"], "'count_to' is a generator; ask for it as a stream"),
        (["stream", "add"], "'add' is no generator; call it as a batch"),
        (["call", "add", "99999999999999999999999"], "arguments of 'add' cannot travel"),
    ],
)
def test_what_fails_over_there_is_one_sentence_and_1(port: int, words: list[str], says: str) -> None:
    verb, *rest = words
    quiet = ["--quiet"] if verb == "stream" else []
    assert says in is_told(typed(verb, f"localhost:{port}", *rest, *quiet))


def test_send_sends_a_file_or_what_comes_by_stdin(port: int, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"12345")
    assert says("send", f"localhost:{port}", "count_bytes", tmp_path / "data") == "5\n"
    assert says("send", f"localhost:{port}", "count_bytes", input=b"123") == "3\n"
    said = says("send", f"localhost:{port}", "count_bytes", "-", "--factor=2", "--json", input=b"123")
    assert json.loads(said) == {"name": "count_bytes", "result": 6, "bytes": 3}
    assert json_keys("pynet send") == [{"name", "result", "bytes"}]
    assert types("send", f"localhost:{port}", "count_bytes", tmp_path / "none").exit_code == 2


# stream


def test_stream_writes_an_item_a_line_until_the_stream_ends(port: int) -> None:
    result = types("stream", f"localhost:{port}", "count_to", "3")
    assert (result.exit_code, result.stdout) == (0, "item 0\nitem 1\nitem 2\n")
    assert result.stderr.startswith("3 items, 0.000 MB in ")
    assert "age ms p50 " in result.stderr


def test_stream_ends_after_so_many_and_after_so_long(port: int) -> None:
    words = ("stream", f"localhost:{port}", "--quiet")
    assert says(*words, "count_to", 10**9, "--count", 2, "--raw") == "item 0item 1"
    began_s = time.monotonic()
    result = types(*words, "silent", "--seconds", "0.2")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert time.monotonic() - began_s < 10


def test_stream_speaks_json(port: int) -> None:
    lines = says("stream", f"localhost:{port}", "count_to", "--end=2", "--json").splitlines()
    records = [json.loads(line) for line in lines]
    assert [(each["ident"], each["text"]) for each in records] == [(0, "item 0"), (10, "item 1")]
    assert all(0 <= each["age_ms"] < 5000 for each in records)
    assert {*records[0], "value", "payload", "base64"} == json_keys("pynet stream")[0]


def test_stream_writes_each_item_into_a_file_of_its_own(port: int, tmp_path: Path) -> None:
    assert (
        says("stream", f"localhost:{port}", "count_to", 3, "--files", tmp_path / "{n:02}-{ident}.txt") == ""
    )
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "01-0.txt": "item 0",
        "02-10.txt": "item 1",
        "03-20.txt": "item 2",
    }


@pytest.mark.parametrize("pattern", ["one-for-all", "{x}", "{", "{n.y}", "{n[0]}", ""])
def test_a_pattern_that_names_no_files_is_wrong_use(port: int, pattern: str) -> None:
    result = types("stream", f"localhost:{port}", "count_to", 3, "--files", pattern)
    assert result.exit_code == 2
    assert "--files" in result.output


def test_where_no_file_can_be_written_the_stream_ends(port: int, tmp_path: Path) -> None:
    result = types("stream", f"localhost:{port}", "count_to", 3, "--files", tmp_path / "none" / "{n}")
    assert isinstance(result.exception, FileNotFoundError)


@pytest.mark.slow
def test_head_takes_what_it_wants_of_a_stream_and_that_is_no_traceback(port: int) -> None:
    streaming = started("stream", f"localhost:{port}", "count_to", 10**9, 0.01, "--quiet")
    assert streaming.stdout is not None
    assert streaming.stdout.readline() == "item 0\n"
    streaming.stdout.close()
    assert streaming.wait(20) == 1
    assert streaming.stderr is not None
    assert streaming.stderr.read() == ""


@pytest.mark.slow
def test_of_a_stream_that_never_began_no_figures_are_told(port: int) -> None:
    told = is_told(typed("stream", "localhost", "--port", port, "nothing_of_that_name"))
    assert "no subroutine 'nothing_of_that_name' is registered" in told


@pytest.mark.slow
def test_ctrl_c_ends_a_stream_with_its_figures(port: int) -> None:
    streaming = started("stream", f"localhost:{port}", "count_to", 10**9, 0.01)
    assert streaming.stdout is not None
    for number in range(10):  # the first may come before the command begins to wait
        assert streaming.stdout.readline() == f"item {number}\n"
    streaming.send_signal(signal.SIGINT)
    _, told = streaming.communicate(timeout=20)
    assert streaming.returncode == 130
    assert " items, " in told
    assert "Traceback" not in told


@pytest.mark.slow
def test_bytes_go_through_a_pipe_as_they_are(port: int) -> None:
    assert typed_bytes("call", f"localhost:{port}", "binary").stdout == BINARY
    sent = typed_bytes("send", f"localhost:{port}", "count_bytes", data=bytes(range(256)))
    assert sent.stdout == b"256\n"
