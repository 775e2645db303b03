"""What scripts written for pynetwork 2.4 rely on.

The tables are what 2.4 itself made and did, run once and written down here:
they may grow, they may not change.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

import pynet
import pynet.backend2 as bk
from pynet.backend2 import DataType
from pynet_core.client import Client
from pynet_core.gateway import Gateway
from tests.core.loopback import PATIENCE_S, eventually

# (type, value, the bytes 2.4 made of it, what 2.4 made of those)
BYTES: Final[list[tuple[DataType, Any, bytes, Any]]] = [
    (DataType.char, b"x", b"x", b"x"),
    (DataType.bool, True, b"\x01", True),
    (DataType.bool, False, b"\x00", False),
    (DataType.int, -2, b"\xfe\xff\xff\xff", -2),
    (DataType.int, 2**31 - 1, b"\xff\xff\xff\x7f", 2**31 - 1),
    (DataType.int_unsigned, 2**32 - 1, b"\xff\xff\xff\xff", 2**32 - 1),
    (DataType.long, -(2**63), b"\x00\x00\x00\x00\x00\x00\x00\x80", -(2**63)),
    (DataType.long, 1857, b"A\x07\x00\x00\x00\x00\x00\x00", 1857),
    (DataType.long_unsigned, 2**64 - 1, b"\xff\xff\xff\xff\xff\xff\xff\xff", 2**64 - 1),
    (DataType.float, 0.5, b"\x00\x00\x00?", 0.5),
    (DataType.double, -0.1, b"\x9a\x99\x99\x99\x99\x99\xb9\xbf", -0.1),
    (DataType.string, "Grüße 🚗", b"Gr\xc3\xbc\xc3\x9fe \xf0\x9f\x9a\x97", "Grüße 🚗"),
    (DataType.string, "", b"", ""),
    (DataType.list, [1, "a", None, [2.5, True]], b'[1, "a", null, [2.5, true]]', [1, "a", None, [2.5, True]]),
    (DataType.list, ["ü"], b'["\\u00fc"]', ["ü"]),
    (DataType.tuple, (1, (2, 3)), b"[1, [2, 3]]", (1, [2, 3])),
    (DataType.dict, {"a": 1, "b": {"c": []}}, b'{"a": 1, "b": {"c": []}}', {"a": 1, "b": {"c": []}}),
    (DataType.dict, {1: 2}, b'{"1": 2}', {"1": 2}),
    (DataType.none, None, b"null", None),
]
# The form its README uses; 2.4 had it in `backend`, unsigned: the same bytes below 2**63.
INTEGERS: Final[dict[int, bytes]] = {
    0: b"\x00\x00\x00\x00\x00\x00\x00\x00",
    1: b"\x00\x00\x00\x00\x00\x00\x00\x01",
    255: b"\x00\x00\x00\x00\x00\x00\x00\xff",
    1857: b"\x00\x00\x00\x00\x00\x00\x07A",
    2**62: b"@\x00\x00\x00\x00\x00\x00\x00",
}
TYPES: Final = {
    "char": "c",
    "bool": "?",
    "int": "i",
    "int_unsigned": "I",
    "long": "q",
    "long_unsigned": "Q",
    "float": "f",
    "double": "d",
    "string": "s",
    "list": "list",
    "tuple": "tuple",
    "dict": "dict",
    "none": "none",
}
# name: 2.4's parameters with their defaults, in their order; "=" marks one that has none.
NONE: Final = "="
SIGNATURES: Final[dict[Callable[..., Any], list[tuple[str, Any]]]] = {
    pynet.Gateway: [("port", NONE), ("max_poolsize", 5), ("download_dir", "")],
    pynet.Gateway.start: [("blocking", False)],
    pynet.Gateway.stop: [],
    pynet.Gateway.add_subroutine: [("name", NONE), ("subroutine", NONE)],
    pynet.Gateway.remove_subroutine: [("name", NONE)],
    pynet.Controller: [("gateway_ip", ""), ("port", 1857), ("download_dir", ""), ("verbose", False)],
    pynet.Controller.get_client: [],
    pynet.Controller.close_gateway: [],
    Client.ping: [("message", "ping")],
    Client.get_subroutine_stream: [
        ("name", NONE),
        ("callback", NONE),
        ("eos_callback", None),
        ("arguments", []),
    ],
    Client.get_subroutine_batch: [("name", NONE), ("arguments", [])],
    Client.send_subroutine_batch: [("name", ""), ("buffer", None), ("arguments", [])],
    Client.get_files_from_gateway: [("regex", ""), ("files", []), ("folder", "")],
    Client.send_files_to_gateway: [("dirname", ""), ("files", [])],
    Client.close_handler: [],
    Client.close_gateway: [],
    bk.to_bytes: [("data_type", NONE), ("value", NONE)],
    bk.from_bytes: [("data_type", NONE), ("bytes", NONE)],
    bk.int_to_bytes: [("i", NONE), ("size", 8)],
}


# backend2


@pytest.mark.parametrize(("kind", "value", "packed", "unpacked"), BYTES)
def test_the_bytes_of_a_value_are_those_of_2_4(
    kind: DataType, value: Any, packed: bytes, unpacked: Any
) -> None:
    assert bk.to_bytes(kind, value) == packed
    back = bk.from_bytes(kind, packed)
    assert back == unpacked
    assert type(back) is type(unpacked)


@pytest.mark.parametrize(("number", "packed"), INTEGERS.items())
def test_the_bytes_of_an_integer_are_those_of_2_4(number: int, packed: bytes) -> None:
    assert bk.int_to_bytes(number) == packed
    assert bk.bytes_to_int(packed) == number


def test_text_is_utf_8_both_ways() -> None:
    assert bk.str_to_bytes("Grüße") == b"Gr\xc3\xbc\xc3\x9fe"
    assert bk.bytes_to_str(b"Gr\xc3\xbc\xc3\x9fe") == "Grüße"


def test_the_types_are_those_of_2_4_by_name_and_value() -> None:
    assert {kind.name: kind.value for kind in DataType} == TYPES


def test_what_fails_is_caught_under_the_name_2_4_had_for_it() -> None:
    assert issubclass(pynet.SubroutineError, bk.RemoteException)
    assert issubclass(bk.RemoteException, Exception)


def test_the_names_of_backend2_are_names_of_pynet_too() -> None:
    for name in ("safe_print", "to_bytes", "from_bytes", "DataType", "Gateway", "Controller", "Client"):
        assert hasattr(pynet, name)
    assert pynet.to_bytes is bk.to_bytes


# Signatures


@pytest.mark.parametrize(
    ("function", "parameters"), SIGNATURES.items(), ids=[each.__qualname__ for each in SIGNATURES]
)
def test_a_call_may_be_written_as_for_2_4(
    function: Callable[..., Any], parameters: list[tuple[str, Any]]
) -> None:
    """By position in 2.4's order, or by 2.4's names; what is new comes after, and by name only."""
    ours = [each for name, each in inspect.signature(function).parameters.items() if name != "self"]
    for (name, default), mine in zip(parameters, ours, strict=False):
        assert mine.name == name
        assert mine.kind is mine.POSITIONAL_OR_KEYWORD
        if default is NONE:
            continue
        assert mine.default == default or list(mine.default) == default
    assert len(ours) >= len(parameters)
    for new in ours[len(parameters) :]:
        optional = new.default is not new.empty or new.kind is new.VAR_KEYWORD
        assert optional, f"{new.name} is new: scripts do not give it"


@pytest.mark.parametrize(
    "method", [Client.get_subroutine_stream, Client.get_subroutine_batch, Client.send_subroutine_batch]
)
def test_no_new_option_takes_a_name_from_a_subroutines_own_keywords(method: Callable[..., Any]) -> None:
    theirs = {name for name, _ in SIGNATURES[method]} | {"self"}
    ours = inspect.signature(method).parameters.values()
    assert [each.name for each in ours if each.kind is not each.VAR_KEYWORD and each.name not in theirs] == []


# What scripts see

FOUR: Final = [(0, b"a"), (1, b""), (7, b"c"), (3, b"d")]


def four() -> Iterator[tuple[int, bytes]]:
    yield from FOUR


def ends_below_zero() -> Iterator[tuple[int, bytes]]:
    yield 0, b"a"
    yield -1, b"never seen"


def ends_with_none() -> Iterator[tuple[int, bytes | None]]:
    yield 0, b"a"
    yield 1, None


def fails_half_way() -> Iterator[tuple[int, bytes]]:
    yield 0, b"a"
    raise ValueError("no more")


class Heard:
    """2.4's two callbacks, with whatever the first is to answer."""

    def __init__(self, answer: Any = None) -> None:
        self.items: list[tuple[str, int, bytes]] = []
        self.ends: list[str] = []
        self.threads: set[int] = set()
        self._answer = answer

    def callback(self, name: str, ident: int, buffer: bytes) -> Any:
        self.items.append((name, ident, buffer))
        self.threads.add(threading.get_ident())
        return self._answer

    def eos_callback(self, name: str) -> None:
        self.ends.append(name)


