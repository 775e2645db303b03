"""What a gateway offers: told with signature, docstring, kind and role; and the decorator that offers it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from pynet_core.client import Client
from pynet_core.errors import RemoteProtocolError, SubroutineError
from pynet_core.feed import Feed
from pynet_core.gateway import Gateway
from pynet_core.offering import (
    LISTING,
    MAX_DOC_CHARS,
    Offering,
    first_paragraph,
    signature_of,
    unpack_offerings,
)
from pynet_core.subroutines import Registry, WrongUse
from tests.core.loopback import collected, controller_of, counting


class BadDefault:
    def __repr__(self) -> str:
        raise KeyError("no")


class Camera:
    """A lens."""

    def frames(self, width: int = 640) -> Iterator[bytes]:
        """Pictures as
        JPEG.

        And more about them.
        """
        yield b""


def scale(picture: bytes, by: float = 0.5, *, buffer: bytes | None = None) -> bytes:
    """Make a picture smaller."""
    return picture


def bad_default(value: object = BadDefault()) -> bytes:
    return b""


def offered(registry: Registry, role: str = "admin") -> dict[str, Offering]:
    return {each.name: each for each in registry.offerings(role)}


def test_a_list_of_subroutines_says_how_each_is_called_and_what_it_is(
    gateway: Gateway, client: Client
) -> None:
    gateway.add_subroutine("scale", scale, role="driver")
    gateway.add_subroutine("camera", Camera().frames, keep="latest")
    gateway.add_subroutine("events", Feed())
    assert client.list_subroutines() == [
        Offering(
            name="camera",
            kind="stream",
            signature="(width: int = 640) -> Iterator[bytes]",
            doc="Pictures as JPEG.",
            role="viewer",
            allowed=True,
            shared=False,
            keep="latest",
        ),
        Offering(
            name="events",
            kind="stream",
            signature="()",
            doc="",
            role="viewer",
            allowed=True,
            shared=True,
            keep="every",
        ),
        Offering(
            name="scale",
            kind="function",
            signature="(picture: bytes, by: float = 0.5, *, buffer: bytes | None = None) -> bytes",
            doc="Make a picture smaller.",
            role="driver",
            allowed=True,
            shared=False,
            keep="every",
        ),
    ]
    assert client.ping().message == "ping"


def test_a_controller_asks_over_a_pair_of_its_own(gateway: Gateway) -> None:
    gateway.add_subroutine("scale", scale)
    controller = controller_of(gateway)
    assert [each.name for each in controller.list_subroutines()] == ["scale"]
    assert [each.name for each in controller.list_subroutines(("127.0.0.1", gateway.port))] == ["scale"]


@pytest.mark.parametrize(
    ("role", "allowed"), [("viewer", [True, False, False]), ("driver", [True, True, False])]
)
def test_what_the_callers_role_may_not_use_is_listed_and_marked(role: str, allowed: list[bool]) -> None:
    registry = Registry()
    for name, needed in (("a", "viewer"), ("b", "driver"), ("c", "admin")):
        registry.add(name, scale, shared=False, keep="every", role=needed)
    assert [each.allowed for each in registry.offerings(role)] == allowed


@pytest.mark.parametrize(
    ("function", "signature", "doc"),
    [
        (lambda x, *y, **z: b"", "(x, *y, **z)", ""),
        (
            functools.partial(scale, b"", by=2),
            "(*, by: float = 2, buffer: bytes | None = None) -> bytes",
            "Make",
        ),
        (bad_default, "(...)", ""),
        (Camera, "()", "A lens."),
    ],
)
def test_a_signature_is_shown_as_it_was_written(function: Any, signature: str, doc: str) -> None:
    assert signature_of(function) == signature
    assert first_paragraph(function).startswith(doc)
    assert bool(first_paragraph(function)) == bool(doc)


def test_a_long_docstring_is_cut_and_what_is_no_text_travels(gateway: Gateway, client: Client) -> None:
    def f() -> bytes:
        return b""

    f.__doc__ = "\udc80 word " * 1000
    gateway.add_subroutine("f", f)
    (found,) = client.list_subroutines()
    assert found.doc.startswith("? word ? word")
    assert found.doc.endswith("...")
    assert len(found.doc) == MAX_DOC_CHARS


def test_the_list_is_a_batch_and_no_stream_and_its_name_cannot_be_taken(
    gateway: Gateway, client: Client
) -> None:
    assert unpack_offerings(client.get_subroutine_batch(LISTING)) == []
    with pytest.raises(SubroutineError, match=WrongUse.__name__):
        collected(client, LISTING)
    with pytest.raises(ValueError, match=r"begin with 'pynet\.' are the gateway's own"):
        gateway.add_subroutine(LISTING, scale)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x91\x80", b"\x91" * 60_000])
def test_a_list_that_is_none_breaks_the_protocol(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="bad list of subroutines"):
        unpack_offerings(body)


# The decorator


def test_a_decorated_function_is_offered_by_its_name_and_stays_a_function(
    gateway: Gateway, client: Client
) -> None:
    @gateway.subroutine
    def double(number: int) -> bytes:
        return b"%d" % (2 * number)

    assert double(4) == b"8"
    assert client.get_subroutine_batch("double", [4]) == b"8"


def test_a_decorator_with_options_offers_it_so(gateway: Gateway, client: Client) -> None:
    @gateway.subroutine(name="numbers", shared=True, keep="latest", keyed=True, role="driver")
    def count() -> Iterator[tuple[int, bytes]]:
        yield from counting(3)

    assert list(count()) == list(counting(3))
    (found,) = client.list_subroutines()
    assert (found.name, found.shared, found.keep, found.role) == ("numbers", True, "latest", "driver")


def test_a_decorator_used_wrongly_says_how_it_is_used(gateway: Gateway) -> None:
    with pytest.raises(TypeError, match=r"write @gw\.subroutine\(name='camera'\)"):
        gateway.subroutine("camera")  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="no generator: shared and keep are for streams"):
        gateway.subroutine(shared=True)(scale)
