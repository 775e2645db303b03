"""Objects on the wire: what comes back is what went, or an error with names."""

from __future__ import annotations

import contextlib
import datetime
import enum
import pickle
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pynet
from pynet_core import payload as module
from pynet_core.errors import SubroutineError
from pynet_core.feed import Feed
from pynet_core.payload import MARK, MAX_NAME_BYTES, as_bytes, pack, payload, unpack
from tests.core.loopback import PATIENCE_S, controller_of, serving


class Side(enum.Enum):
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True)
class Spot:
    x_m: float
    y_m: float


@payload
@dataclass(frozen=True)
class Seen:
    side: Side
    spots: list[Spot]
    when: datetime.datetime
    raw: bytes = b""
    notes: dict[str, int | None] = field(default_factory=dict)


@payload
class Tick(msgspec.Struct, frozen=True):
    number: int
    below: Tick | None = None


SEEN = Seen(
    Side.RIGHT,
    [Spot(0.5, -1.0), Spot(2.0, 0.0)],
    datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    b"\x00\xff",
    {"a": None, "b": 3},
)


@pytest.fixture(autouse=True)
def forget_what_a_test_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_by_name", dict(module._by_name))
    monkeypatch.setattr(module, "_by_kind", dict(module._by_kind))


# Pure: to bytes and back


@pytest.mark.parametrize("value", [SEEN, Tick(3), Tick(1, Tick(2))], ids=repr)
def test_what_comes_back_is_what_went(value: Any) -> None:
    again = unpack(pack(value))
    assert again == value
    assert type(again) is type(value)


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_integer_comes_back(number: int) -> None:
    assert unpack(pack(Tick(number)), Tick) == Tick(number)


def test_bytes_stay_the_same_object() -> None:
    body = b"as it is"
    assert as_bytes(body) is body


def test_the_bytes_are_a_mark_the_name_and_the_fields_by_name() -> None:
    """Files of payloads outlive a version: this is a format."""
    assert pack(Tick(7)) == b"\xc1py1" + b"\x04Tick" + b"\x82\xa6number\x07\xa5below\xc0"


def test_a_newer_end_may_have_more_fields_and_an_older_one_fewer() -> None:
    @dataclass
    class Newer:
        number: int
        colour: str = "red"

    payload(Newer, "Tick2")
    newer = pack(Newer(5, "blue"))
    assert unpack(newer.replace(b"\x05Tick2", b"\x04Tick")) == Tick(5)
    assert unpack(pack(Tick(6)).replace(b"\x04Tick", b"\x05Tick2")) == Newer(6, "red")