def test_a_stream_calls_back_by_position_in_the_calling_thread_then_its_end_once(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("four", four)
    heard = Heard()
    returned: object = client.get_subroutine_stream("four", heard.callback, heard.eos_callback)  # type: ignore[func-returns-value]
    assert returned is None
    assert heard.items == [("four", ident, buffer) for ident, buffer in FOUR]
    assert heard.ends == ["four"]
    assert heard.threads == {threading.get_ident()}


@pytest.mark.parametrize("generator", [ends_below_zero, ends_with_none])
def test_a_stream_ends_at_a_negative_ident_or_none_and_the_item_is_not_given(
    gateway: Gateway, client: Client, generator: Callable[[], Iterator[Any]]
) -> None:
    gateway.add_subroutine("s", generator)
    heard = Heard()
    client.get_subroutine_stream("s", heard.callback, heard.eos_callback)
    assert (heard.items, heard.ends) == ([("s", 0, b"a")], ["s"])


def test_false_ends_a_stream_without_its_eos_callback(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("four", four)
    heard = Heard(answer=False)
    client.get_subroutine_stream("four", heard.callback, heard.eos_callback)
    assert (len(heard.items), heard.ends) == (1, [])


@pytest.mark.parametrize("answer", [None, 0, "", [], True, 1])
def test_nothing_but_false_ends_a_stream(gateway: Gateway, client: Client, answer: Any) -> None:
    gateway.add_subroutine("four", four)
    heard = Heard(answer)
    client.get_subroutine_stream("four", heard.callback)
    assert len(heard.items) == 4


def test_a_generator_that_fails_gives_its_items_first_then_a_remote_exception(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("fails", fails_half_way)
    heard = Heard()
    with pytest.raises(bk.RemoteException, match="no more"):
        client.get_subroutine_stream("fails", heard.callback, heard.eos_callback)
    assert (len(heard.items), heard.ends) == (1, [])
    client.ping()


def test_what_a_callback_raises_is_the_very_same_exception_at_the_caller(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("four", four)
    raised = KeyError("mine")

    def callback(*_: Any) -> None:
        raise raised

    with pytest.raises(KeyError) as caught:
        client.get_subroutine_stream("four", callback)
    assert caught.value is raised


@pytest.mark.parametrize("use", ["stream", "batch", "buffer"])
def test_what_does_not_exist_is_a_remote_exception(client: Client, use: str) -> None:
    calls: dict[str, Callable[[], object]] = {
        "stream": lambda: client.get_subroutine_stream("nothing", lambda *_: None),
        "batch": lambda: client.get_subroutine_batch("nothing"),
        "buffer": lambda: client.send_subroutine_batch("nothing", b"x"),
    }
    with pytest.raises(bk.RemoteException, match="nothing"):
        calls[use]()
    client.ping()


@pytest.mark.parametrize(
    ("returned", "seen"),
    [(7, 7), (-1, -1), (0, 0), (True, 0), (False, 0), (None, 0), ("7", 0), (7.0, 0), ([7], 0)],
)
def test_send_subroutine_batch_returns_an_int_or_0(
    gateway: Gateway, client: Client, returned: Any, seen: int
) -> None:
    gateway.add_subroutine("s", lambda **kwargs: returned)
    assert client.send_subroutine_batch("s", b"x") == seen
    assert client.send_subroutine_batch(name="s", buffer=b"x") == seen


@pytest.mark.parametrize(
    ("buffer", "found"), [(b"x", b"x"), (bytearray(b"xy"), b"xy"), (b"", None), (None, None)]
)
def test_the_function_finds_the_buffer_in_its_keywords_and_no_key_for_an_empty_one(
    gateway: Gateway, client: Client, buffer: Any, found: bytes | None
) -> None:
    seen: list[dict[str, Any]] = []
    gateway.add_subroutine("s", lambda *arguments, **kwargs: seen.append(kwargs))
    client.send_subroutine_batch("s", buffer, [1], extra="e")
    assert seen == [{"extra": "e"} if found is None else {"extra": "e", "buffer": found}]


def test_arguments_are_positional_and_keywords_are_keywords(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("s", lambda *arguments, **kwargs: repr((arguments, kwargs)).encode())
    assert client.get_subroutine_batch("s", [1, "two", [3, {"k": None}]], key=4.5) == (
        b"((1, 'two', [3, {'k': None}]), {'key': 4.5})"
    )
    assert client.get_subroutine_batch(name="s", arguments=(1, (2,))) == b"((1, [2]), {})"  # type: ignore[arg-type]


def test_ping_takes_any_message_and_returns_nothing_a_script_could_trip_over(client: Client) -> None:
    for message in ("Hello", "", "Grüße", 5):
        client.ping(message)  # type: ignore[arg-type]


def test_a_subroutine_may_come_late_and_replace_an_earlier_one(gateway: Gateway, client: Client) -> None:
    gateway.add_subroutine("s", lambda: b"one")
    assert client.get_subroutine_batch("s") == b"one"
    gateway.add_subroutine(name="s", subroutine=lambda: b"two")
    assert client.get_subroutine_batch("s") == b"two"


def test_what_cannot_be_called_is_refused_at_once(gateway: Gateway) -> None:
    with pytest.raises(Exception, match="not callable"):
        gateway.add_subroutine("s", "not a function")  # type: ignore[arg-type]


def test_a_blocking_start_returns_when_a_controller_closes_the_gateway(free_port: int) -> None:
    gateway = pynet.Gateway(free_port)
    returned = threading.Event()

    def script() -> None:
        gateway.start(blocking=True)
        returned.set()

    threading.Thread(target=script).start()
    assert eventually(lambda: gateway.is_running)
    pynet.Controller("", free_port).close_gateway()
    assert returned.wait(PATIENCE_S)
    assert not gateway.is_running


def test_the_readme_s_order_of_closing_works_either_way(free_port: int) -> None:
    for close_handler_first in (True, False):
        gateway = pynet.Gateway(port=free_port)
        gateway.start()
        controller = pynet.Controller(gateway_ip="127.0.0.1", port=free_port)
        with controller.get_client() as client:
            client.ping("Hello")
            if close_handler_first:
                client.close_handler()
                controller.close_gateway()
            else:
                client.close_gateway()
        assert eventually(lambda: not gateway.is_running)  # noqa: B023


def test_a_client_too_many_is_an_exception_that_says_why(free_port: int) -> None:
    gateway = pynet.Gateway(free_port, 1)
    gateway.start()
    controller = pynet.Controller("", free_port)
    with controller.get_client(), pytest.raises(Exception, match="503"):
        controller.get_client()
    gateway.stop()
