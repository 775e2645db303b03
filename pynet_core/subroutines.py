"""The registry: name -> subroutine, what it may be used for, who may use it, and who is calling."""

from __future__ import annotations

import enum
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pynet_core.errors import PynetError
from pynet_core.feed import Feed, Keep
from pynet_core.offering import LISTING, Offering, first_paragraph, pack_offerings, signature_of

MAX_SUBROUTINE_CHARS: Final = 256  # of its name
OUR_PREFIX: Final = "pynet."  # names that gateways keep for themselves


class Role(enum.IntEnum):
    """What a peer may do; each role may do all that the lower ones may."""

    VIEWER = 0
    DRIVER = 1
    ADMIN = 2

    @classmethod
    def parse(cls, name: str) -> Role:
        """The role called `name`.

        Raises:
            ValueError: There is none.
        """
        try:
            return cls[name.upper()]
        except (KeyError, AttributeError):
            raise ValueError(f"role must be viewer, driver or admin, got {name!r}") from None


_ROLES: Final = {role.name.lower(): role for role in Role}


class UnknownSubroutine(PynetError):
    """Nothing is registered under that name."""


class NotAllowed(PynetError):
    """The peer's role is too low."""


class WrongUse(PynetError, TypeError):
    """A stream was asked for as a call, a call as a stream, or arguments given where none go."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The far end of one pair, as a subroutine sees it."""

    controller_id: str  # hex; the same for all pairs of one Controller
    pair_id: str  # hex; kept over reconnects
    purpose: str  # safety | control | stream | bulk
    name: str  # for people; a device that has an identity bears the one it is trusted under
    role: str  # viewer | driver | admin
    fingerprint: str = ""  # of the device's certificate, proved; '' where nobody has to prove anything


_current = threading.local()


def caller() -> Peer:
    """Who called the subroutine that runs in this thread.

    Raises:
        LookupError: No subroutine runs here, or it is a shared generator, which runs for everybody.
    """
    peer: Peer | None = getattr(_current, "peer", None)
    if peer is None:
        raise LookupError("no caller: not inside a subroutine, or inside a shared generator")
    return peer


def set_caller(peer: Peer) -> None:
    """Say who is calling for the rest of this thread's life."""
    _current.peer = peer


@dataclass(frozen=True, slots=True)
class Subroutine:
    """One registered function, generator function or feed, checked."""

    name: str
    function: Callable[..., Any] | Feed
    shared: bool  # one generator for all, or a feed
    keep: Keep
    role: Role
    is_generator: bool
    keyed: bool = False  # the newest item of each ident

    def offering(self, has: Role) -> Offering:
        """It as one of this role may use it."""
        function = self.function
        return Offering(
            name=self.name,
            kind="stream" if self.is_generator else "function",
            signature="()" if isinstance(function, Feed) else signature_of(function),
            doc="" if isinstance(function, Feed) else first_paragraph(function),
            role=self.role.name.lower(),
            allowed=has >= self.role,
            shared=self.shared,
            keep=self.keep,
        )

    def start(self, arguments: list[Any], kwargs: dict[str, Any]) -> Iterator[Any]:
        """The generator of one stream.

        Raises:
            WrongUse: It is no generator function; it does not run then.
            TypeError: The arguments do not fit.
        """
        if not self.is_generator:
            raise WrongUse(f"{self.name!r} is no generator; call it as a batch, or let it yield")
        assert not isinstance(self.function, Feed), "a feed has subscribers, and nothing to start"
        generator: Iterator[Any] = self.function(*arguments, **kwargs)
        return generator

    def call(self, arguments: list[Any], kwargs: dict[str, Any]) -> Any:
        """What the function returns.

        Raises:
            WrongUse: It is a generator.
            TypeError: The arguments do not fit.
        """
        if self.is_generator:  # or a feed
            raise WrongUse(f"{self.name!r} is a generator; ask for it as a stream")
        function: Callable[..., Any] = self.function  # type: ignore[assignment]
        return function(*arguments, **kwargs)


class Registry:
    """Subroutines by name; any thread may use it at any time."""

    def __init__(self) -> None:
        self._by_name: dict[str, Subroutine] = {}
        self.version = 0  # another one: what `find` has said may no longer be so
        self._listing = Subroutine(LISTING, self._list, False, "every", Role.VIEWER, False)

    def add(
        self,
        name: str,
        function: Callable[..., Any] | Feed,
        *,
        shared: bool,
        keep: str,
        role: str,
        keyed: bool = False,
    ) -> None:
        """Register under a name; a second one of that name replaces the first.

        Raises:
            ValueError, TypeError: What is wrong, and what would be right.
        """
        if not isinstance(name, str) or not 0 < len(name) <= MAX_SUBROUTINE_CHARS:
            raise ValueError(f"a subroutine's name is 1 to {MAX_SUBROUTINE_CHARS} characters, got {name!r}")
        if name.startswith(OUR_PREFIX):
            raise ValueError(f"names that begin with {OUR_PREFIX!r} are the gateway's own, got {name!r}")
        is_feed = isinstance(function, Feed)
        if not is_feed and not callable(function):
            raise TypeError(f"subroutine {name!r} is not callable but {type(function).__name__}")
        if is_async(function):
            raise TypeError(
                f"subroutine {name!r} is async, and nobody would await it; make it a plain function"
            )
        if keep not in ("every", "latest"):
            raise ValueError(f"keep must be 'every' or 'latest', got {keep!r}")
        if keyed and keep != "latest":
            raise ValueError(f"subroutine {name!r}: keyed is for keep='latest', the newest of each ident")
        is_generator = is_feed or is_generator_function(function)
        if (shared or keep == "latest") and not is_generator:
            raise TypeError(f"subroutine {name!r} is no generator: shared and keep are for streams")
        self._by_name[name] = Subroutine(
            name,
            function,
            shared or is_feed,
            "latest" if keep == "latest" else "every",
            Role.parse(role),
            is_generator,
            keyed,
        )
        self.version += 1

    def remove(self, name: str) -> None:
        """Forget it; streams that run go on.

        Raises:
            UnknownSubroutine: Nothing of that name.
        """
        if self._by_name.pop(name, None) is None:
            raise UnknownSubroutine(f"no subroutine {name!r} to remove")
        self.version += 1

    def find(self, name: str, peer: Peer) -> Subroutine:
        """The subroutine of that name, if this peer may use it.

        Raises:
            UnknownSubroutine, NotAllowed
        """
        found = self._by_name.get(name) or (self._listing if name == LISTING else None)
        if found is None:
            raise UnknownSubroutine(f"no subroutine {name[:MAX_SUBROUTINE_CHARS]!r} is registered")
        if _ROLES[peer.role] < found.role:
            raise NotAllowed(f"{name!r} needs role {found.role.name.lower()}, {peer.name} is {peer.role}")
        return found

    def offerings(self, role: str) -> list[Offering]:
        """All of them by name, each marked with whether one of this role may use it."""
        has = _ROLES[role]
        return [each.offering(has) for _, each in sorted(self._by_name.copy().items())]

    def _list(self) -> bytes:
        return pack_offerings(self.offerings(caller().role))


def is_generator_function(function: Any) -> bool:
    """Whether calling it gives a generator, wrapped in whatever."""
    return inspect.isgeneratorfunction(_unwrapped(function))


def is_async(function: Any) -> bool:
    """Whether calling it only makes what an event loop would run."""
    function = _unwrapped(function)
    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and callable(function):  # an object with __call__
        function = getattr(function, "__call__", function)  # noqa: B004
    return function