@pytest.mark.parametrize(
    ("buffer", "says"),
    [
        (b"", "these 0 bytes are no payload: they were sent as plain bytes"),
        (b"\xc1py1", "these 4 bytes are no payload"),
        (b"plain as they come", "these 18 bytes are no payload"),
        (b"\xc1py2\x04Tick\x80", "no payload"),
        (pickle.dumps(SEEN), "no payload"),
        (MARK + b"\x03Nix\x80", "'Nix' came, which is not registered here; registered: .*Seen, Tick"),
        (MARK + b"\xffTick\x80", "ends within its name"),
        (MARK + b"\x02\xff\xfe\x80", "no UTF-8"),
        (MARK + b"\x04Tick", "what came is no 'Tick': .*truncated"),
        (MARK + b"\x04Tick\x80", "no 'Tick': .*missing required field `number`"),
        (MARK + b"\x04Tick\x81\xa6number\xa1x", r"Expected `int`, got `str` - at `\$.number`"),
        (MARK + b"\x04Tick\x81\xa6number\x01\x00", "no 'Tick': .*trailing"),
        (MARK + b"\x04Tick\x93\x01\x02\x03", "no 'Tick': Expected `object`, got `array`"),
        (MARK + b"\x04Tick\x81\xa6number\xdd\xff\xff\xff\xff", "no 'Tick'"),
        (MARK + b"\x04Tick" + b"\x82\xa6number\x01\xa5below" * 50_000, "'Tick' that came is nested too deep"),
    ],
)
def test_what_is_no_payload_is_a_value_error_that_says_why(buffer: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        unpack(buffer)


@given(st.binary(max_size=64))
def test_noise_behind_the_name_is_an_object_or_a_value_error(noise: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert type(unpack(MARK + b"\x04Seen" + noise)) is Seen


def test_another_class_than_the_expected_one_is_refused() -> None:
    with pytest.raises(ValueError, match="'Tick' came where 'Seen' was expected"):
        unpack(pack(Tick(1)), Seen)


def test_what_contains_itself_is_refused() -> None:
    @payload
    @dataclass
    class Ring:
        inner: Any = None

    ring = Ring()
    ring.inner = [ring]
    with pytest.raises(ValueError, match="'Ring' is nested too deep, or contains itself"):
        pack(ring)


def test_what_is_too_large_is_refused() -> None:
    @payload
    @dataclass
    class Large:
        raw: bytes

    with pytest.raises(ValueError, match=r"this 'Large' is 67108\d+ B, limit 67108864 B"):
        pack(Large(bytes(64 << 20)))


@pytest.mark.parametrize(
    ("value", "kind", "says"),
    [
        (object(), TypeError, "object is unsupported"),
        (2**70, ValueError, "ints"),
        ("\ud800", ValueError, "utf-8"),
    ],
    ids=["object", "int", "str"],
)
def test_a_field_that_cannot_travel_is_refused_by_name(value: Any, kind: type[Exception], says: str) -> None:
    @payload
    @dataclass
    class Odd:
        anything: Any

    with pytest.raises(kind, match=f"this 'Odd' cannot travel: .*{says}"):
        pack(Odd(value))


# Registering


def test_a_class_of_another_module_may_not_take_a_name_that_is_taken() -> None:
    other = type("Tick", (msgspec.Struct,), {"__module__": "elsewhere", "__annotations__": {"number": int}})
    with pytest.raises(ValueError, match=r"'Tick' is already tests.core.test_payload.Tick; give one of"):
        payload(other)
    payload(other, "elsewhere.Tick")
    assert type(unpack(pack(other(2)))) is other
    assert type(unpack(pack(Tick(2)))) is Tick


def test_a_class_that_is_defined_again_takes_its_place() -> None:
    def define() -> Any:
        @payload
        @dataclass
        class Cell:
            number: int

        return Cell

    first, second = define(), define()
    assert type(unpack(pack(first(1)))) is second


@pytest.mark.parametrize("kind", [int, dict, Side, "Tick", SEEN], ids=str)
def test_only_dataclasses_and_structs_can_be_payloads(kind: Any) -> None:
    with pytest.raises(TypeError, match="a payload is a dataclass or a msgspec Struct"):
        payload(kind)


def test_an_annotation_that_msgspec_does_not_take_is_told_when_it_is_registered() -> None:
    @dataclass
    class Either:
        place: Spot | Seen

    with pytest.raises(TypeError, match=r"objects of 'Either' cannot travel: .*more than one dataclass"):
        payload(Either)


@pytest.mark.parametrize("name", ["x" * (MAX_NAME_BYTES + 1), "é" * (MAX_NAME_BYTES // 2 + 1)], ids=len)
def test_a_name_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="1 to 255 bytes"):
        payload(Spot, name)


def test_threads_may_register_and_pack_at_once() -> None:
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                kind = msgspec.defstruct(f"K{number}_{turn}", [("x", int)], module=__name__)
                payload(kind)
                assert unpack(pack(kind(turn))) == kind(turn)
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failed == []


# Over a pair


def test_a_generator_yields_objects_with_and_without_ident() -> None:
    def look() -> Iterator[Any]:
        yield SEEN
        yield 7, Tick(2)
        yield b"bytes"

    with serving() as gateway, controller_of(gateway).get_client() as client:
        gateway.add_subroutine("look", look)
        got: list[tuple[int, bytes]] = []
        client.get_subroutine_stream("look", lambda _, ident, buffer: got.append((ident, buffer)))
    assert [ident for ident, _ in got] == [0, 7, 2]
    assert [pynet.unpack(buffer) for _, buffer in got[:2]] == [SEEN, Tick(2)]
    assert got[2][1] == b"bytes"


@pytest.mark.parametrize("keep", ["every", "latest"])
def test_a_shared_generator_carries_objects(keep: Any) -> None:
    def ticks() -> Iterator[Tick]:
        yield Tick(1)

    with serving() as gateway, controller_of(gateway).get_client() as client:
        gateway.add_subroutine("ticks", ticks, shared=True, keep=keep)
        assert [unpack(buffer, Tick) for _, buffer in client.subscribe("ticks")] == [Tick(1)]


def test_a_feed_carries_objects() -> None:
    feed = Feed()
    box = feed.subscribe("every")
    feed.put(Tick(5))
    item = box.take(0)
    assert item is not None
    assert unpack(item.body) == Tick(5)


def test_a_batch_returns_an_object_with_and_without_ident() -> None:
    with serving() as gateway, controller_of(gateway).get_client() as client:
        gateway.add_subroutine("seen", lambda: SEEN)
        gateway.add_subroutine("tick", lambda: (-3, Tick(4)))
        assert unpack(client.get_subroutine_batch("seen")) == SEEN
        batch = client.get_subroutine_batch("tick")
        assert (batch.ident, unpack(batch)) == (-3, Tick(4))


def test_a_buffer_and_a_put_may_be_objects() -> None:
    got: list[Any] = []
    with serving() as gateway, controller_of(gateway).get_client() as client:
        gateway.add_subroutine("take", lambda **kwargs: got.append(unpack(kwargs["buffer"], Tick)))
        client.send_subroutine_batch("take", Tick(1))
        with client.open_buffer("take") as sink:
            assert sink.put(Tick(2))
    assert got == [Tick(1), Tick(2)]


def test_what_a_subroutine_cannot_unpack_is_told_to_its_caller_and_costs_nothing() -> None:
    with serving() as gateway, controller_of(gateway).get_client() as client:
        gateway.add_subroutine("take", lambda **kwargs: unpack(kwargs["buffer"], Tick))
        for buffer, says in [
            (SEEN, "ValueError: a payload 'Seen' came where 'Tick' was expected"),
            (b"plain", "ValueError: these 5 bytes are no payload"),
            (MARK + b"\x03Nix\x80", "ValueError: a payload 'Nix' came, which is not registered here"),
        ]:
            with pytest.raises(SubroutineError, match=says):
                client.send_subroutine_batch("take", buffer)
        client.ping()


def test_an_object_that_is_not_registered_is_refused_where_it_is_given() -> None:
    def spots() -> Iterator[Spot]:
        yield Spot(0, 0)

    with serving() as gateway, controller_of(gateway).get_client() as client:
        gateway.add_subroutine("spots", spots)
        with pytest.raises(SubroutineError, match=r"TypeError: gave Spot; .*@pynet.payload class"):
            client.get_subroutine_stream("spots", print)
        with pytest.raises(TypeError, match="bytes-like object is required, not 'Spot'"):
            client.send_subroutine_batch("spots", Spot(0, 0))
        client.ping()
