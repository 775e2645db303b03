"""pynet_core.subroutines: what can be registered, who may use it, and who is calling."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from pynet_core.subroutines import (
    MAX_SUBROUTINE_CHARS,
    NotAllowed,
    Peer,
    Registry,
    Role,
    UnknownSubroutine,
    WrongUse,
    caller,
    set_caller,
)


def peer(role: str = "admin") -> Peer:
    return Peer(controller_id="c", pair_id="p", purpose="stream", name="laptop", role=role)


def function(*arguments: Any, **kwargs: Any) -> tuple[Any, ...]:
    return arguments


def generator(*arguments: Any) -> Iterator[Any]:
    yield from arguments


async def coroutine() -> int:
    return 5


async def async_generator(*arguments: Any) -> AsyncIterator[Any]:
    for each in arguments:
        yield each


class Awaited:
    async def __call__(self) -> int:
        return 5


class Callable:
    def __call__(self) -> int:
        return 1


class Generating:
    def __call__(self) -> Iterator[bytes]:
        yield b""

    def method(self) -> Iterator[bytes]:
        yield b""


def registry(fn: Any, **options: Any) -> Registry:
    registered = Registry()
    registered.add("f", fn, **{"shared": False, "keep": "every", "role": "viewer", **options})
    return registered


@pytest.mark.parametrize(
    "fn",
    [generator, functools.partial(functools.partial(generator, 1), 2), Generating(), Generating().method],
)
def test_what_yields_is_a_stream_and_no_call(fn: Any) -> None:
    found = registry(fn).find("f", peer())
    assert hasattr(found.start([], {}), "__next__")
    with pytest.raises(WrongUse, match="'f' is a generator; ask for it as a stream"):
        found.call([], {})


@pytest.mark.parametrize("fn", [function, functools.partial(function, 1), Callable(), len, bytes, lambda: 1])
def test_what_does_not_yield_is_a_call_and_no_stream(fn: Any) -> None:
    found = registry(fn).find("f", peer())
    with pytest.raises(WrongUse, match="'f' is no generator"):
        found.start([], {})
    assert registry(function).find("f", peer()).call([1, 2], {}) == (1, 2)


def test_a_function_asked_for_as_a_stream_does_not_run() -> None:
    ran: list[int] = []
    with pytest.raises(WrongUse):
        registry(lambda: ran.append(1)).find("f", peer()).start([], {})
    assert ran == []


def test_a_second_registration_replaces_the_first_and_removal_forgets_it() -> None:
    registered = registry(lambda: 1)
    registered.add("f", lambda: 2, shared=False, keep="every", role="viewer")
    assert registered.find("f", peer()).call([], {}) == 2
    registered.remove("f")
    with pytest.raises(UnknownSubroutine, match="no subroutine 'f' is registered"):
        registered.find("f", peer())
    with pytest.raises(UnknownSubroutine, match="no subroutine 'f' to remove"):
        registered.remove("f")


@pytest.mark.parametrize("name", ["", "x" * (MAX_SUBROUTINE_CHARS + 1), 5, None, b"f"])
def test_a_name_is_a_string_of_1_to_256_characters(name: Any) -> None:
    with pytest.raises(ValueError, match="1 to 256 characters"):
        Registry().add(name, function, shared=False, keep="every", role="viewer")


@pytest.mark.parametrize(
    ("fn", "options", "error", "words"),
    [
        (5, {}, TypeError, "'f' is not callable but int"),
        (None, {}, TypeError, "not callable"),
        (coroutine, {}, TypeError, "'f' is async"),
        (functools.partial(async_generator, 1), {"shared": True}, TypeError, "'f' is async"),
        (Awaited(), {}, TypeError, "'f' is async"),
        (generator, {"keep": "newest"}, ValueError, "'every' or 'latest', got 'newest'"),
        (generator, {"role": "root"}, ValueError, "viewer, driver or admin, got 'root'"),
        (generator, {"role": None}, ValueError, "viewer, driver or admin"),
        (function, {"shared": True}, TypeError, "no generator: shared and keep are for streams"),
        (function, {"keep": "latest"}, TypeError, "no generator: shared and keep are for streams"),
    ],
)
def test_a_registration_that_makes_no_sense_says_what_would(
    fn: Any, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        registry(fn, **options)


@pytest.mark.parametrize("needed", ["viewer", "driver", "admin"])
@pytest.mark.parametrize("has", ["viewer", "driver", "admin"])
def test_a_role_may_do_what_it_and_all_lower_ones_may(needed: str, has: str) -> None:
    registered = registry(function, role=needed)
    if Role.parse(has) >= Role.parse(needed):
        registered.find("f", peer(has))
    else:
        with pytest.raises(NotAllowed, match=f"'f' needs role {needed}, laptop is {has}"):
            registered.find("f", peer(has))


def test_there_is_no_caller_outside_a_subroutine() -> None:
    with pytest.raises(LookupError, match="no caller: not inside a subroutine"):
        caller()


def test_a_caller_is_known_to_its_own_thread_only() -> None:
    seen: list[Peer] = []

    def handle() -> None:
        set_caller(peer())
        seen.append(caller())

    thread = threading.Thread(target=handle)
    thread.start()
    thread.join()
    assert seen == [peer()]
    with pytest.raises(LookupError):
        caller()
